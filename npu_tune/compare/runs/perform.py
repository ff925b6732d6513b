"""Performs the runs of a comparison on a pool of workers, and reports progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from npu_tune.compare.runs.pools import Finished, InlinePool, Job, RunPool
from npu_tune.compare.runs.process_pool import ProcessPool
from npu_tune.compare.runs.ray_pool import RayPool
from npu_tune.tuning.sections import ExecutorSection

TICK_S = 1.0
"""How long to wait for a run at most before checking for evaluations that take too long."""


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
    latest: Finished | None = None

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
) -> Iterator[Finished]:
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
    waiting, running = list(reversed(jobs)), 0
    with _make_pool(executor) as pool:
        while waiting or running:
            if listener is not None and progress.elapsed_s == 0.0:
                listener(progress)
            while waiting and pool.free > 0:
                pool.submit(waiting.pop())
                running += 1
            finished = pool.wait(TICK_S)
            progress = replace(progress, elapsed_s=time.monotonic() - started)
            if finished is None:
                continue
            running -= 1
            yield finished
            progress = replace(
                progress,
                finished=progress.finished + (not finished.failed),
                failed=progress.failed + finished.failed,
                latest=finished,
            )
            if listener is not None:
                listener(progress)


def _make_pool(executor: ExecutorSection) -> RunPool:
    if executor.kind == "inline":
        return InlinePool()
    if executor.kind == "process":
        return ProcessPool(workers=executor.capacity, timeout_s=executor.timeout_s)
    return RayPool(
        workers=executor.capacity, timeout_s=executor.timeout_s, address=executor.address
    )
