"""Performs the runs of a comparison on a pool of workers, and reports progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from npu_tune.compare.runs.task import RunEnd, RunTask
from npu_tune.evaluation.pool import Binding, Pool, make_pool
from npu_tune.tuning.run_sections import ExecutorSection

TICK_S = 1.0
"""How long a run is waited for at most before free workers are looked for again."""


@dataclass(frozen=True)
class Job:
    """A run with the problem it is about."""

    task: RunTask
    binding: Binding


@dataclass(frozen=True)
class ComparisonProgress:
    """Progress of a comparison.

    Args:
        finished: number of finished runs, those recorded earlier included.
        planned: number of all runs.
        recorded: number of runs that were recorded earlier.
        failed: number of runs that ended with an error.
        elapsed_s: time since the first run began.
        latest: the run that has just ended.
    """

    finished: int
    planned: int
    recorded: int
    failed: int = 0
    elapsed_s: float = 0.0
    latest: RunEnd | None = None

    @property
    def time_left_s(self) -> float:
        """Estimated time for the runs that are left, at the speed so far."""
        here = self.finished - self.recorded + self.failed
        left = self.planned - self.finished - self.failed
        return left * self.elapsed_s / here if here else 0.0


ComparisonListener = Callable[[ComparisonProgress], None]


def run_jobs(
    jobs: Sequence[Job],
    *,
    executor: ExecutorSection,
    recorded: int,
    listener: ComparisonListener | None = None,
) -> Iterator[RunEnd]:
    """Performs runs, several at a time, and yields each as soon as it ends.

    Args:
        jobs: the runs, in the order in which they begin.
        executor: the kind of workers, and their number.
        recorded: number of further runs that were recorded earlier.
        listener: called before the first run and after every run.

    Raises:
        ExecutorError: if workers cannot be started, or are all lost.
    """
    started = time.monotonic()
    progress = ComparisonProgress(recorded, recorded + len(jobs), recorded)
    waiting, running = list(reversed(list(enumerate(jobs)))), 0
    pool: Pool[RunEnd] = make_pool(executor)
    if listener is not None and jobs:
        listener(progress)
    with pool:
        while waiting or running:
            while waiting and pool.free > 0:
                ticket, job = waiting.pop()
                pool.submit(ticket, job.task, job.binding)
                running += 1
            finished = pool.wait(TICK_S)
            progress = replace(progress, elapsed_s=time.monotonic() - started)
            if finished is None:
                continue
            running -= 1
            end = finished.answer
            yield end
            progress = replace(
                progress,
                finished=progress.finished + (not end.failed),
                failed=progress.failed + end.failed,
                latest=end,
            )
            if listener is not None:
                listener(progress)
