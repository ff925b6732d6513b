"""The one policy for what dies under way: tried again, a bounded number of times."""

from __future__ import annotations

from collections import Counter

from npu_tune.errors import CompilerCrashError, CompilerTimeoutError, ExecutorError
from npu_tune.validation import key_name

CRASHES = 2
"""A process that dies in an evaluation may have been killed from outside (out of memory); when
it dies again in the same one on a fresh worker, the configuration is to blame."""

LOSSES = 6
"""A lost machine says nothing about a task, but nothing is tried for ever."""


KILLED = "killed by SIGKILL"

MEMORY_SHORT = (
    "That is how the system ends processes when memory runs out: use fewer workers, or free some."
)

FAILED_STARTS = 3
"""A worker may fail to start on a machine that is short of memory for a moment."""


class WorkerStartError(ExecutorError):
    """A worker was ended, or took too long, before it was ready; another one may do better."""


class Attempts:
    """Counts how often each task, and each evaluation in it, has failed its worker.

    Args:
        losses: how often a task may lose its worker.
        workers: how many there are: all of them may fail to start at once.
    """

    def __init__(self, losses: int = LOSSES, *, workers: int = 1) -> None:
        self._most_losses = losses
        self._most_failed_starts = FAILED_STARTS + workers - 1
        self._failed_starts = 0
        self._crashes: dict[int, Counter[str]] = {}
        self._losses: Counter[int] = Counter()

    def started(self) -> None:
        """Ends the count of workers that fail to start."""
        self._failed_starts = 0

    def failed_start(self) -> bool:
        """Counts a worker that failed to start; True where another one is to be tried."""
        self._failed_starts += 1
        return self._failed_starts <= self._most_failed_starts

    def crashed(self, ticket: int, key: str) -> bool:
        """Counts a crash in an evaluation; True where it is to be tried again."""
        counts = self._crashes.setdefault(ticket, Counter())
        counts[key] += 1
        return counts[key] < CRASHES

    def lost(self, ticket: int) -> bool:
        """Counts a worker lost with a task; True where the task is to be tried again."""
        self._losses[ticket] += 1
        return self._losses[ticket] < self._most_losses

    def forget(self, ticket: int) -> None:
        """Ends the count of a task that was answered; its ticket may be used again."""
        self._crashes.pop(ticket, None)
        self._losses.pop(ticket, None)


def crash_error(how: str, last_words: str) -> CompilerCrashError:
    """The error of an evaluation that crashed its worker every time.

    Args:
        how: the process ended, such as ``killed by SIGSEGV``.
        last_words: what it wrote last, in parentheses; "" where it wrote nothing.
    """
    return CompilerCrashError(
        f"The process that ran the compiler ended: {how}{last_words}. It did so {CRASHES} times.",
        remedy=MEMORY_SHORT if how == KILLED else "",
        how=how,
    )


def start_error(what: str, how: str, last_words: str) -> WorkerStartError:
    """The error of a process that ended before it was ready.

    Args:
        what: it is called, such as ``A worker process``.
        how: as in :func:`crash_error`.
        last_words: as there.
    """
    return WorkerStartError(
        f"{what} ended while it started: {how}{last_words}.",
        remedy=MEMORY_SHORT
        if how == KILLED
        else "Try the inline executor, which shows what goes wrong.",
        how=how,
    )


def timeout_error(timeout_s: float) -> CompilerTimeoutError:
    """The error of an evaluation whose time is up."""
    return CompilerTimeoutError(
        f"The evaluation took longer than {timeout_s:g} s.",
        remedy=f"Raise {key_name('executor.timeout_s')} if the compiler needs that long.",
        timeout_s=timeout_s,
    )
