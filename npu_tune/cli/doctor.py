"""``npu-tune doctor``: what is wrong with a study's storage, and its repair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from npu_tune.cli.completion import complete_folder
from npu_tune.cli.output import CommandResult, print_result
from npu_tune.errors import StorageError, UsageError

if TYPE_CHECKING:
    from npu_tune.tuning.doctor import Diagnosis


@click.command(short_help="Finds, and repairs, what is wrong with a study's storage.")
@click.argument(
    "study", type=click.Path(path_type=Path), required=False, shell_complete=complete_folder
)
@click.option("--storage", metavar="URL", help="A journal file or database instead of a folder.")
@click.option("--study-name", metavar="NAME", help="Where the storage holds several studies.")
@click.option("--repair", is_flag=True, help="Keep a backup, then repair what can be repaired.")
@print_result
def doctor(
    study: Path | None, *, storage: str | None, study_name: str | None, repair: bool
) -> CommandResult:
    """Examines the storage of STUDY, a folder; nothing is changed without --repair.

    It ends with exit code 7 where something is wrong and was not repaired.
    """
    from npu_tune.tuning.doctor import examine_study  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.folder import read_study_folder  # noqa: PLC0415

    if (study is None) == (storage is None):
        raise UsageError(
            "What is to be examined is named by a folder or by --storage.",
            remedy="Give the one or the other.",
        )
    file = None if study is None else read_study_folder(study)
    diagnosis = examine_study(
        storage or ("" if file is None else file.storage),
        name=study_name or (None if file is None else file.name),
        study=file,
        repair=repair,
    )
    return CommandResult(
        diagnosis.to_dict(), _text(diagnosis), error=_shortcoming(diagnosis, repair=repair)
    )


def _text(diagnosis: Diagnosis) -> str:
    lines = [f"{diagnosis.storage}: {diagnosis.trials} finished trials can be read"]
    for finding in diagnosis.findings:
        if diagnosis.repaired and finding.repairable:
            mark = "repaired"
        else:
            mark = "--repair" if finding.repairable else "by hand"
        lines.append(f"  {finding.kind} ({mark}): {finding.what} {finding.remedy}")
    if not diagnosis.findings:
        lines.append("  nothing is wrong")
    if diagnosis.backup is not None:
        lines.append(f"The storage as it was is kept as {diagnosis.backup}.")
    return "\n".join(lines)


def _shortcoming(diagnosis: Diagnosis, *, repair: bool) -> StorageError | None:
    left = diagnosis.left
    if not left:
        return None
    remedy = "What is said above has to be done by hand."
    if not repair and any(finding.repairable for finding in left):
        remedy = "`--repair` keeps a backup and repairs what can be repaired."
    count = "One thing is" if len(left) == 1 else f"{len(left)} things are"
    return StorageError(f"{count} wrong with {diagnosis.storage}.", remedy=remedy)
