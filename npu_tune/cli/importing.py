"""``npu-tune import``: takes a study over into another storage."""

from __future__ import annotations

import click

from npu_tune.cli.completion import complete_folder
from npu_tune.cli.output import CommandResult, print_result


@click.command("import", short_help="Takes a study over into another folder or storage.")
@click.argument("source", shell_complete=complete_folder)
@click.option("--to", required=True, metavar="PLACE", help="A new folder, or path or URL.")
@click.option("--study-name", metavar="NAME", help="Of the study, where SOURCE is no folder.")
@click.option("--storage", metavar="URL", help="A database instead of a file in the new folder.")
@print_result
def import_(source: str, *, to: str, study_name: str | None, storage: str | None) -> CommandResult:
    """Copies the study SOURCE, a folder or a storage, whole; the copy resumes as it would.

    SOURCE stays as it is. An interrupted copy is taken up by the same command.
    """
    from npu_tune.tuning.importing import import_study  # noqa: PLC0415 -- keeps --help fast

    done = import_study(source, to, name=study_name, storage=storage, tell=_tell)
    document = {
        "study": {"name": done.name, "place": done.place},
        "trials": done.trials,
        "new": done.new,
    }
    text = f"{done.name}: {done.trials} trials are in {done.place}, {done.new} of them new"
    return CommandResult(document, text)


def _tell(done: int, of: int) -> None:
    click.echo(f"npu-tune: {done} of {of} trials", err=True)
