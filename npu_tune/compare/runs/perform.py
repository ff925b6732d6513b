"""Performs the runs of a comparison over a pool of workers, and tells how far that is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from npu_tune.compare.runs.pools import Finished, InlinePool, Job, RunPool
from npu_tune.compare.runs.process_pool import ProcessPool
from npu_tune.compare.runs.ray_pool import RayPool
from npu_tune.tuning.sections import ExecutorSection

TICK_S = 1.0
"""How long the loop sleeps at most before it looks for evaluations that take too long."""


@dataclass(frozen=True)
class Standing:
    """How far a comparison has come.

    Args:
        finished: runs, those recorded earlier included.
        planned: runs in all.
        recorded: of the finished ones, those that were recorded earlier.
        failed: runs that ended with an error.
        elapsed_s: since the first run began.
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
        """As long as the rest takes at the speed so far."""
        here = self.finished - self.recorded + self.failed
        left = self.planned - self.finished - self.failed
        return left * self.elapsed_s / here if here else 0.0


Listener = Callable[[Standing], None]


def performed(
    jobs: Sequence[Job],
    *,
    executor: ExecutorSection,
    recorded: int,
    listener: Listener | None = None,
) -> Iterator[Finished]:
    """Performs runs, several at a time, and hands each over as soon as it ends.

    Args:
        jobs: the runs, in the order in which they begin.
        executor: who performs them, and how many at a time.
        recorded: how many further runs were recorded earlier.
        listener: is told after every run.

    Raises:
        ExecutorError: if workers cannot be started, or are all lost.
    """
    started, standing = time.monotonic(), Standing(recorded, recorded + len(jobs), recorded)
    waiting, running = list(reversed(jobs)), 0
    with _pool(executor) as pool:
        while waiting or running:
            if listener is not None and standing.elapsed_s == 0.0:
                listener(standing)
            while waiting and pool.free > 0:
                pool.submit(waiting.pop())
                running += 1
            finished = pool.wait(TICK_S)
            standing = replace(standing, elapsed_s=time.monotonic() - started)
            if finished is None:
                continue
            running -= 1
            yield finished
            standing = replace(
                standing,
                finished=standing.finished + (not finished.failed),
                failed=standing.failed + finished.failed,
                latest=finished,
            )
            if listener is not None:
                listener(standing)


def _pool(executor: ExecutorSection) -> RunPool:
    if executor.kind == "inline":
        return InlinePool()
    if executor.kind == "process":
        return ProcessPool(workers=executor.capacity, timeout_s=executor.timeout_s)
    return RayPool(
        workers=executor.capacity, timeout_s=executor.timeout_s, address=executor.address
    )
