"""``npu-tune front``: the best there can be, and how far a study is from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npu_tune.cli.completion import complete_metrics
from npu_tune.cli.options import (
    calibration_option,
    model_argument,
    no_check_option,
    split_weights,
    target_options,
    target_table,
)
from npu_tune.cli.output import CommandResult, print_result, problem_document
from npu_tune.cli.target_command import TargetCommand
from npu_tune.cli.tune import quiet_option

if TYPE_CHECKING:
    from npu_tune.report.optimum import Optimum
    from npu_tune.targets.oracle import Progress
    from npu_tune.tuning import StudyResult


@click.command(
    cls=TargetCommand, short_help="Finds the best there can be, where a target can tell."
)
@model_argument
@target_options
@calibration_option
@no_check_option
@click.option(
    "--objective",
    shell_complete=complete_metrics,
    help="Metrics, weighted or not: latency_ms=0.7,ram_bytes=0.3.",
)
@click.option(
    "--study",
    type=click.Path(path_type=Path),
    help="A study's folder: says how far its best trial is from the optimum.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Leave out what gains less than this share of the first metric.",
)
@click.option("--most-labels", type=click.IntRange(1), help="Memory and time for the search.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw the front and the study into this .png, .svg or .pdf.",
)
@quiet_option
@print_result
def front(
    model: str,
    *,
    calibration: Path | None,
    no_check: bool,
    objective: str | None,
    study: Path | None,
    tolerance: float,
    most_labels: int | None,
    plot: Path | None,
    quiet: bool,
    **options: Any,
) -> CommandResult:
    """Prints the exact front of MODEL over all choices of its layers, or else a lower bound.

    Ethos-U55 and U65 know a bound only.

    The choices of the whole network stand at their defaults, with --study at those of its best
    trial.
    """
    from npu_tune import api  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.api.fronts import find_optimum  # noqa: PLC0415
    from npu_tune.report.optimum import optimum_document, optimum_text  # noqa: PLC0415
    from npu_tune.tuning import read_study  # noqa: PLC0415
    from npu_tune.validation import keys_called  # noqa: PLC0415

    table = target_table(**options)
    name = table.pop("name")
    with (
        api.bind(
            model, name, options=table, calibration=calibration, check=not no_check
        ) as problem,
        keys_called({"front.objective": "--objective"}),
    ):
        result = None if study is None else read_study(study)
        optimum = find_optimum(
            problem,
            result,
            objective=_objective(objective),
            tolerance=tolerance,
            most_labels=most_labels,
            progress=None if quiet else _progress(),
        )
        if plot is not None:
            _draw(optimum, result, plot, f"{problem.network.name} on {problem.target.name}")
        return CommandResult(
            {**problem_document(problem), **optimum_document(optimum)}, optimum_text(optimum)
        )


def _objective(text: str | None) -> list[str] | dict[str, float] | None:
    """The metrics that were asked for, with weights where they have any."""
    metrics, weights = split_weights(text)
    return (
        metrics if metrics is None or weights is None else dict(zip(metrics, weights, strict=True))
    )


def _draw(optimum: Optimum, result: StudyResult | None, path: Path, title: str) -> None:
    from npu_tune.report.plots import plot_optimum  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.stretch_record import command_text  # noqa: PLC0415

    trials = () if result is None else [t.metrics for t in result.distinct]
    given = click.get_current_context().find_root().obj
    command = f"; again by: {command_text(given)}" if given else ""
    plot_optimum(optimum, trials, path, title=title, about=f"{title}, made by npu-tune{command}")


def _progress() -> Progress:
    shown: list[str] = []

    def show(what: str, _done: int, _of: int) -> None:
        if not shown or shown[-1] != what:
            shown.append(what)
            print(f"{what} ...", file=sys.stderr, flush=True)

    return show
