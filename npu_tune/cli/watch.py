"""``npu-tune watch``: follows a study that another process runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from npu_tune.cli.failures import InterruptError
from npu_tune.cli.options import study_argument
from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.progress import describe, display
from npu_tune.cli.tune import RESUME, quiet_option
from npu_tune.errors import ExecutorError, NpuTuneError

if TYPE_CHECKING:
    from npu_tune.tuning.watching import StudyStatus, StudyWatch

_LEAST_REST = 10.0
"""Times as long as a look took, until the next one: reading a large study is not the main work."""


@click.command(short_help="Follows a study that another process runs.")
@study_argument
@click.option("--once", is_flag=True, help="Print one line and end.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks; longer where reading the study takes long.",
)
@quiet_option
@print_result
def watch(study: Path, *, once: bool, interval: float, quiet: bool) -> CommandResult:
    """Shows how far STUDY, a folder, has come, until its last run has ended.

    Nothing of the study is touched; Ctrl-C ends the watching alone.
    """
    from npu_tune.report.status import best_line, status_document  # noqa: PLC0415 -- fast --help
    from npu_tune.tuning.watching import StudyWatch  # noqa: PLC0415

    with StudyWatch(study) as watching:
        status = watching.look() if once else _follow(watching, interval, quiet=quiet)
    document, line = status_document(status, folder=study), _line(status)
    if once:
        return CommandResult(document, line, error=_shortcoming(status))
    reason = f"Why it ended: {status.result.stopped}." if status.result.stopped else ""
    more = f"`npu-tune show {study}` shows what was found."
    text = "\n".join(part for part in (line, best_line(status.result), reason, more) if part)
    return CommandResult(document, text, error=_shortcoming(status))


def _follow(watching: StudyWatch, interval_s: float, *, quiet: bool) -> StudyStatus:
    """Shows every moment of a study until nobody works on it any more."""
    from npu_tune.report.status import best_line  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.watching import State  # noqa: PLC0415

    shown, best = display(), ""
    try:
        while True:
            started = time.monotonic()
            status = watching.look()
            if status.state is not State.RUNNING:
                return status
            if not quiet:
                if (line := best_line(status.result)) != best:
                    best = line
                    shown.say(line)
                shown(status.progress)
            took_s = time.monotonic() - started
            time.sleep(max(interval_s, _LEAST_REST * took_s))
    except KeyboardInterrupt:
        raise InterruptError(
            "No longer watched.", remedy="The study itself goes on as before."
        ) from None
    finally:
        shown.finish()


def _line(status: StudyStatus) -> str:
    from npu_tune.tuning.watching import State  # noqa: PLC0415 -- keeps --help fast

    if status.state is State.RUNNING:
        return describe(status.progress)
    state = "interrupted" if status.result.stopped == "interrupted" else str(status.state)
    return describe(status.progress, state=state)


def _shortcoming(status: StudyStatus) -> NpuTuneError | None:
    from npu_tune.tuning.watching import State  # noqa: PLC0415 -- keeps --help fast

    if status.result.stopped == "interrupted":
        return InterruptError("The study was interrupted.", remedy=RESUME)
    if status.state is State.KILLED:
        return ExecutorError(
            "Nobody works on the study any more: it was killed, or failed.", remedy=RESUME
        )
    return None
