"""``npu-tune verify``: makes once more what a folder holds, and compares."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from npu_tune.cli.completion import complete_folder
from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.tune import quiet_option


@click.command(short_help="Makes once more what a folder holds, and compares.")
@click.argument("folder", type=click.Path(path_type=Path), shell_complete=complete_folder)
@click.option(
    "--model",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of the model, where it is not in the folder.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    help="Of a study, evaluate so many trials drawn from it instead of the best.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw."
)
@quiet_option
@print_result
def verify(
    folder: Path, *, model: Path | None, sample: int | None, seed: int, quiet: bool
) -> CommandResult:
    """Makes once more what FOLDER holds, an export or a study, and says what differs.

    An export's files are held against their checksums, then its trial is built once more, and every
    file and metric compared; of a study, trials are evaluated once more. Code 11: something
    differs.
    """
    from npu_tune.report.verification.verify import verify_folder  # noqa: PLC0415 -- slow
    from npu_tune.report.verification.words import (  # noqa: PLC0415
        verification_document,
        verification_text,
    )

    def tell(what: str) -> None:
        if not quiet:
            print(f"{what} ...", file=sys.stderr, flush=True)

    found = verify_folder(folder, model=model, sample=sample, seed=seed, tell=tell)
    return CommandResult(
        verification_document(found), verification_text(found), error=found.shortcoming
    )
