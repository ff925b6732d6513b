"""What a finished or running study, or the cache, knows of a network on a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npu_tune.errors import TargetError, UsageError
from npu_tune.network import load_network
from npu_tune.space import Value
from npu_tune.targets import Identity
from npu_tune.targets.registry import find_family
from npu_tune.tuning.folder import is_study_folder, read_study_folder
from npu_tune.tuning.reading import read_study
from npu_tune.tuning.warm.traits import LayerTraits, layer_traits
from npu_tune.validation import key_note

ORIGIN = "warm: "
"""What the labels of starts begin with that came from other studies."""


@dataclass(frozen=True)
class WarmTrial:
    """An evaluated configuration.

    Args:
        changes: of it against the source's default.
        metrics: of it.
        profile: of it.
        is_planned: True where the target itself proposed it.
    """

    changes: Mapping[str, Value]
    metrics: Mapping[str, float]
    profile: Mapping[str, Mapping[str, float]]
    is_planned: bool = False


@dataclass(frozen=True)
class WarmSource:
    """What is known of a network on a target.

    Args:
        name: what people call it.
        identity: of the problem.
        model: name of the network.
        layers: traits of those that have knobs, by name.
        default: of each knob, by full name.
        baseline: the default, evaluated.
        known: what was evaluated with success, the default among it.
        cost: the profile's column that is the cost of a layer.
    """

    name: str
    identity: Identity
    model: str
    layers: Mapping[str, LayerTraits]
    default: Mapping[str, Value]
    baseline: WarmTrial
    known: Sequence[WarmTrial]
    cost: str


def study_source(folder: Path) -> WarmSource | None:
    """What the study in a folder knows; None where it has not evaluated its default yet.

    Raises:
        UsageError: if there is no study in the folder.
        StorageError: if it cannot be read.
        ModelError: if its model cannot be read.
    """
    if not is_study_folder(folder):
        raise UsageError(
            f"There is no study in {folder}{key_note('study.from')}.",
            remedy="Give the folder of a study, or `cache`.",
            folder=str(folder),
        )
    result = read_study(folder)
    baseline = result.baseline
    if baseline is None or not baseline.metrics:
        return None
    names = dict.fromkeys(name.rpartition("/")[0] for name in result.default)
    network = load_network(read_study_folder(folder).model.path)
    known = [
        WarmTrial(
            trial.configuration.difference(result.default),
            trial.metrics,
            trial.profile,
            is_planned=trial.origin.startswith("start: ") and ORIGIN not in trial.origin,
        )
        for trial in result.distinct
        if trial.metrics
    ]
    return WarmSource(
        name=result.name,
        identity=result.identity,
        model=result.model,
        layers=layer_traits(network, names),
        default=result.default,
        baseline=WarmTrial({}, baseline.metrics, baseline.profile, is_planned=True),
        known=known,
        cost=result.profile.cost,
    )


def family_of(target: str) -> str:
    """What targets have in common that understand each other's knobs."""
    try:
        return type(find_family(target)).__qualname__
    except TargetError:
        return target
