"""One worker process, as its parent sees it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from multiprocessing.reduction import send_handle
from typing import IO, Any

from npu_tune.errors import ExecutorError
from npu_tune.evaluation.pool.base import Task
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.evaluation.pool.children import (
    describe_exit,
    end_child,
    start_child,
    temporary_file,
)
from npu_tune.evaluation.pool.reaper import Reaper
from npu_tune.evaluation.pool.slate import Slate
from npu_tune.evaluation.pool.worker import Bind, Ready, Refused, Unfit

START_TIMEOUT_S = 120.0
"""For a worker to import the target's compiler, on a machine that is busy with other workers."""

_LAST_WORDS_BYTES = 2000


@dataclass(frozen=True)
class Answered:
    """What a worker has answered to its task."""

    answer: Any


@dataclass(frozen=True)
class Death:
    """How a worker died.

    Args:
        under_way: key of the evaluation that was under way, and since how many seconds.
        how: it ended, such as ``killed by SIGSEGV``.
        last_words: what it wrote last, in parentheses.
    """

    under_way: tuple[str, float] | None
    how: str
    last_words: str


class WorkerProcess:
    """A process that binds one problem after another and does tasks with it.

    Args:
        reaper: ends the worker should this process be killed.
        timeout_s: the time one evaluation may take.

    Raises:
        ExecutorError: if it cannot be started.
    """

    def __init__(self, reaper: Reaper, *, timeout_s: float) -> None:
        self._reaper = reaper
        self._timeout_s = timeout_s
        self._alive = True
        self._asked = 0
        self._start_timeout_s = max(START_TIMEOUT_S, timeout_s)
        self._start_by = time.monotonic() + self._start_timeout_s
        self.digest = ""
        self.busy = False
        self._stderr = temporary_file()
        with temporary_file() as slate_file:
            self._slate = Slate(slate_file.fileno())
            self.connection, theirs = Pipe()
            with theirs:
                self._process = start_child(
                    "npu_tune.evaluation.pool.worker",
                    theirs.fileno(),
                    slate_file.fileno(),
                    stderr=self._stderr,
                )
        reaper.watch(self._process.pid)

    @property
    def ready(self) -> bool:
        """True once it has bound everything that it was asked to bind."""
        return self._asked == 0

    @property
    def seconds_left(self) -> float:
        """Until it has taken too long for what it is doing."""
        if not self.ready:
            return max(self._start_by - time.monotonic(), 0.0)
        under_way = self.under_way() if self.busy else None
        return float("inf") if under_way is None else max(self._timeout_s - under_way[1], 0.0)

    def under_way(self) -> tuple[str, float] | None:
        """Key of the evaluation that is under way, and since how many seconds."""
        return self._slate.read()

    def bind(self, binding: Binding, payload: IO[bytes]) -> None:
        """Has it bind a problem, which later tasks are about.

        Args:
            binding: the problem.
            payload: an open file with the binding's payload.
        """
        self.digest = binding.digest
        self._asked += 1
        self._start_by = time.monotonic() + self._start_timeout_s
        self._send(Bind(binding.digest))
        with contextlib.suppress(OSError):
            # A large model sent through the socket would block until the worker reads it.
            send_handle(self.connection, payload.fileno(), self._process.pid)

    def submit(self, task: Task[Any]) -> None:
        """Gives it a task."""
        self.busy = True
        self._send(task)

    def take(self) -> Answered | Refused | Death | None:
        """What it has to say, once its connection has something; None where it is ready now.

        Raises:
            ExecutorError: if it could not bind its problem.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            return self._death()
        if isinstance(message, Ready):
            self._asked -= 1
            return None
        if isinstance(message, Refused):
            return message
        if isinstance(message, Unfit):
            raise ExecutorError(
                f"A worker process cannot load the target: {message.reason}.",
                remedy="A target must be a picklable value of an importable module.",
            )
        self.busy = False
        return Answered(message)

    def late_start(self) -> ExecutorError:
        """The error of a worker that is not ready in time."""
        return ExecutorError(
            f"A worker process was not ready after {self._start_timeout_s:g} s{self._last_words()}.",
            remedy="Use fewer workers, or raise 'executor.timeout_s'.",
        )

    def hang_up(self) -> None:
        """Lets an idle worker close its problem and end; see :meth:`wait`."""
        self.connection.close()

    def wait(self, timeout_s: float) -> None:
        """Waits for it to end of its own accord."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=timeout_s)

    def kill(self) -> int:
        """Ends the worker and everything in its process group; returns its exit status."""
        if not self._alive:
            return self._process.wait()
        self._alive = False
        status = end_child(self._process, self._reaper)
        self.connection.close()
        self._slate.close()
        self._stderr.close()
        return status

    def _send(self, message: object) -> None:
        # A worker that has just died is noticed by whoever reads its answer.
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def _death(self) -> Death:
        # It has closed its connection, but may need a moment to end.
        self.wait(1.0)
        under_way, words = self.under_way(), self._last_words()
        how = describe_exit(self.kill())
        if not self.ready:
            raise ExecutorError(
                f"A worker process ended while it started: {how}{words}.",
                remedy="Try the inline executor, which shows what goes wrong.",
            )
        return Death(under_way, how, words)

    def _last_words(self) -> str:
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _LAST_WORDS_BYTES, max(size - _LAST_WORDS_BYTES, 0))
        lines = tail.decode(errors="replace").strip().splitlines()
        return f" ({lines[-1].strip()})" if lines else ""
