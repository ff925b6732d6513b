"""Targets around other targets: everything goes to the inner one, but for what a subclass adds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets import (
    Artifact,
    Evaluation,
    MemoryTimeline,
    Metric,
    Problem,
    Start,
    Target,
)
from npu_tune.testing.layered import LayeredTarget


@dataclass(frozen=True)
class WrappedTarget:
    """A target that behaves like another one; subclasses override one of the two hooks.

    They are frozen dataclasses whose fields are their options, so that they can be pickled, and
    go around any target, also one that keeps state in its problems::

        CrashingTarget(NoisyTarget(EthosUTarget("ethos-u55-128"), sigma=0.02))

    Args:
        inner: the target that does the work.
    """

    inner: Target = field(default_factory=LayeredTarget)

    @property
    def name(self) -> str:
        """The inner target's."""
        return self.inner.name

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The inner target's."""
        return self.inner.metrics

    def bind(self, network: Network) -> Problem:
        """A problem around the inner target's."""
        return WrappedProblem(self, self.inner.bind(network))

    def fingerprint(self) -> Mapping[str, str]:
        """The inner target's, and what is wrapped around it."""
        inner = self.inner.fingerprint()
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        options = ", ".join(f"{name}={own[name]!r}" for name in own if name != "inner")
        around = [inner["wrapped"]] if "wrapped" in inner else []
        return {**inner, "wrapped": " in ".join([*around, f"{type(self).__name__}({options})"])}

    def prepare(self, problem: WrappedProblem, configuration: Configuration) -> None:
        """Is called before every evaluation and build, which it may prevent."""

    def change(self, problem: WrappedProblem, evaluation: Evaluation, number: int) -> Evaluation:
        """Returns what is reported in place of the inner target's evaluation.

        Args:
            problem: that was evaluated.
            evaluation: the inner target's.
            number: of the evaluation in this problem, from 0.
        """
        del problem, number
        return evaluation


class WrappedProblem(Problem):
    """A problem around another one, which it closes.

    It knows no optima, even where the inner one does: what a wrapper changes may change them.

    Args:
        target: its hooks are called.
        inner: does the work.
    """

    target: WrappedTarget

    def __init__(self, target: WrappedTarget, inner: Problem) -> None:
        super().__init__(target, inner.network)
        self.inner = inner
        self.profile = inner.profile
        self.deterministic = inner.deterministic
        self.reports_profiles = inner.reports_profiles
        self._evaluations = 0

    @property
    def space(self) -> SearchSpace:
        return self.inner.space

    def evaluate(self, configuration: Mapping[str, Value]) -> Evaluation:
        whole = self.space.complete(configuration)
        self.target.prepare(self, whole)
        return self._changed(self.inner.evaluate(whole))

    def memory_timeline(self, configuration: Mapping[str, Value]) -> MemoryTimeline | None:
        return self.inner.memory_timeline(configuration)

    def build(self, configuration: Mapping[str, Value], folder: Path) -> Artifact:
        whole = self.space.complete(configuration)
        self.target.prepare(self, whole)
        artifact = self.inner.build(whole, folder)
        return dataclasses.replace(artifact, evaluation=self._changed(artifact.evaluation))

    def starts(self) -> Iterable[Start]:
        return self.inner.starts()

    def rivals(
        self, cost: Callable[[Mapping[str, float]], float]
    ) -> Mapping[str, Mapping[str, float]]:
        return self.inner.rivals(cost)

    def notes(self) -> tuple[str, ...]:
        return self.inner.notes()

    def references(self) -> Mapping[str, Mapping[str, float]]:
        return self.inner.references()

    def close(self) -> None:
        self.inner.close()

    def _changed(self, evaluation: Evaluation) -> Evaluation:
        number, self._evaluations = self._evaluations, self._evaluations + 1
        return self.target.change(self, evaluation, number)


@dataclass(frozen=True)
class Where:
    """Picks configurations.

    Args:
        knob: full name of a knob; None picks every configuration but the default.
        value: of that knob in the configurations that are picked.
    """

    knob: str | None = None
    value: Value | None = None

    def holds(self, configuration: Configuration, space: SearchSpace) -> bool:
        """True for a configuration that is picked."""
        if self.knob is None:
            return configuration != space.default
        return configuration.get(self.knob) == self.value


@dataclass(frozen=True)
class SelectiveTarget(WrappedTarget):
    """Does something else for some configurations; subclasses say what.

    Args:
        where: picks them.
    """

    where: Where = field(default_factory=Where)

    def prepare(self, problem: WrappedProblem, configuration: Configuration) -> None:
        """Misbehaves where it is to."""
        if self.where.holds(configuration, problem.space):
            self.misbehave()

    def misbehave(self) -> None:
        """Raises, crashes or hangs."""
        raise NotImplementedError
