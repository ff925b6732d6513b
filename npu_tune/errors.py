"""The exceptions npu-tune raises for what a user or the outside world got wrong.

Every exception carries one clear sentence, a remedy and the data behind it, and belongs to a
class with its own exit code, so that a script can tell a bad model from a full disk.
"""

from __future__ import annotations

import errno
import json
import resource
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

ErrorType = TypeVar("ErrorType", bound="NpuTuneError")

MOST_CHARACTERS = 2000
"""Of a message, or of a remedy: what stands in a file may be of any length."""


class NpuTuneError(Exception):
    """Base of everything this package raises on purpose.

    Args:
        message: one sentence that says what is wrong, with the offending value in it.
        remedy: one sentence that says what to do about it; empty where nothing can be done.
        data: values a program may want to look at (JSON scalars, lists and dicts).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", **data: Any) -> None:
        super().__init__(_clip(message))
        self.message = _clip(message)
        self.remedy = _clip(remedy)
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.remedy, self.data))


def _clip(text: str) -> str:
    """The beginning and the end of a text, where it is too long to be read."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[: MOST_CHARACTERS - 500]} [...] {text[-400:]}"


def _rebuild(
    kind: type[NpuTuneError], message: str, remedy: str, data: dict[str, Any]
) -> NpuTuneError:
    return kind(message, remedy=remedy, **data)


def plain_error(error: ErrorType) -> ErrorType:
    """An error of a class of this module, with data that any other process can read.

    What a target of somebody else raises may be a class of its own, with arguments of its own.
    """
    kind = next(each for each in type(error).__mro__ if each.__module__ == __name__)
    data = {name: value for name, value in error.data.items() if _is_json(value)}
    message = str(error.message) or sentence_of(error)
    plain: ErrorType = kind(message, remedy=str(error.remedy), **data)
    return plain


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


class UsageError(NpuTuneError, ValueError):
    """A command line or study file that asks for something that makes no sense."""

    exit_code = 2


class ModelError(NpuTuneError, ValueError):
    """A model file that is missing, corrupt, or not fit for what is asked of it."""

    exit_code = 3


class ModelFormatError(ModelError):
    """A model in a format that the target does not read; the same model as int8 TFLite may do."""


class UnsupportedOperatorError(ModelError):
    """A model with an operator that the reader or writer cannot handle; names the node."""


class ConversionError(ModelError):
    """An int8 form that computes something else than its float source, or cannot be compared."""


class RewriteError(ModelError):
    """A rewritten network that computes something else than its source."""


class TargetError(NpuTuneError, ValueError):
    """An unknown target, or a target option (system config, memory mode, ...) that is unknown."""

    exit_code = 4


class StudyMismatchError(NpuTuneError, ValueError):
    """A stored study that belongs to another model, target or search space."""

    exit_code = 5


class InfeasibleError(NpuTuneError):
    """No evaluated configuration meets the limits; ``data`` holds the least infeasible one."""

    exit_code = 6


class StorageError(NpuTuneError, OSError):
    """The ledger cannot be read or written: full disk, damaged file, unreachable server."""

    exit_code = 7


class OutageError(StorageError):
    """A storage that cannot be read or written just now; the same call may succeed later."""


class LostStorageError(StorageError):
    """A storage that is not the one any more that this process writes: removed, cut, replaced."""


class ExecutorError(NpuTuneError, RuntimeError):
    """Workers cannot be started, or all of them are lost."""

    exit_code = 8


class MissingExtraError(NpuTuneError, ImportError):
    """An optional dependency is needed and not installed; the remedy names the extra."""

    exit_code = 9


class EvaluationError(NpuTuneError):
    """One configuration could not be evaluated; the trial fails, the study goes on.

    ``failure`` is the class under which reports count it. The exit code is for a command that can
    do nothing without this very configuration: the default, or one to be exported.
    """

    exit_code = 10
    failure: ClassVar[str] = "error"


class IllegalConfigurationError(EvaluationError, ValueError):
    """The target's rules forbid this configuration."""

    failure = "illegal"


class CompilerError(EvaluationError):
    """The compiler refused or stopped with an error of its own."""

    failure = "compiler-error"


