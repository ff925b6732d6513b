"""Wrappers that make any target fail, crash, hang, dawdle or waver, one trouble each."""

from __future__ import annotations

import math
import os
import random
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from npu_tune.errors import CompilerError, InaccurateOutputError
from npu_tune.network import Network
from npu_tune.targets import Evaluation, Metric, Problem
from npu_tune.testing.wrapper import SelectiveTarget, WrappedProblem, WrappedTarget


@dataclass(frozen=True)
class NoisyTarget(WrappedTarget):
    """Gives another evaluation every time, as a measurement does.

    Every noisy metric, and every layer's cost in the profile, is multiplied by a log-normal
    factor of mean 1. The factors follow from the seed and the number of the evaluation, so that a
    serial study in one process repeats exactly. In a worker process they follow from the process
    too: workers must not all draw the same noise.

    Args:
        sigma: standard deviation of the noise, as a share.
        seed: of the noise.
        drift: share by which an evaluation comes out higher than the one before, on average.
        only: names of the noisy metrics; all of them if empty.
    """

    sigma: float = 0.05
    seed: int = 0
    drift: float = 0.0
    only: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The inner target's, with the spread that is to be expected."""
        return tuple(
            replace(m, spread=math.hypot(m.spread, self.sigma)) if self._is_noisy(m.name) else m
            for m in self.inner.metrics
        )

    def bind(self, network: Network) -> Problem:
        """A problem that says that its evaluations differ."""
        problem = super().bind(network)
        problem.deterministic = False
        return problem

    def change(self, problem: WrappedProblem, evaluation: Evaluation, number: int) -> Evaluation:
        """Multiplies by noise."""
        rng = random.Random(f"{self.seed} {number} {self._process}")  # noqa: S311 - no secret
        level = 1.0 + self.drift * number

        def noisy(value: float) -> float:
            return value * level * math.exp(rng.gauss(-(self.sigma**2) / 2, self.sigma))

        cost = problem.profile.cost
        return replace(
            evaluation,
            metrics={
                name: noisy(value) if self._is_noisy(name) else value
                for name, value in evaluation.metrics.items()
            },
            profile={
                layer: {column: noisy(v) if column == cost else v for column, v in row.items()}
                for layer, row in evaluation.profile.items()
            },
        )

    def _is_noisy(self, metric: str) -> bool:
        return not self.only or metric in self.only

    @property
    def _process(self) -> int:
        """Of which this target draws the noise; 0 where it has not been sent to another one."""
        return int(vars(self).get("_sent_to", 0))

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state, _sent_to=os.getpid())


@dataclass(frozen=True)
class SlowTarget(WrappedTarget):
    """Takes its time.

    Args:
        seconds: by which every evaluation takes longer.
    """

    seconds: float = 0.1

    def prepare(self, problem: WrappedProblem, configuration: Any) -> None:
        """Sleeps."""
        del problem, configuration
        time.sleep(self.seconds)


@dataclass(frozen=True)
class FailingTarget(SelectiveTarget):
    """Refuses some configurations.

    Args:
        error: what is raised; a compiler may raise anything, and even end its process.
        message: of the error.
    """

    error: type[BaseException] = CompilerError
    message: str = "The compiler said no."

    def misbehave(self) -> None:
        """Raises the error."""
        raise self.error(self.message)


@dataclass(frozen=True)
class InaccurateTarget(FailingTarget):
    """Finds for some configurations that the compiled network computes something else."""

    error: type[BaseException] = InaccurateOutputError
    message: str = "The output differs from the original network's."


@dataclass(frozen=True)
class CrashingTarget(SelectiveTarget):
    """Ends its own process in some configurations, which the inline executor does not survive.

    Args:
        signal: that the process dies of.
        once_in: folder in which the first crash leaves a file, so that there is no second one;
            None to crash every time.
    """

    signal: int = signal.SIGSEGV
    once_in: Path | None = None

    def misbehave(self) -> None:
        """Crashes."""
        if self.once_in is not None:
            try:
                (self.once_in / "crashed").touch(exist_ok=False)
            except FileExistsError:
                return
        os.write(2, b"Segmentation fault in the compiler\n")
        os.kill(os.getpid(), self.signal)
        threading.Event().wait()


@dataclass(frozen=True)
class HangingTarget(SelectiveTarget):
    """Never answers in some configurations, and has started a process that never ends either.

    Args:
        pid_file: gets the numbers of both processes; None to write nothing.
    """

    pid_file: Path | None = None

    def misbehave(self) -> None:
        """Hangs."""
        child = os.fork()
        if child == 0:
            threading.Event().wait()
        if self.pid_file is not None:
            partial = self.pid_file.with_suffix(".partial")
            partial.write_text(f"{os.getpid()} {child}")
            partial.replace(self.pid_file)
        threading.Event().wait()
