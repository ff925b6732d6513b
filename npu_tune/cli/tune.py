"""``npu-tune tune`` and ``npu-tune run``: search, from a command line or a study file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npu_tune.cli.completion import complete_from
from npu_tune.cli.failures import InterruptError
from npu_tune.cli.options import (
    calibration_option,
    model_argument,
    no_check_option,
    objective_options,
    objective_tables,
    pace_options,
    target_options,
    target_table,
)
from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.progress import progress_listener
from npu_tune.cli.ray_options import ray_changes, ray_options, ray_table
from npu_tune.cli.target_command import TargetCommand
from npu_tune.cli.words import SAMPLERS
from npu_tune.errors import InfeasibleError, NpuTuneError, UsageError

if TYPE_CHECKING:
    from npu_tune.tuning import StudyFile, StudyResult

RESUME = "Everything that finished is kept; the same command again resumes the study."

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")


@click.command(cls=TargetCommand, short_help="Searches for the best way to compile a model.")
@model_argument
@target_options
@click.option(
    "--study",
    "folder",
    type=click.Path(path_type=Path),
    help="The folder that holds everything of the study; given again, it resumes. "
    "[default: runs/MODEL-TARGET]",
)
@click.option(
    "--evaluations",
    type=int,
    help="How many configurations are evaluated, the baseline and failed ones included; duplicates "
    "are free. [default: 1500, "
    "or any number within --wall-time]",
)
@click.option("--wall-time", metavar="TIME", help="Stop after such as 90s, 15m or 1h30m.")
@pace_options
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="What each process of an evaluation may have of memory, such as 4GiB. [default: any]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampler.")
@click.option(
    "--sampler",
    shell_complete=complete_from(SAMPLERS),
    help="profile, layerwise, annealing, qlearning, qlearning-offline, tpe, nsga2, nsga3, gp or "
    "random. [default: the study's own; of a new one profile, or layerwise where the target reports "
    "no profiles]",
)
@click.option(
    "--polish/--no-polish",
    default=None,
    help="Whether the end of the budget goes into taking back changes that gain nothing. "
    "[default: where evaluations repeat exactly]",
)
@objective_options
@calibration_option
@no_check_option
@ray_options
@click.option("--storage", metavar="URL", help="A database instead of a file in the folder.")
@click.option(
    "--cache",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Evaluations shared with other studies of the same problem. [default: the user's]",
)
@click.option("--no-cache", is_flag=True, help="Evaluate everything anew, and keep nothing.")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="STUDY",
    help="Begin with what that study found, or with `cache`; of targets of the same family; "
    "repeatable.",
)
@quiet_option
@print_result
def tune(
    model: str,
    folder: Path | None,
    *,
    evaluations: int | None,
    wall_time: str | None,
    workers: int | None,
    timeout: str | None,
    memory_limit: str | None,
    seed: int,
    sampler: str | None,
    polish: bool | None,
    objective: str | None,
    mode: str | None,
    maximize: tuple[str, ...],
    limits: tuple[str, ...],
    calibration: Path | None,
    no_check: bool,
    ray: str | None,
    start_timeout_s: str | None,
    num_cpus: float | None,
    memory: str | None,
    resources: str | None,
    runtime_env: str | None,
    storage: str | None,
    cache: Path | None,
    no_cache: bool,
    sources: tuple[str, ...],
    quiet: bool,
    **target: Any,
) -> CommandResult:
    """Searches for the best way to compile MODEL, a file or the name of a built-in network."""
    from npu_tune.tuning.config import model_name  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.folder import kept_identity  # noqa: PLC0415
    from npu_tune.tuning.study_file import parse_study, without_none  # noqa: PLC0415

    folder = folder or Path("runs") / f"{model_name(model)}-{target['target']}"
    document = {
        "model": {"path": model, "calibration": calibration, "check": not no_check},
        "target": target_table(**target),
        "study": {
            **kept_identity(folder, storage),
            "folder": folder,
            "cache": _cache(cache, no_cache=no_cache),
            "from": list(sources),
            "seed": seed,
            "evaluations": evaluations,
            "wall_time": wall_time,
            "polish": polish,
        },
        "sampler": {"name": sampler},
        **objective_tables(objective, mode=mode, maximize=maximize, limits=limits),
        "executor": {
            "workers": workers,
            "timeout_s": timeout,
            "memory_limit": memory_limit,
            **ray_table(
                ray,
                start_timeout_s=start_timeout_s,
                num_cpus=num_cpus,
                memory=memory,
                resources=resources,
                runtime_env=runtime_env,
            ),
        },
    }
    study = parse_study(without_none(document), base=Path.cwd(), source="command line")
    return search(study, quiet=quiet)


def _cache(folder: Path | None, *, no_cache: bool) -> Path | bool | None:
    if folder is not None and no_cache:
        raise UsageError("Both --cache and --no-cache are given.", remedy="Leave one of them out.")
    return False if no_cache else folder


@click.command(short_help="Runs or resumes a study file.")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--workers", type=int, help="Evaluations at a time. [default: the file's]")
@ray_options
@quiet_option
@print_result
def run(
    study: Path,
    *,
    workers: int | None,
    quiet: bool,
    **on_ray: Any,
) -> CommandResult:
    """Runs or resumes the study that the file STUDY describes (docs/study_file.md).

    What says how to evaluate counts instead of what the file says.
    """
    from npu_tune.tuning import load_study_file  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.study_file import names_of_keys  # noqa: PLC0415
    from npu_tune.validation import keys_called  # noqa: PLC0415

    executor = ray_changes(**on_ray)
    if workers is not None:
        executor["workers"] = workers
    with keys_called(names_of_keys()):
        return search(load_study_file(study, executor=executor), quiet=quiet)


def search(
    study: StudyFile, *, quiet: bool, opening: str | None = None, polish: int | None = None
) -> CommandResult:
    """Runs or resumes a study.

    Args:
        study: what to do.
        quiet: whether to show no progress.
        opening: what is said once the study has begun; that it starts or resumes if None.
        polish: with at most so many further evaluations, to do nothing but polish the best.
    """
    import optuna  # noqa: PLC0415 -- keeps --help fast

    from npu_tune.report import study_document, study_text  # noqa: PLC0415
    from npu_tune.tuning import run_study  # noqa: PLC0415
    from npu_tune.tuning.folder import is_study_folder  # noqa: PLC0415
    from npu_tune.tuning.stretch_record import PYTHON, command_text  # noqa: PLC0415

    # Its notes on the study in memory mean nothing to a person; the progress says what matters.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    does = "Resumes" if is_study_folder(study.folder) else "Starts"
    opening = opening or f"{does} the study in {study.folder}"
    with progress_listener(quiet=quiet, opening=opening) as listener:
        given = click.get_current_context().find_root().obj
        command = PYTHON if given is None else command_text(given)
        result = run_study(study, polish=polish, listener=listener, command=command)
    return CommandResult(
        study_document(result, folder=study.folder),
        f"{study_text(result, layers=False)}\n\n{_next_commands(result, study)}",
        error=_shortcoming(result),
    )


def _next_commands(result: StudyResult, study: StudyFile) -> str:
    """What a person may do with a study, as commands that can be copied."""
    from npu_tune.tuning.dashboard import optuna_line  # noqa: PLC0415 -- keeps --help fast

    place, least = shlex.quote(str(study.folder)), result.least_infeasible
    lines = [f"`npu-tune show {place}` shows what changed in each layer."]
    if result.best is not None:
        lines.append(f"`npu-tune export {place} --out DIR` builds the best.")
    elif least is not None:
        lines.append(
            f"`npu-tune export {place} --pick {least.number} --out DIR` builds what comes closest."
        )
    lines.append(f"`npu-tune report {place}` writes a page that says why.")
    return "\n".join([*lines, optuna_line(study)])


def _shortcoming(result: StudyResult) -> NpuTuneError | None:
    from npu_tune.tuning import require_feasible  # noqa: PLC0415 -- keeps --help fast

    if result.stopped == "interrupted":
        return InterruptError("Interrupted.", remedy=RESUME)
    try:
        require_feasible(result)
    except InfeasibleError as error:
        return error
    return None
