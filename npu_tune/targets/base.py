"""Defaults for whoever brings a target, and families of targets by name."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.memory import MemoryTimeline
from npu_tune.targets.metrics import Evaluation, Metric, ProfileSchema
from npu_tune.targets.problem import Artifact, Problem, Start, Target

if TYPE_CHECKING:
    from npu_tune.validation import Table


class BaseTarget(ABC):
    """Defaults for a target that needs no state between evaluations.

    A subclass, best a frozen dataclass of its options, defines ``name``, ``metrics``,
    :meth:`space` and :meth:`evaluate`. A target that prepares something once per network
    overrides :meth:`bind` and returns a :class:`Problem` of its own instead.
    """

    name: str
    metrics: tuple[Metric, ...]
    deterministic: ClassVar[bool] = True
    reports_profiles: ClassVar[bool] = True
    profile: ClassVar[ProfileSchema] = ProfileSchema()
    version: ClassVar[str] = "1"
    """Raised whenever the same configuration gets other metrics or a knob another meaning."""

    @abstractmethod
    def space(self, network: Network) -> SearchSpace:
        """What may be chosen for each layer of the network, in execution order."""

    @abstractmethod
    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        """Compiles and costs one configuration. Raises EvaluationError."""

    def check(self, network: Network) -> None:  # noqa: B027 - by default every network is fit
        """Raises ModelError where the network is not fit for this target, with the reason."""

    def build(  # noqa: B027 - by default there is nothing of its own to write
        self, network: Network, configuration: Configuration, folder: Path
    ) -> Artifact | None:
        """Writes what is deployed; None, the default, for ``configuration.json`` alone."""

    def memory_timeline(
        self, network: Network, configuration: Configuration
    ) -> MemoryTimeline | None:
        """What lies in memory while a configuration runs; None, the default, where nobody can tell.

        Raises EvaluationError.
        """
        del network, configuration
        return None

    def starts(self, network: Network) -> tuple[Start, ...]:
        """Configurations worth evaluating before the search, best guesses first."""
        del network
        return ()

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:
        """Metrics of yardsticks that are no configurations of the space, by label."""
        del network
        return {}

    def fingerprint(self) -> Mapping[str, str]:
        """The version and every attribute, which are this target's options."""
        if dataclasses.is_dataclass(self):
            options = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        else:
            options = vars(self)
        return {"version": self.version, **{name: repr(v) for name, v in options.items()}}

    def bind(self, network: Network) -> Problem:
        """A problem that hands everything on to this target's methods."""
        self.check(network)
        return _StatelessProblem(self, network)


class _StatelessProblem(Problem):
    """Hands everything on to the methods of a :class:`BaseTarget`."""

    target: BaseTarget

    def __init__(self, target: BaseTarget, network: Network) -> None:
        super().__init__(target, network)
        self.profile = target.profile
        self.deterministic = target.deterministic
        self.reports_profiles = target.reports_profiles

    @cached_property
    def space(self) -> SearchSpace:
        return self.target.space(self.network)

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        return self.target.evaluate(self.network, self.space.complete(configuration))

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        folder.mkdir(parents=True, exist_ok=True)
        whole = self.space.complete(configuration)
        built = self.target.build(self.network, whole, folder)
        return super().build(whole, folder) if built is None else built

    def memory_timeline(self, configuration: Mapping[str, Value]) -> MemoryTimeline | None:
        return self.target.memory_timeline(self.network, self.space.complete(configuration))

    def starts(self) -> tuple[Start, ...]:
        return self.target.starts(self.network)

    def references(self) -> Mapping[str, Mapping[str, float]]:
        return self.target.references(self.network)


TargetOptions = Mapping[str, Any]
"""A study file's ``[target]`` table without the name."""


class TargetFamily(Protocol):
    """What an entry point of the group ``npu_tune.targets`` names: makes targets by name."""

    @property
    def options(self) -> type[Table]:
        """The options of its targets, each with a description; see :mod:`.options`."""

    def names(self) -> tuple[str, ...]:
        """The targets this family offers."""

    def describe(self, name: str) -> str:
        """One line on one target."""

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target. Raises TargetError for an unknown name, option or option value."""
