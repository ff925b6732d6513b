"""Performs runs in worker processes of this machine."""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import subprocess
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Pipe, wait

from npu_tune.compare.runs.answers import SharedAnswers
from npu_tune.compare.runs.pools import Finished, Job, RunPool
from npu_tune.compare.runs.recording import RunName
from npu_tune.errors import (
    CompilerCrashError,
    EvaluationError,
    ExecutorError,
)
from npu_tune.tuning.executors.children import (
    describe_exit,
    end_child,
    start_child,
    took_too_long,
)
from npu_tune.tuning.executors.payload import pack
from npu_tune.tuning.executors.reaper import Reaper

MOST_LOSSES = 2
"""A run whose worker dies outside an evaluation may have met a machine short of memory."""


class Slate:
    """Where a worker notes which evaluation is under way and since when, for its parent to read.

    A few bytes of shared memory cost less than a microsecond per evaluation; a message would
    cost more than a fast target's evaluation itself.

    Args:
        descriptor: of an open file.
    """

    _FORMAT = "<d64s"

    def __init__(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size == 0:
            os.ftruncate(descriptor, struct.calcsize(self._FORMAT))
        self._memory = mmap.mmap(descriptor, struct.calcsize(self._FORMAT))

    def note(self, key: str | None) -> None:
        """Says that the evaluation under this key begins, or that none is under way."""
        began = 0.0 if key is None else time.monotonic()
        struct.pack_into(self._FORMAT, self._memory, 0, began, (key or "").encode())

    def read(self) -> tuple[str, float] | None:
        """The key of the evaluation that is under way, and for how many seconds it has been."""
        began, key = struct.unpack_from(self._FORMAT, self._memory)
        word = key.rstrip(b"\0").decode()
        return (word, time.monotonic() - began) if began and word else None

    def close(self) -> None:
        """Lets go of the memory."""
        self._memory.close()


class RunWorker:
    """A process that performs one run after another.

    Args:
        reaper: ends the worker should this process be killed.
    """

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper
        self._known: str | None = None
        self.job: Job | None = None
        with tempfile.TemporaryFile() as file:
            self.slate = Slate(file.fileno())
            self.connection, theirs = Pipe()
            with theirs:
                self._process = start_child(
                    "npu_tune.compare.runs.worker", theirs.fileno(), file.fileno()
                )
        reaper.watch(self._process.pid)

    def submit(self, job: Job) -> None:
        """Gives it a run; target and network are sent only if it does not have them yet."""
        self.job = job
        payload = None if self.knows(job) else pack(job.target, job.network)
        self._known = str(job.answers)
        # A worker that has just died is noticed by whoever reads its answer.
        with contextlib.suppress(OSError):
            self.connection.send((job.order, job.answers, job.keep, payload))

    def take(self) -> Finished | None:
        """The run it has ended; None where it died."""
        try:
            finished: Finished = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.job = None
        return finished

    def knows(self, job: Job) -> bool:
        """True where it has the run's target and network."""
        return self._known == str(job.answers)

    def wait(self) -> str:
        """How it ended, once it has closed its connection."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        return self.kill()

    def kill(self) -> str:
        """Ends the worker and everything in its process group; says how it ended."""
        status = end_child(self._process, self._reaper)
        self.connection.close()
        self.slate.close()
        return describe_exit(status)


class ProcessPool(RunPool):
    """Long-lived worker processes.

    An evaluation that crashes its worker, or takes too long, is written down as such in the
    shared answers; the run then begins anew and finds all its earlier answers there.

    Args:
        workers: how many.
        timeout_s: the time one evaluation may take.
    """

    def __init__(self, *, workers: int, timeout_s: float) -> None:
        self._capacity = workers
        self._timeout_s = timeout_s
        self._workers: list[RunWorker] = []
        self._again: list[Job] = []
        self._losses: Counter[RunName] = Counter()
        self._reaper: Reaper | None = None

    @property
    def free(self) -> int:
        busy = sum(worker.job is not None for worker in self._workers)
        return self._capacity - busy - len(self._again)

    def submit(self, job: Job) -> None:
        self._reaper = self._reaper or Reaper()
        idle = [worker for worker in self._workers if worker.job is None]
        if not idle:
            idle = [RunWorker(self._reaper)]
            self._workers += idle
        # One that has the network already is spared sending and preparing it.
        max(idle, key=lambda worker: worker.knows(job)).submit(job)

    def wait(self, timeout_s: float) -> Finished | None:
        while self._again:
            self.submit(self._again.pop())
        running = {w.connection: w for w in self._workers if w.job is not None}
        spoken = wait(list(running), timeout_s)
        for connection, worker in running.items():
            if connection in spoken:
                finished = worker.take()
                return finished or self._lost(worker)
            self._end_if_late(worker)
        return None

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        self._again.clear()
        if self._reaper is not None:
            self._reaper.close()
            self._reaper = None

    def _lost(self, worker: RunWorker) -> Finished | None:
        """Takes leave of a worker that died; its run is tried again."""
        under_way, job, how = worker.slate.read(), worker.job, worker.wait()
        self._workers.remove(worker)
        if job is None:
            return None
        if under_way is not None:
            message = f"The process that ran the compiler ended: {how}."
            self._blame(job, under_way[0], CompilerCrashError(message, how=how))
            return None
        self._losses[job.order.name] += 1
        if self._losses[job.order.name] < MOST_LOSSES:
            self._again.append(job)
            return None
        error = ExecutorError(
            f"The worker process of {job.order.name} ended {MOST_LOSSES} times: {how}.",
            remedy="Use fewer workers if memory is short; the inline executor shows more.",
        )
        return Finished(job.order, None, error)

    def _end_if_late(self, worker: RunWorker) -> None:
        under_way, job = worker.slate.read(), worker.job
        if under_way is None or job is None or under_way[1] <= self._timeout_s:
            return
        worker.kill()
        self._workers.remove(worker)
        self._blame(job, under_way[0], took_too_long(self._timeout_s))

    def _blame(self, job: Job, key: str, error: EvaluationError) -> None:
        """Writes down what an evaluation did to its worker, and has the run tried again."""
        with SharedAnswers(job.answers, keep=job.keep) as answers:
            answers.learn(key, error)
        self._again.append(job)
