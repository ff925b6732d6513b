"""A pool of worker processes on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Pipe, wait
from typing import IO

from npu_tune.errors import (
    CompilerCrashError,
    EvaluationError,
    ExecutorError,
    WorkerLostError,
)
from npu_tune.space import Configuration
from npu_tune.tuning.executors.base import Executor, Outcome
from npu_tune.tuning.executors.children import (
    describe_exit,
    end_child,
    start_child,
    took_too_long,
)
from npu_tune.tuning.executors.reaper import Reaper
from npu_tune.tuning.executors.worker import Ready, Unfit

START_TIMEOUT_S = 120.0
"""For a worker to import the target's compiler, on a machine that is busy with other workers."""

_LAST_WORDS_BYTES = 2000

FAILED_STARTS = 3
"""A worker may fail to start on a machine that is short of memory for a moment."""


class WorkerProcess:
    """One worker, with what it is doing and until when it may.

    Args:
        payload: an open file with what :func:`npu_tune.tuning.executors.payload.pack` made.
        reaper: ends the worker should this process be killed.
        timeout_s: the time one evaluation may take.
        clock: seconds from any fixed point.
    """

    def __init__(
        self,
        payload: IO[bytes],
        reaper: Reaper,
        *,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reaper = reaper
        self._timeout_s = timeout_s
        self._clock = clock
        self.alive = True
        self.ready = False
        self.ticket: int | None = None
        self._started = clock()
        self._deadline = self._started + START_TIMEOUT_S
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `kill`
        self.connection, theirs = Pipe()
        with theirs:
            self._process = start_child(
                "npu_tune.tuning.executors.worker",
                theirs.fileno(),
                payload.fileno(),
                stderr=self._stderr,
            )
        reaper.watch(self._process.pid)

    @property
    def idle(self) -> bool:
        """True where it may be given something to do; it may still be starting."""
        return self.ticket is None

    @property
    def seconds_left(self) -> float:
        """Until it has taken too long for what it is doing."""
        busy = not self.ready or self.ticket is not None
        return max(self._deadline - self._clock(), 0.0) if busy else float("inf")

    def submit(self, ticket: int, configuration: Configuration) -> None:
        """Gives it a configuration to evaluate."""
        self.ticket = ticket
        if self.ready:
            self._begin()
        # A worker that has just died is noticed by whoever reads its answer.
        with contextlib.suppress(OSError):
            self.connection.send((ticket, configuration))

    def take(self) -> Outcome | None:
        """What it has to say, once its connection has something or its time is up.

        A worker that failed its evaluation by dying or by taking too long is dead afterwards.

        Raises:
            ExecutorError: if it could not even start.
        """
        if not self.connection.poll():
            return self._late() if self.seconds_left <= 0 else None
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if isinstance(message, Ready):
            self.ready = True
            self._begin()
            return None
        if isinstance(message, Unfit):
            self.kill()
            raise ExecutorError(
                f"A worker process cannot load the target: {message.reason}.",
                remedy="A target must be a picklable value of an importable module.",
            )
        self.ticket = None
        outcome: Outcome = message
        return outcome

    def kill(self) -> int:
        """Ends the worker and everything in its process group; returns its exit status."""
        if not self.alive:
            return self._process.wait()
        self.alive = False
        status = end_child(self._process, self._reaper)
        self.connection.close()
        self._stderr.close()
        return status

    def lost(self, message: str) -> Outcome:
        """What becomes of its evaluation where it could not even start."""
        return self._failed(WorkerLostError(message))

    def _begin(self) -> None:
        self._started = self._clock()
        self._deadline = self._started + self._timeout_s

    def _late(self) -> Outcome:
        if not self.ready:
            words = self._last_words()
            self.kill()
            raise ExecutorError(
                f"A worker process was not ready after {START_TIMEOUT_S:g} s{words}.",
                remedy="Use fewer workers.",
            )
        self.kill()
        return self._failed(took_too_long(self._timeout_s))

    def _died(self) -> Outcome:
        words = self._last_words()
        # It has closed its connection, but may need a moment to end of its own accord.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1.0)
        how = describe_exit(self.kill())
        if not self.ready:
            raise ExecutorError(
                f"A worker process ended while it started: {how}{words}.",
                remedy="Try the inline executor, which shows what goes wrong.",
            )
        return self._failed(
            CompilerCrashError(f"The process that ran the compiler ended: {how}{words}.", how=how)
        )

    def _failed(self, error: EvaluationError) -> Outcome:
        # An idle worker has no ticket, and nobody looks at its outcome.
        return Outcome(
            -1 if self.ticket is None else self.ticket, None, error, self._clock() - self._started
        )

    def _last_words(self) -> str:
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _LAST_WORDS_BYTES, max(size - _LAST_WORDS_BYTES, 0))
        lines = tail.decode(errors="replace").strip().splitlines()
        return f" ({lines[-1].strip()})" if lines else ""


class ProcessExecutor(Executor):
    """Long-lived worker processes, each of them killed and replaced when it fails.

    Args:
        payload: what :func:`npu_tune.tuning.executors.payload.pack` made.
        workers: how many.
        timeout_s: the time one evaluation may take; starting a worker is not part of it.
    """

    def __init__(self, payload: bytes, *, workers: int, timeout_s: float) -> None:
        self._capacity = workers
        self._timeout_s = timeout_s
        self._workers: list[WorkerProcess] = []
        self._reaper: Reaper | None = None
        self._has_started = False
        self._failed_starts = 0
        try:
            self._payload = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
            self._payload.write(payload)
            self._payload.flush()
        except OSError as error:
            raise ExecutorError(
                f"What workers need cannot be written to a temporary folder: {error.strerror}.",
                remedy="Free some space there, or set TMPDIR to another folder.",
            ) from error

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def free(self) -> int:
        return self._capacity - sum(not worker.idle for worker in self._workers)

    def submit(self, ticket: int, configuration: Configuration) -> None:
        # All start at once, so that the others get ready while the first one works.
        self._reaper = self._reaper or Reaper()
        while len(self._workers) < self._capacity:
            worker = WorkerProcess(self._payload, self._reaper, timeout_s=self._timeout_s)
            self._workers.append(worker)
        idle = [worker for worker in self._workers if worker.idle]
        max(idle, key=lambda worker: worker.ready).submit(ticket, configuration)

    def wait(self, timeout_s: float) -> Outcome | None:
        deadline = time.monotonic() + timeout_s
        while True:
            left = max(deadline - time.monotonic(), 0.0)
            patience = min([left, *(worker.seconds_left for worker in self._workers)])
            spoken = wait([worker.connection for worker in self._workers], patience)
            for worker in list(self._workers):
                if worker.connection in spoken or worker.seconds_left <= 0:
                    outcome = self._take(worker)
                    if outcome is not None:
                        return outcome
            if left <= 0:
                return None

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        if self._reaper is not None:
            self._reaper.close()
            self._reaper = None
        self._payload.close()

    def _take(self, worker: WorkerProcess) -> Outcome | None:
        was_idle = worker.idle
        try:
            outcome = worker.take()
        except ExecutorError as error:
            self._count_failed_start(error)
            outcome = worker.lost(error.message)
        if worker.alive and worker.ready:
            self._has_started, self._failed_starts = True, 0
        if not worker.alive:
            self._workers.remove(worker)
        # What an idle worker died of concerns no evaluation.
        return None if was_idle else outcome

    def _count_failed_start(self, error: ExecutorError) -> None:
        """Lets another worker take over, unless there never was a good one."""
        self._failed_starts += 1
        if not self._has_started or self._failed_starts > FAILED_STARTS:
            raise error
