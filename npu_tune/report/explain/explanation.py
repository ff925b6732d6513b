"""Why a study's best trial is better: everything that a report says beside the figures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from npu_tune.errors import EvaluationError, NpuTuneError
from npu_tune.evaluation import quiet
from npu_tune.report.build import open_study_problem
from npu_tune.report.explain.gains import ChangeGain, change_gains, leading_gains
from npu_tune.report.explain.layer_costs import LayerCost, advice, layer_costs
from npu_tune.report.numbers import format_value
from npu_tune.space import Configuration
from npu_tune.targets import MemoryBuffer, MemoryTimeline, Problem
from npu_tune.tuning.records import StudyResult, TrialRecord

DEFAULT_SECONDS = 5.0
"""How long a report may evaluate what the study did not, to say what each change brings."""

MOST_LEADING = 3
"""So many changes are named as those that matter most."""

_MOST_MAPS_NAMED = 4


@dataclass(frozen=True, slots=True)
class PoolPeak:
    """Where most of a pool is in use.

    Args:
        pool: its name.
        used_bytes: what must be there of it: up to its highest address in use.
        layer: what runs then.
        live_bytes: what is in use then.
        buffers: what that is, largest first.
    """

    pool: str
    used_bytes: int
    layer: str
    live_bytes: int
    buffers: tuple[MemoryBuffer, ...]

    @property
    def sentence(self) -> str:
        """The peak in words, with the maps that make it."""
        named = [
            f"{buffer.name} ({format_value(buffer.size_bytes, 'bytes')})"
            for buffer in self.buffers[:_MOST_MAPS_NAMED]
        ]
        more = len(self.buffers) - len(named)
        maps = ", ".join(named) + (f" and {more} more" if more else "")
        return (
            f"{self.pool} is fullest in {self.layer}, with "
            f"{format_value(self.live_bytes, 'bytes')} in use: {maps}."
        )


@dataclass(frozen=True)
class Explanation:
    """Why a trial is better than the baseline.

    Args:
        result: the study.
        trial: its best one.
        gains: what each change brings, the largest first.
        layers: what each layer costs before and after.
        memory_before: of the baseline; None where nobody can tell.
        memory_after: of the trial.
        shortfall: why something could not be worked out, such as that the model is gone; "" where
            nothing is missing.
    """

    result: StudyResult
    trial: TrialRecord
    gains: tuple[ChangeGain, ...]
    layers: tuple[LayerCost, ...]
    memory_before: MemoryTimeline | None = None
    memory_after: MemoryTimeline | None = None
    shortfall: str = ""

    @cached_property
    def advice(self) -> tuple[str, ...]:
        """Plain sentences where one thing dominates."""
        return advice(self.layers, self.result.profile)

    @cached_property
    def peaks(self) -> tuple[PoolPeak, ...]:
        """Where each pool is fullest in the trial."""
        return () if self.memory_after is None else tuple(pool_peaks(self.memory_after))

    @cached_property
    def leading(self) -> tuple[ChangeGain, ...]:
        """The few changes that matter most."""
        return leading_gains(self.gains, MOST_LEADING)

    @property
    def unknown_gains(self) -> int:
        """How many changes nobody knows the gain of."""
        return sum(not gain.is_known for gain in self.gains)


def pool_peaks(memory: MemoryTimeline) -> Iterable[PoolPeak]:
    """Where each pool of a timeline is fullest."""
    for pool in memory.pools:
        step, live = memory.peak(pool)
        yield PoolPeak(
            pool, memory.used_bytes(pool), memory.steps[step], memory.live_bytes(pool, step), live
        )


def explain_from_records(result: StudyResult) -> Explanation | None:
    """What a study's trials alone say; None where no trial meets the limits."""
    trial = result.best
    if trial is None:
        return None
    return Explanation(result, trial, change_gains(result, trial), layer_costs(result, trial))


def explain(
    folder: Path, result: StudyResult, *, seconds: float = DEFAULT_SECONDS
) -> Explanation | None:
    """The same, with what takes compiling: changes that were never taken back, memory over time.

    Args:
        folder: of the study.
        result: the study.
        seconds: how long changes may be evaluated.

    Returns:
        None where no trial meets the limits.
    """
    trial = result.best
    if trial is None:
        return None
    if not result.deterministic:  # a single further evaluation would say nothing
        return explain_from_records(result)
    layers, shortfall = layer_costs(result, trial), ""
    try:
        with quiet():
            opened = open_study_problem(folder, result)
    except NpuTuneError as error:
        opened, shortfall = None, f"The network could not be compiled again: {error.message}"
    with opened or nullcontext() as problem:
        return Explanation(
            result,
            trial,
            change_gains(result, trial, problem=problem, seconds=seconds),
            layers,
            _memory(problem, result.default),
            _memory(problem, trial.configuration),
            shortfall,
        )


def _memory(problem: Problem | None, configuration: Configuration) -> MemoryTimeline | None:
    if problem is None:
        return None
    try:
        with quiet():
            return problem.memory_timeline(configuration)
    except EvaluationError:
        return None
