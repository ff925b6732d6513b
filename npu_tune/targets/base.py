"""What every target offers: a search space, an evaluation, a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace


class Kind(StrEnum):
    """Where a number comes from; numbers of different kinds are never compared."""

    ESTIMATED = "estimated"
    SIMULATED = "simulated"
    MEASURED = "measured"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure a target reports.

    Args:
        name: with its unit where it has one, such as ``latency_ms``.
        unit: for tables and plots; "" for ratios.
        kind: estimated, simulated or measured.
        description: one line for people.
    """

    name: str
    unit: str
    kind: Kind
    description: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one configuration costs.

    Args:
        metrics: figure by metric name.
        profile: per layer, in execution order: layer name to figure by column name. The column
            ``cycles`` is there on every target; a layer's share of the total can be read off. A
            column ``epoch`` has the same number in neighbouring rows that ran together.
        notes: what a person should know, such as operators that stayed on the CPU.
    """

    metrics: Mapping[str, float]
    profile: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Artifact:
    """A deployable result on disk.

    Args:
        files: path by role; the role ``model`` is the file to deploy.
        evaluation: the exact figures of what was built.
    """

    files: Mapping[str, Path]
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Start:
    """A configuration worth trying early, with the reason in its label."""

    label: str
    configuration: Configuration


@runtime_checkable
class Target(Protocol):
    """A compiler and its hardware. Implementations are frozen, picklable values.

    ``evaluate`` and ``build`` may cache per process whatever does not depend on the
    configuration, but their answers depend on their arguments alone.
    """

    @property
    def name(self) -> str:
        """As a person types it, such as ``ethos-u55-128``."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures ``evaluate`` reports; the first two are the default objectives."""

    def check(self, network: Network) -> None:
        """Raises ModelError where the network is not fit for this target, with the reason.

        ModelFormatError says that this target reads no such files; an ONNX network is then made
        int8 TFLite and checked again.
        """

    def space(self, network: Network) -> SearchSpace:
        """What may be chosen for each layer of the network, in execution order."""

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        """Compiles and costs one configuration. Raises EvaluationError."""

    def build(self, network: Network, configuration: Configuration, folder: Path) -> Artifact:
        """Writes what is deployed into ``folder``. Raises EvaluationError or OSError."""

    def starts(self, network: Network) -> tuple[Start, ...]:
        """Configurations worth evaluating before the search, best guesses first."""

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:
        """Metrics of yardsticks that are no configurations of the space, by label."""

    def fingerprint(self) -> Mapping[str, str]:
        """Everything beside network and configuration that an evaluation depends on."""


TargetOptions = Mapping[str, Any]
"""A study file's ``[target]`` table without the name."""


class TargetFamily(Protocol):
    """What an entry point of the group ``npu_tune.targets`` names: makes targets by name."""

    def names(self) -> tuple[str, ...]:
        """The targets this family offers."""

    def describe(self, name: str) -> str:
        """One line on one target."""

    def options(self) -> Mapping[str, str]:
        """The options of this family and what each takes, one line each."""

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target. Raises TargetError for an unknown name, option or option value."""
