"""``npu-tune front``: the best there can be, and how far a study is from it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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
from npu_tune.errors import (
    IllegalConfigurationError,
    StudyMismatchError,
    TargetError,
    UsageError,
)

if TYPE_CHECKING:
    from npu_tune.report.optimum import Optimum, Standing
    from npu_tune.space import Configuration, SearchSpace
    from npu_tune.targets import Problem
    from npu_tune.targets.oracle import Bound, Front, Progress
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
    from npu_tune.report.optimum import optimum_document, optimum_text  # noqa: PLC0415
    from npu_tune.tuning import read_study  # noqa: PLC0415
    from npu_tune.tuning.identity import require_same_problem  # noqa: PLC0415

    table = target_table(**options)
    name = table.pop("name")
    with api.bind(
        model, name, options=table, calibration=calibration, check=not no_check
    ) as problem:
        result = None if study is None else read_study(study)
        if result is not None:
            require_same_problem(result.name, result.identity, problem.identity)
        listener = None if quiet else _progress()
        optimum = _find_optimum(
            problem,
            result,
            weights=_weights(objective, result, problem),
            tolerance=tolerance,
            most_labels=most_labels,
            progress=listener,
        )
        if plot is not None:
            _draw(optimum, result, plot, f"{problem.network.name} on {problem.target.name}")
        return CommandResult(
            {**problem_document(problem), **optimum_document(optimum)}, optimum_text(optimum)
        )


def _find_optimum(
    problem: Problem,
    result: StudyResult | None,
    *,
    weights: Mapping[str, float],
    tolerance: float,
    most_labels: int | None,
    progress: Progress | None,
) -> Optimum:
    from npu_tune.report.optimum import Optimum  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.oracle import require_bounded, require_oracle  # noqa: PLC0415

    bounded = require_bounded(problem)
    base = _base(problem.space, result)
    found, reason = None, ""
    try:
        found = require_oracle(problem).front(
            objectives=tuple(weights),
            base=base,
            tolerance=tolerance,
            most_labels=most_labels,
            progress=progress,
        )
    except TargetError as error:
        reason = str(error)
    bound = bounded.bound(base=base)
    return Optimum(
        problem.metrics,
        problem.space.default,
        found,
        bound,
        reason,
        None if result is None else _standing(result, found, bound, weights, base),
    )


def _weights(
    text: str | None, result: StudyResult | None, problem: Problem
) -> Mapping[str, float]:
    """Weights by metric: as asked for, else those of the study, else the target's own."""
    from npu_tune.tuning.config import ObjectiveSection  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.tuning.objective import MAXIMIZE, Objective  # noqa: PLC0415
    from npu_tune.validation import validated  # noqa: PLC0415

    if text is None and result is not None:
        objective = result.objective
    else:
        metrics, weights = split_weights(text)
        section = validated(
            ObjectiveSection,
            {"metrics": metrics, "weights": weights},
            source="command line",
            whole="objective",
            kind=UsageError,
        )
        objective = Objective.of(section, {}, problem.metrics)
    maximized = next((n for n, way in objective.directions.items() if way == MAXIMIZE), None)
    if maximized is not None:
        raise UsageError(
            f"Of the metric {maximized!r} more is better, and the best there can be is known of "
            "metrics that are minimised.",
            remedy="Name others with --objective.",
            metric=maximized,
        )
    return objective.weights


def _base(space: SearchSpace, result: StudyResult | None) -> Configuration:
    """What stands for the choices of the whole network."""
    if result is None or result.best is None:
        return space.default
    from npu_tune.tuning.bounds import network_choices  # noqa: PLC0415 -- keeps --help fast

    chosen = network_choices(result.best.configuration)
    try:
        return space.configuration(chosen)
    except IllegalConfigurationError as error:
        raise StudyMismatchError(
            f"The study {result.name!r} chose among other things for the whole network: "
            f"{error.message}",
            remedy="Ask for the model, the target and the options that the study was made with.",
            knob=error.data.get("knob"),
        ) from error


def _standing(
    result: StudyResult,
    front: Front | None,
    bound: Bound,
    weights: Mapping[str, float],
    base: Configuration,
) -> Standing:
    from npu_tune.report.optimum import Standing  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.oracle import gap, hypervolume_share  # noqa: PLC0415
    from npu_tune.tuning import require_feasible  # noqa: PLC0415
    from npu_tune.tuning.bounds import network_choices  # noqa: PLC0415

    trial = require_feasible(result)
    baseline = result.baseline
    if baseline is None:
        raise UsageError(
            f"The study {result.name!r} has no baseline yet.", remedy="Run it further."
        )
    metrics, usual = trial.metrics, baseline.metrics
    if front is None:
        found = gap(bound, metrics, weights=weights, baseline=usual)
        return Standing(result.name, trial.number, found, None)
    chosen = network_choices(base)
    # Other choices of the whole network belong to another front.
    own = [t.metrics for t in result.front if network_choices(t.configuration) == chosen]
    share = hypervolume_share(front, own, baseline=usual)
    found = gap(front, metrics, weights=weights, baseline=usual)
    if not front.notes or found.excess >= 0:
        return Standing(result.name, trial.number, found, share)
    within = gap(bound, metrics, weights=weights, baseline=usual)
    return Standing(result.name, trial.number, within, share, found.least_cost)


def _draw(optimum: Optimum, result: StudyResult | None, path: Path, title: str) -> None:
    from npu_tune.report.plots import plot_optimum  # noqa: PLC0415 -- keeps --help fast

    trials = () if result is None else [t.metrics for t in result.distinct]
    plot_optimum(optimum, trials, path, title=title)


def _progress() -> Progress:
    shown: list[str] = []

    def show(what: str, _done: int, _of: int) -> None:
        if not shown or shown[-1] != what:
            shown.append(what)
            print(f"{what} ...", file=sys.stderr, flush=True)

    return show
