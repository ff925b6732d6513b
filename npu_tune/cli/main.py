"""The entry point: the group of commands, and every exception turned into an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TextIO

import click
from click.shell_completion import shell_complete

from npu_tune.cli.cache import cache
from npu_tune.cli.compare import compare
from npu_tune.cli.completion import PROGRAM, VARIABLE, completion
from npu_tune.cli.convert import convert
from npu_tune.cli.doctor import doctor
from npu_tune.cli.export import export
from npu_tune.cli.failures import InternalError, InterruptError
from npu_tune.cli.front import front
from npu_tune.cli.importing import import_
from npu_tune.cli.output import echo_document, echo_error
from npu_tune.cli.polish import polish
from npu_tune.cli.report import report
from npu_tune.cli.rewrite import rewrite
from npu_tune.cli.show import show
from npu_tune.cli.space import space
from npu_tune.cli.targets import targets
from npu_tune.cli.trials import trials
from npu_tune.cli.tune import RESUME, run, tune
from npu_tune.cli.verify import verify
from npu_tune.cli.version import print_version
from npu_tune.cli.watch import watch
from npu_tune.errors import (
    ExecutorError,
    NpuTuneError,
    NpuTuneWarning,
    StorageError,
    UsageError,
    remedy_for,
    sentence_of,
)

BROKEN_PIPE = 141
_MORE_MEMORY = "Use fewer workers or a smaller model, or end other programs."
TRACEBACK_VARIABLE = "NPU_TUNE_TRACEBACK"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version, and those of compilers and libraries.",
)
def commands() -> None:
    """Tunes how a neural network is compiled for an edge accelerator, layer by layer."""


for _command in (
    tune, run, watch, polish, space, targets, show, report, trials, front, export, verify, convert,
    rewrite, compare, doctor, import_, cache, completion,
):  # fmt: skip
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and leaves with a documented exit code (docs/exit_codes.md)."""
    _answer_shell()
    # The samplers' matrices are so small that threads, which wait for one another on processors
    # that workers keep busy, take several times as long as one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    _show_own_warnings_only()
    _show_own_notes()
    try:
        code = _exit_code(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output went away: say nothing more, not even at interpreter exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = BROKEN_PIPE
    sys.exit(code)


def _answer_shell() -> None:
    """Completes words and leaves, where a shell asks for that."""
    if asked := os.environ.get(VARIABLE):
        sys.exit(shell_complete(commands, {}, PROGRAM, VARIABLE, asked))


def _exit_code(arguments: list[str]) -> int:
    try:
        with commands.make_context(PROGRAM, [*arguments], obj=tuple(arguments)) as context:
            commands.invoke(context)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, click.Abort):
        return _fail(InterruptError("Interrupted.", remedy=RESUME), arguments)
    except NpuTuneError as error:
        return _fail(error, arguments)
    except click.ClickException as error:
        return _fail(_as_usage_error(error), arguments)
    except OSError as error:
        return _fail(_as_storage_error(error), arguments)
    except MemoryError:
        return _fail(ExecutorError("Memory ran out.", remedy=_MORE_MEMORY), arguments)
    except Exception as error:  # noqa: BLE001 -- the last resort of the whole program
        return _fail(_as_internal_error(error), arguments)
    return 0


def _as_internal_error(error: Exception) -> InternalError:
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    return InternalError(
        f"Internal error: {sentence_of(error)}",
        remedy=f"This is a bug; set {TRACEBACK_VARIABLE}=1 to see where it happened.",
    )


def _fail(error: NpuTuneError, arguments: list[str]) -> int:
    if "--json" in arguments:
        command = next((word for word in arguments if word in commands.commands), None)
        echo_document({"command": command}, error=error)
    else:
        echo_error(error.message, error.remedy)
    return error.exit_code


def _as_usage_error(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "npu-tune"
    return UsageError(error.format_message(), remedy=f"`{path} --help` lists what it takes.")


def _as_storage_error(error: OSError) -> StorageError:
    where = f" ({error.filename})" if error.filename else ""
    remedy = remedy_for(error, "Check the path and the permissions.")
    return StorageError(
        f"{error.strerror or error}{where}.", remedy=f"{remedy} Then run the same command again."
    )


def _echo_aside(text: str) -> None:
    """Writes a line to standard error, above the bar where one is drawn there."""
    drawing = sys.modules.get("tqdm")
    with nullcontext() if drawing is None else drawing.tqdm.external_write_mode(sys.stderr):
        click.echo(text, err=True)


class _Notes(logging.Handler):
    """Writes what the package logs to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        _echo_aside(f"npu-tune: {record.getMessage()}")


def _show_own_notes() -> None:
    logger = logging.getLogger("npu_tune")
    logger.setLevel(logging.INFO)
    logger.handlers = [_Notes()]


def _show_own_warnings_only() -> None:
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", NpuTuneWarning)
    shown_before = warnings.showwarning

    def show_warning(  # noqa: PLR0917 -- the signature Python asks for
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, NpuTuneWarning):
            _echo_aside(f"npu-tune: warning: {message}")
        else:
            shown_before(message, category, filename, lineno, file, line)

    warnings.showwarning = show_warning
