"""``npu-tune import``: takes a study over, one of npu-tune whole, of another what it has tried."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npu_tune.cli.completion import complete_folder, complete_model
from npu_tune.cli.failures import InterruptError
from npu_tune.cli.options import (
    calibration_option,
    no_check_option,
    objective_options,
    objective_tables,
    pace_options,
    target_options,
    target_table,
)
from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.progress import progress_listener
from npu_tune.cli.target_command import TargetCommand
from npu_tune.cli.tune import RESUME, quiet_option
from npu_tune.errors import UsageError
from npu_tune.numerals import number_ranges

if TYPE_CHECKING:
    from npu_tune.tuning import StudyFile
    from npu_tune.tuning.foreign.agreement import ImportSummary
    from npu_tune.tuning.importing import Imported

_RENAMED = {"model.path": "--model", "study.folder": "--to", "import.values": "--values"}


@click.command(
    "import",
    cls=TargetCommand,
    renamed=_RENAMED,
    short_help="Takes a study over into another folder or storage.",
)
@click.argument("source", shell_complete=complete_folder)
@click.option("--to", required=True, metavar="PLACE", help="A new folder, or path or URL.")
@click.option("--study-name", metavar="NAME", help="Where SOURCE holds several studies.")
@click.option("--storage", metavar="URL", help="A database instead of a file in the new folder.")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    metavar="STUDY",
    help="Of a study of plain Optuna: a study file that says what it is about.",
)
@click.option(
    "--model",
    shell_complete=complete_model,
    metavar="MODEL",
    help="Of a study of plain Optuna, instead of a file: a model, or a built-in network.",
)
@partial(target_options, required=False)
@calibration_option
@no_check_option
@objective_options
@click.option("--evaluations", type=int, help="How many are evaluated at most. [default: 1500]")
@pace_options
@click.option(
    "--values",
    metavar="NAMES",
    help="Which metrics SOURCE's values are, such as latency_ms,energy.",
)
@quiet_option
@print_result
def import_(
    source: str,
    *,
    to: str,
    study_name: str | None,
    storage: str | None,
    file: Path | None,
    model: str | None,
    values: str | None,
    quiet: bool,
    **about: Any,
) -> CommandResult:
    """Takes the study SOURCE, a folder or a storage, over; SOURCE stays as it is.

    One of npu-tune is copied whole and resumes as it would. Of one of plain Optuna the
    configurations are evaluated here, the best first. The same command again goes on.
    """
    import optuna  # noqa: PLC0415 -- keeps --help fast

    from npu_tune.tuning.importing import import_study  # noqa: PLC0415
    from npu_tune.tuning.stretch_record import PYTHON, command_text  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    into = _into(Path(to), storage, file, model, **about)
    given = click.get_current_context().find_root().obj
    copy = partial(
        import_study,
        source,
        to,
        name=study_name,
        storage=storage,
        into=into,
        values=[each.strip() for each in values.split(",")] if values else (),
        tell=_tell,
        command=PYTHON if given is None else command_text(given),
    )
    if into is None:
        return _result(copy())
    with progress_listener(quiet=quiet, opening=f"Takes {source} over into {to}") as listener:
        return _result(copy(listener=listener))


def _into(
    folder: Path,
    storage: str | None,
    file: Path | None,
    model: str | None,
    *,
    target: str | None,
    assignments: tuple[str, ...],
    calibration: Path | None,
    no_check: bool,
    objective: str | None,
    mode: str | None,
    maximize: tuple[str, ...],
    limits: tuple[str, ...],
    evaluations: int | None,
    workers: int | None,
    timeout: str | None,
    **flags: Any,
) -> StudyFile | None:
    """What takes a study of plain Optuna over; None where nothing is said of it."""
    from npu_tune.tuning.folder import kept_identity  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.study_file import parse_study, without_none  # noqa: PLC0415

    own = (model, target, objective, mode, calibration, evaluations, workers, timeout)
    is_said = any(v is not None for v in own) or any((assignments, no_check, maximize, limits))
    if file is not None:
        if is_said:
            raise UsageError(
                "Both a study file and what stands in one are given.",
                remedy="Leave --file out, or all but --file, --to and --storage.",
            )
        return _of_file(file, folder, storage)
    if not is_said:
        return None
    if model is None or target is None:
        raise UsageError(
            "A study of plain Optuna is about a model and a target, and one of them is not named.",
            remedy="Name both, --model and --target; for a study of npu-tune neither.",
        )
    document = {
        "model": {"path": model, "calibration": calibration, "check": not no_check},
        "target": target_table(target=target, assignments=assignments, **flags),
        "study": {
            **kept_identity(folder, storage),
            "folder": folder.resolve(),
            "evaluations": evaluations,
        },
        **objective_tables(objective, mode=mode, maximize=maximize, limits=limits),
        "executor": {"workers": workers, "timeout_s": timeout},
    }
    return parse_study(without_none(document), base=Path.cwd(), source="command line")


def _of_file(file: Path, folder: Path, storage: str | None) -> StudyFile:
    from npu_tune.tuning import load_study_file  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.folder import kept_identity  # noqa: PLC0415
    from npu_tune.tuning.study_file import names_of_keys  # noqa: PLC0415
    from npu_tune.validation import keys_called  # noqa: PLC0415

    with keys_called(names_of_keys()):
        study = load_study_file(file)
    moved = {**kept_identity(folder, storage or study.study.storage), "folder": folder.resolve()}
    return study.model_copy(update={"study": study.study.model_copy(update=moved)})


def _result(done: Imported) -> CommandResult:
    document: dict[str, Any] = {
        "study": {"name": done.name, "place": done.place},
        "trials": done.trials,
        "new": done.new,
    }
    text = f"{done.name}: {done.trials} trials are in {done.place}, {done.new} of them new"
    if done.summary is None:
        return CommandResult(document, text)
    document["source"] = done.summary.to_dict()
    is_cut = done.summary.stopped == "interrupted"
    error = InterruptError("Interrupted.", remedy=RESUME) if is_cut else None
    return CommandResult(document, "\n".join([text, *_lines(done.summary)]), error=error)


def _lines(summary: ImportSummary) -> Iterator[str]:
    """What became of a study of plain Optuna."""
    imported = summary.imported
    states = ", ".join(f"{count} {state}" for state, count in imported.states.items())
    yield f"{imported.name} in {imported.place}: {sum(imported.states.values())} trials ({states})"
    by_reason: dict[str, list[int]] = {}
    for each in imported.refused:
        by_reason.setdefault(each.reason, []).append(each.number)
    for reason, numbers in by_reason.items():
        word = "trial" if len(numbers) == 1 else "trials"
        yield f"  refused, {word} {number_ranges(numbers)}: {reason}"
    total = len(imported.starts) + imported.left_out
    line = f"  different configurations: {total}, {summary.evaluated} evaluated here"
    if summary.failed:
        line += f", {summary.failed} of which failed"
    yield line
    if left := summary.waiting + imported.left_out:
        yield f"  beyond the number of evaluations: {left}; ask for more with --evaluations"
    for found in summary.agreements:
        share = "" if found.share is None else f" ({found.share:+.2%})"
        what = f"differs by at most {found.difference:+g}{share}, in trial {found.trial}"
        yield f"  {found.metric} of {found.trials} trials " + (
            what if found.difference else "is the same here and there"
        )
    if not summary.agreements:
        yield "  nothing to compare: no value there is called like a metric (see --values)"


def _tell(done: int, of: int) -> None:
    click.echo(f"npu-tune: {done} of {of} trials", err=True)
