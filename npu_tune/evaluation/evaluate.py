"""One evaluation in this process, with its failure, noise and time taken care of."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from npu_tune.errors import (
    CompilerError,
    EvaluationError,
    WorkerLostError,
    memory_limit,
    plain_error,
    remedy_for,
    sentence_of,
)
from npu_tune.evaluation.memory import blamed_on_memory, data_limit, memory_error
from npu_tune.evaluation.outcome import Outcome
from npu_tune.space import Configuration
from npu_tune.targets import Evaluation, Problem

_SCARCE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""What a machine runs out of, whatever the configuration; another try may go well."""


def evaluate(
    problem: Problem, configuration: Configuration, metrics: Collection[str] | None = None
) -> Outcome:
    """Evaluates one configuration; whatever goes wrong in the target becomes an outcome.

    Args:
        problem: what is evaluated.
        configuration: the effective one.
        metrics: names of those that are needed, without which metrics on request may be left
            out; None for all.
    """
    started, this_process = time.perf_counter(), os.getpid()
    try:
        made = (
            problem.evaluate(configuration)
            if metrics is None
            else problem.evaluate_some(configuration, metrics)
        )
        evaluation, error = _plain(made), None
    except EvaluationError as failure:
        evaluation, error = None, blamed_on_memory(plain_error(failure), data_limit())
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - a compiler may raise anything
        evaluation, error = None, _error_of(failure)
    finally:
        if os.getpid() != this_process:
            os._exit(0)  # a copy of this process, which the target has made and not ended
    return Outcome(evaluation, error, time.perf_counter() - started)


def is_scarcity(failure: BaseException) -> bool:
    """True where the machine, or the way to a board, is to blame."""
    if isinstance(failure, MemoryError | ConnectionError | TimeoutError):
        return True
    return isinstance(failure, OSError) and failure.errno in _SCARCE


def _error_of(failure: BaseException) -> EvaluationError:
    said = sentence_of(failure)
    own_limit = data_limit()
    if isinstance(failure, MemoryError) and own_limit is not None:
        return memory_error(own_limit, said)
    if isinstance(failure, MemoryError):
        limit = memory_limit()
        may = "" if limit is None else f" The worker may use {limit / 2**20:,.0f} MiB."
        return WorkerLostError(
            f"A worker ran out of memory while evaluating this configuration ({said}).{may}",
            remedy="Use fewer workers, or give each more memory.",
        )
    if not is_scarcity(failure):
        return blamed_on_memory(CompilerError(said), own_limit)
    return WorkerLostError(
        said, remedy=remedy_for(failure, "") if isinstance(failure, OSError) else ""
    )


def _plain(evaluation: Evaluation) -> Evaluation:
    """The same evaluation with Python's own numbers and dicts, fit for pickle and JSON."""
    return Evaluation(
        metrics={str(name): float(value) for name, value in evaluation.metrics.items()},
        profile={
            str(layer): {str(column): float(value) for column, value in row.items()}
            for layer, row in evaluation.profile.items()
        },
        notes=tuple(map(str, evaluation.notes)),
        spread={str(name): float(value) for name, value in evaluation.spread.items()},
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends what a compiler prints, from Python or C, to nowhere; Python's warnings get through.

    Where threads are within it at the same time, the first one begins it and the last one ends it.
    """
    with _HUSH.lock:
        if _HUSH.depth == 0:
            _HUSH.caught = _HUSH.stack.enter_context(_hushed())
        _HUSH.depth += 1
    try:
        yield
    finally:
        caught: list[warnings.WarningMessage] = []
        with _HUSH.lock:
            _HUSH.depth -= 1
            if _HUSH.depth == 0:
                caught, _HUSH.caught = _HUSH.caught, []
                _HUSH.stack.close()
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


@dataclass
class _Hush:
    """Whether this process prints anything, which all of its threads share."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    caught: list[warnings.WarningMessage] = field(default_factory=list)
    depth: int = 0


_HUSH = _Hush()


@contextlib.contextmanager
def _hushed() -> Iterator[list[warnings.WarningMessage]]:
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings(record=True) as caught, contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, descriptor)
            os.dup2(nowhere.fileno(), descriptor)
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield caught
