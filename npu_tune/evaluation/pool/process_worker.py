"""One worker process, as its parent sees it."""

from __future__ import annotations

import contextlib
import pickle
import shutil
import time
from dataclasses import dataclass
from typing import IO, Any

from npu_tune.errors import ExecutorError
from npu_tune.evaluation.pool.attempts import WorkerStartError, start_error
from npu_tune.evaluation.pool.base import Task
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.evaluation.pool.children import (
    Child,
    start_errors,
    temporary_errors,
    temporary_file,
    temporary_folder,
)
from npu_tune.evaluation.pool.messages import (
    NO_ANSWER,
    Answered,
    Bind,
    BrokenLineError,
    Line,
    Ready,
    Refused,
    Unfit,
    Unsendable,
    pickled,
)
from npu_tune.evaluation.pool.slate import Slate
from npu_tune.validation import key_name

START_TIMEOUT_S = 120.0
"""For a worker to import the target's compiler, on a machine that is busy with other workers."""


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

    What it leaves in its temporary folder ends with it, also where it is killed.

    Args:
        timeout_s: the time one evaluation may take.
        memory_limit: bytes that each process of it may have; None for any number.

    Raises:
        ExecutorError: if it cannot be started.
    """

    def __init__(self, *, timeout_s: float, memory_limit: int | None = None) -> None:
        self._timeout_s = timeout_s
        self._alive = True
        self._asked = 0
        self._start_timeout_s = max(START_TIMEOUT_S, timeout_s)
        self._start_by = time.monotonic() + self._start_timeout_s
        self.digest = ""
        self.busy = False
        with contextlib.ExitStack() as until_started, temporary_file() as slate_file:
            with temporary_errors():
                self._slate = Slate(slate_file.fileno())
            until_started.callback(self._slate.close)
            with start_errors():
                self._line = Line()
            until_started.callback(self._line.close)
            folder = temporary_folder("npu-tune-worker-")
            until_started.callback(shutil.rmtree, folder, ignore_errors=True)
            self._child = Child(
                "npu_tune.evaluation.pool.worker",
                self._line.lend(),
                slate_file.fileno(),
                words=() if memory_limit is None else (str(memory_limit),),
                stop_s=timeout_s,
                folder=folder,
            )
            self._line.keep()
            until_started.pop_all()
        self.connection = self._line.connection

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
        self._line.send(pickle.dumps(Bind(binding.digest)))
        self._line.send_file(payload, self._child.pid)

    def submit(self, task: Task[Any]) -> None:
        """Gives it a task.

        Raises:
            ExecutorError: if the task cannot be pickled.
        """
        self._line.send(pickled(task, "A task"))
        self.busy = True

    def take(self) -> Answered | Unsendable | Refused | Death | None:
        """What it has to say, once its connection has something; None where it is ready now.

        Raises:
            WorkerStartError: if it ended before it was ready.
            ExecutorError: if it cannot load the target.
        """
        try:
            message = self._line.receive()
            if isinstance(message, Answered | Unsendable) and self.busy:
                self.busy = False
                return message
            if isinstance(message, Ready) and self._asked > 0:
                self._asked -= 1
                return None
            if isinstance(message, Refused):
                return message
            if not isinstance(message, Unfit):
                raise BrokenLineError(NO_ANSWER)
        except BrokenLineError as error:
            return self._death(error)
        reason = f"A worker process cannot load the target: {message.reason.rstrip('.')}."
        if message.scarce:
            raise WorkerStartError(reason, remedy="Use fewer workers, or free some of it.")
        raise ExecutorError(
            reason, remedy="A target must be a picklable value of an importable module."
        )

    def late_start(self) -> WorkerStartError:
        """The error of a worker that is not ready in time."""
        words = self._child.last_words()
        return WorkerStartError(
            f"A worker process was not ready after {self._start_timeout_s:g} s{words}.",
            remedy=f"Use fewer workers, or raise {key_name('executor.timeout_s')}.",
        )

    def hang_up(self) -> None:
        """Lets an idle worker close its problem and end; see :meth:`wait`."""
        self._line.close()

    def wait(self, timeout_s: float) -> None:
        """Waits for it to end of its own accord."""
        self._child.has_ended(timeout_s)

    def kill(self) -> None:
        """Ends the worker and everything that it has started; may be called again."""
        if self._alive:
            self._alive = False
            self._child.end()
            self._line.close()
            self._slate.close()

    def _death(self, error: BrokenLineError) -> Death:
        how = self._child.how_it_ended(error)
        under_way, words = self.under_way(), self._child.last_words()
        self.kill()
        if not self.ready:
            raise start_error("A worker process", how, words)
        return Death(under_way, how, words)
