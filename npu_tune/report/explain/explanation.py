"""Why a study's best trial is better: everything that a report says beside the figures."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from npu_tune.errors import EvaluationError, NpuTuneError
from npu_tune.evaluation import quiet
from npu_tune.numerals import format_value
from npu_tune.report.explain.gains import ChangeGain, change_gains, leading_gains
from npu_tune.report.explain.layer_costs import LayerCost, advice, layer_costs
from npu_tune.report.opening import open_study_problem
from npu_tune.space import Configuration
from npu_tune.targets import MemoryBuffer, MemoryTimeline, Problem
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.records import StudyResult, TrialRecord

DEFAULT_SECONDS = 5.0
"""How long a report may evaluate what the study did not, to say what each change brings."""

MOST_LEADING = 3
"""So many changes are named as those that matter most."""

_MOST_MAPS_NAMED = 4

_LEAST_SECONDS = 0.001
"""That an evaluation is taken to last: what is around it counts too."""


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
    """What a study's trials alone say of its best; None where no trial meets the limits."""
    trial = result.best
    return None if trial is None else explain_trial(result, trial)


def explain_trial(
    result: StudyResult,
    trial: TrialRecord,
    *,
    problem: Problem | None = None,
    seconds: float = DEFAULT_SECONDS,
    shortfall: str = "",
) -> Explanation:
    """The same of any trial, with what takes compiling: memory over time, other configurations.

    Args:
        result: the study.
        trial: one of its trials.
        problem: of the study; without it nothing is compiled.
        seconds: how long changes may be evaluated that the study never took back, by what its
            evaluations took, so that the same study is explained alike on a busy machine.
        shortfall: why there is no problem.
    """
    return Explanation(
        result,
        trial,
        change_gains(result, trial, problem=problem, most=_evaluations(result, seconds)),
        layer_costs(result, trial),
        _memory(problem, result.default),
        _memory(problem, trial.configuration),
        shortfall,
    )


def explain(
    folder: Path, result: StudyResult, *, seconds: float = DEFAULT_SECONDS
) -> Explanation | None:
    """Explains the best trial of a study with all that can be compiled.

    Args:
        folder: of the study.
        result: the study.
        seconds: as of :func:`explain_trial`.

    Returns:
        None where no trial meets the limits.
    """
    trial = result.best
    if trial is None:
        return None
    if not result.deterministic:  # a single further evaluation would say nothing
        return explain_trial(result, trial)
    problem, shortfall = None, ""
    try:
        with quiet():
            problem = open_study_problem(read_study_folder(folder), result)
    except NpuTuneError as error:
        shortfall = f"The network could not be compiled again: {error.message}"
    with problem or nullcontext():
        return explain_trial(result, trial, problem=problem, seconds=seconds, shortfall=shortfall)


def _evaluations(result: StudyResult, seconds: float) -> int:
    """How many evaluations take so long; none where evaluations differ from one another."""
    if not result.deterministic:
        return 0
    taken = [trial.seconds for trial in result.distinct if trial.seconds > 0]
    return int(seconds / max(median(taken), _LEAST_SECONDS)) if taken else 0


def _memory(problem: Problem | None, configuration: Configuration) -> MemoryTimeline | None:
    if problem is None:
        return None
    try:
        with quiet():
            return problem.memory_timeline(configuration)
    except EvaluationError:
        return None
