"""What a command prints: one text or one JSON document on standard output, nothing else."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from npu_tune.columns import COLUMNS, columns_of
from npu_tune.errors import NpuTuneError

if TYPE_CHECKING:
    from npu_tune.targets import Problem

SCHEMA = "npu-tune/1"
"""The schema of every JSON document, described in ``docs/json.md``."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command found.

    Args:
        document: for ``--json``, without the keys ``schema`` and ``command``.
        text: for people.
        error: what went wrong although there is something to show; decides the exit code.
    """

    document: Mapping[str, Any]
    text: str
    error: NpuTuneError | None = None


def print_result(command: Callable[..., CommandResult]) -> Callable[..., None]:
    """Decorates a function as the body of a click command that prints what it returns.

    Adds ``--json``. While the function works, whatever libraries print to standard output goes
    to standard error, so that the result stands there alone.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @functools.wraps(command)
    def body(*args: Any, as_json: bool, **kwargs: Any) -> None:
        with columns_of(_columns()), _clean_standard_output():
            result = command(*args, **kwargs)
        if as_json:
            echo_document(result.document, error=result.error)
        else:
            click.echo(result.text)
            if result.error is not None:
                echo_error(result.error.message, result.error.remedy)
        if result.error is not None:
            raise click.exceptions.Exit(result.error.exit_code)

    return body


def _columns() -> int:
    """How wide a terminal that standard output is; elsewhere what is usual."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS
    except (OSError, ValueError):  # no terminal, or no file at all
        return COLUMNS


def problem_document(problem: Problem) -> dict[str, Any]:
    """The keys ``model``, ``target`` and ``confidence`` of a JSON document."""
    identity, confidence = problem.identity, problem.confidence
    return {
        "confidence": None if confidence is None else confidence.to_dict(),
        "model": {"name": problem.network.name, "sha256": identity.model_sha256},
        "target": {"name": identity.target, "fingerprint": dict(identity.fingerprint)},
    }


def echo_document(document: Mapping[str, Any], *, error: NpuTuneError | None = None) -> None:
    """Prints the one JSON document of a command."""
    context = click.get_current_context(silent=True)
    whole = {"schema": SCHEMA, "command": context.info_name if context else None, **document}
    if error is not None:
        whole["error"] = error_document(error)
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False, default=str))


def error_document(error: NpuTuneError) -> dict[str, Any]:
    """The ``error`` object of a JSON document."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
        "exit_code": error.exit_code,
        "data": error.data,
    }


def echo_error(message: str, remedy: str = "") -> None:
    """One sentence on standard error, and the remedy behind it."""
    click.echo(f"npu-tune: {message} {remedy}".rstrip(), err=True)


@contextmanager
def _clean_standard_output() -> Iterator[None]:
    """Sends what is printed meanwhile, from Python or C, to standard error."""
    try:
        standard_output, standard_error = sys.stdout.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):  # replaced by something that is no file, as in tests
        yield
        return
    sys.stdout.flush()
    kept = os.dup(standard_output)
    os.dup2(standard_error, standard_output)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, standard_output)
        os.close(kept)
