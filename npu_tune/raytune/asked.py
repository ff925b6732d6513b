"""What a search in Ray Tune is asked for, checked against what the target reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from npu_tune.errors import UsageError
from npu_tune.targets import Goal, Metric
from npu_tune.tuning.fields import Limits, Names
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.sections import ObjectiveSection
from npu_tune.validation import Model, Table, keys_called, known_remedy, validated

MODES = {"min": str(Goal.MINIMIZE), "max": str(Goal.MAXIMIZE)}
"""Ray Tune's words for the goals of metrics."""

_NAMES = {
    "metric": "the argument `metric`",
    "limits": "the argument `limits`",
    "objective.metrics": "the argument `metric`",
    "objective.directions": "the argument `mode`",
}

LimitsGiven = Mapping[str, Any] | Sequence[str] | str
"""``{"sram_bytes": 262144}``, ``{"sram_bytes": "<= 256 KiB"}``, ``["sram_bytes<=256 KiB"]`` or one
such text."""


class _Asked(Table):
    """The arguments that say what is asked for."""

    metric: Names = Field(min_length=1)
    limits: Limits = Field(default_factory=dict)


def objective_of(
    metrics: tuple[Metric, ...],
    *,
    metric: str | Sequence[str],
    mode: str | Sequence[str] | None = None,
    limits: LimitsGiven = (),
) -> Objective:
    """What is optimised, each metric by itself, and within which limits.

    Args:
        metrics: of the target.
        metric: one of them, or several for their front.
        mode: ``min`` or ``max``, one for all metrics or one for each; what the target says if
            None.
        limits: bounds of metrics, with units.

    Raises:
        UsageError: if a metric is unknown, asked for the wrong way round or named twice, or a
            limit makes no sense; says what to do.
    """
    names = [metric] if isinstance(metric, str) else list(metric)
    directions = _directions(names, mode)
    limits = [limits] if isinstance(limits, str) else limits
    document = {"metric": names, "limits": limits if isinstance(limits, Mapping) else [*limits]}
    with keys_called(_NAMES):
        asked = _validated(_Asked, document)
        section = {"metrics": asked.metric, "directions": directions, "mode": "pareto"}
        return Objective.of(_validated(ObjectiveSection, section), asked.limits, metrics)


def modes_of(objective: Objective) -> list[str]:
    """``min`` or ``max`` for each metric."""
    words = {goal: mode for mode, goal in MODES.items()}
    return [words[goal] for goal in objective.directions.values()]


def _validated(table: type[Model], document: Mapping[str, Any]) -> Model:
    return validated(table, document, source="The search", whole="the search", kind=UsageError)


def _directions(names: Sequence[str], mode: str | Sequence[str] | None) -> dict[str, str]:
    if mode is None:
        return {}
    modes = [mode] * len(names) if isinstance(mode, str) else list(mode)
    for each in modes:
        if each not in MODES:
            raise UsageError(
                f"The argument `mode` is {each!r}.", remedy=known_remedy(str(each), MODES)
            )
    if len(modes) != len(names):
        raise UsageError(
            f"The argument `mode` gives {len(modes)} goals for {len(names)} metrics.",
            remedy="Give one for each, one for all, or none: the target knows its metrics' goals.",
        )
    return {name: MODES[each] for name, each in zip(names, modes, strict=True)}
