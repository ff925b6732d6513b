"""``npu-tune polish``: takes back the changes of a study's best that gain nothing."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.options import study_argument
from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.tune import quiet_option, search

DEFAULT_EVALUATIONS = 500
"""Far more than the few per change that it takes."""


@click.command(short_help="Takes back changes of a study's best that gain nothing.")
@study_argument
@click.option(
    "--evaluations",
    type=click.IntRange(min=1),
    default=DEFAULT_EVALUATIONS,
    show_default=True,
    help="At most so many further evaluations, beyond the study's own.",
)
@quiet_option
@print_result
def polish(study: Path, evaluations: int, *, quiet: bool) -> CommandResult:
    """Takes back the changes of the best of STUDY, a folder, that gain nothing."""
    from npu_tune.tuning.folder import read_study_folder  # noqa: PLC0415 -- keeps --help fast

    opening = f"Polishes the best of the study in {study}"
    return search(read_study_folder(study), quiet=quiet, opening=opening, polish=evaluations)
