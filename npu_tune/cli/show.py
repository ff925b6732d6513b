"""``npu-tune show``: what a study found, also while it runs."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.options import study_argument
from npu_tune.cli.output import CommandResult, print_result


@click.command(short_help="Shows what a study found, also while it runs.")
@study_argument
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw the front and the best so far into this .png, .svg or .pdf.",
)
@print_result
def show(study: Path, plot: Path | None) -> CommandResult:
    """Shows the best, the front, what changed per layer and the failures of STUDY, a folder."""
    from npu_tune.report import plot_study, study_document, study_text  # noqa: PLC0415
    from npu_tune.report.build import fill_in_best  # noqa: PLC0415
    from npu_tune.report.origin import file_command  # noqa: PLC0415
    from npu_tune.targets.garbage import no_collection  # noqa: PLC0415
    from npu_tune.tuning import read_study  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.dashboard import optuna_line  # noqa: PLC0415
    from npu_tune.tuning.folder import read_study_folder  # noqa: PLC0415

    # What is read lives as long as the command, so that there is no garbage in it to look for.
    with no_collection():
        result = fill_in_best(study, read_study(study))
        if plot is not None:
            plot_study(result, plot, command=file_command("show", study, plot=plot))
        text = f"{study_text(result)}\n\n{optuna_line(read_study_folder(study))}"
        return CommandResult(study_document(result, folder=study), text)
