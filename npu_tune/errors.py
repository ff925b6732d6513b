"""The exceptions npu-tune raises for what a user or the outside world got wrong.

Every exception carries one clear sentence, a remedy and the data behind it, and belongs to a
class with its own exit code, so that a script can tell a bad model from a full disk.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, TypeVar

ErrorType = TypeVar("ErrorType", bound="NpuTuneError")


class NpuTuneError(Exception):
    """Base of everything this package raises on purpose.

    Args:
        message: one sentence that says what is wrong, with the offending value in it.
        remedy: one sentence that says what to do about it; empty where nothing can be done.
        data: values a program may want to look at (JSON scalars, lists and dicts).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.remedy, self.data))


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
    plain: ErrorType = kind(error.message, remedy=error.remedy, **data)
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


class InaccurateOutputError(EvaluationError):
    """The compiled network computes something else than the original."""

    failure = "inaccurate"


class WorkerLostError(EvaluationError):
    """The worker was lost through no fault of the configuration; the pool tries again."""

    failure = "infrastructure"


class NpuTuneWarning(UserWarning):
    """Something a person should know that does not stop the work."""