class CompilerCrashError(EvaluationError):
    """The process that ran the compiler died."""

    failure = "crash"


class CompilerTimeoutError(EvaluationError):
    """The compiler ran longer than the time allowed for one evaluation."""

    failure = "timeout"


class CompilerMemoryError(EvaluationError):
    """The compiler wanted more memory than is allowed for one evaluation."""

    failure = "out-of-memory"


class InaccurateOutputError(EvaluationError):
    """The compiled network computes something else than the original."""

    failure = "inaccurate"


class VerificationError(NpuTuneError):
    """What a folder holds is not what comes out when it is made once more."""

    exit_code = 11


class WorkerLostError(EvaluationError):
    """The worker was lost through no fault of the configuration; the pool tries again."""

    failure = "infrastructure"


FAILURES: Mapping[str, type[EvaluationError]] = {
    kind.failure: kind
    for kind in (
        EvaluationError,
        IllegalConfigurationError,
        CompilerError,
        CompilerCrashError,
        CompilerTimeoutError,
        CompilerMemoryError,
        InaccurateOutputError,
        WorkerLostError,
    )
}
"""Exceptions by the class under which reports count them."""


class NpuTuneWarning(UserWarning):
    """Something a person should know that does not stop the work."""


_REMEDIES: Mapping[int, str] = {
    errno.EACCES: "Check the permissions of the path and of the folders above it.",
    errno.EBUSY: "Wait until the program that is using it has ended.",
    errno.EDQUOT: "Your quota there is used up: free some of it, or choose another folder.",
    errno.EEXIST: "Something else has that name already: remove it, or choose another name.",
    errno.EFBIG: "Files there may not be that large: raise the limit (`ulimit -f`), or choose "
    "another disk.",
    errno.EINVAL: "Choose another name; that one is not allowed there.",
    errno.EIO: "The disk fails: the system's log (`dmesg`) says more. Choose another one.",
    errno.EISDIR: "Name a file; that is a folder.",
    errno.ELOOP: "Its symbolic links lead in a circle: remove one of them.",
    errno.EMFILE: "Raise the limit on open files (`ulimit -n`), or use fewer workers.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.ENFILE: "The whole machine has too many files open: end some programs.",
    errno.ENODEV: "Check that the disk or network drive is still there.",
    errno.ENOENT: "Check the path.",
    errno.ENOLCK: "That disk does not lock files: choose one of this machine.",
    errno.ENOMEM: "Memory is short: use fewer workers, or end other programs.",
    errno.ENOSPC: "Free some space there, or choose another folder.",
    errno.ENOTDIR: "A part of the path is a file where a folder has to be: choose another one.",
    errno.EPERM: "Check the permissions of the path and of the folders above it.",
    errno.EROFS: "That disk can only be read: choose a folder on another one.",
    errno.ESTALE: "Check that the disk or network drive is still there.",
    errno.ETXTBSY: "Wait until the program that is using it has ended.",
}


def remedy_for(error: OSError, otherwise: str) -> str:
    """What a person can do about what the operating system refuses.

    Args:
        error: what it says.
        otherwise: what can be done where the kind of error does not tell.
    """
    return _REMEDIES.get(error.errno or 0, otherwise)


_MEANINGS: Mapping[type[BaseException], str] = {
    MemoryError: "memory ran out",
    AssertionError: "a check in the code failed",
    TimeoutError: "it took too long",
    ConnectionError: "a connection was lost",
    EOFError: "what was to be read ended too early",
    NotImplementedError: "that is not implemented",
    RecursionError: "it is nested too deeply",
    ZeroDivisionError: "a division by zero",
    KeyboardInterrupt: "it was interrupted",
    SystemExit: "the program was asked to end",
}


def sentence_of(error: BaseException) -> str:
    """The kind of an exception and what it says; one that says nothing is put into words."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a class of somebody else
        said = ""
    if not said.strip():
        kinds = type(error).__mro__
        said = next((_MEANINGS[k] for k in kinds if k in _MEANINGS), "it says nothing more")
    return f"{type(error).__name__}: {said}"


def memory_limit() -> int | None:
    """The bytes of address space that this process may use; None where there is no limit."""
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)
