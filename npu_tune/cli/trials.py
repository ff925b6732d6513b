"""``npu-tune trials``: every trial of a study, for tools that read tables."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.options import study_argument
from npu_tune.cli.output import CommandResult, print_result


@click.command(short_help="Lists every trial of a study, or writes them as CSV or Parquet.")
@study_argument
@click.option("--csv", type=click.Path(path_type=Path), help="Write all trials into this file.")
@click.option("--parquet", type=click.Path(path_type=Path), help="The same, as Parquet.")
@print_result
def trials(study: Path, csv: Path | None, parquet: Path | None) -> CommandResult:
    """Lists the trials of STUDY, a folder; files have metrics and changes in columns."""
    from npu_tune.report.origin import FileOrigin, file_command  # noqa: PLC0415
    from npu_tune.report.trials import (  # noqa: PLC0415 -- keeps --help fast
        trials_document,
        trials_text,
        write_trials,
    )
    from npu_tune.tuning import read_study  # noqa: PLC0415

    result = read_study(study)
    for path, kind in ((csv, "csv"), (parquet, "parquet")):
        if path is not None:
            origin = FileOrigin(result.name, None, file_command("trials", study, **{kind: path}))
            write_trials(result, path, as_parquet=path is parquet, origin=origin)
    written = [f"Wrote {path}." for path in (csv, parquet) if path is not None]
    text = "\n".join(written) if written else trials_text(result)
    return CommandResult(trials_document(result, folder=study), text)
