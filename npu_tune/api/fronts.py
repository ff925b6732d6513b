"""The best there can be, and how far a study is from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from npu_tune.api.problems import Model, bind
from npu_tune.api.studies import metrics_and_weights, study_result
from npu_tune.errors import (
    IllegalConfigurationError,
    StudyMismatchError,
    TargetError,
    UsageError,
)
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets import Problem, Target
from npu_tune.validation import key_name

if TYPE_CHECKING:
    from npu_tune.api.studies import Study
    from npu_tune.report.optimum import Optimum, Standing
    from npu_tune.targets.oracle import Bound, Front, Progress
    from npu_tune.tuning import StudyResult


def front(
    model: Model,
    target: str | Target,
    *,
    objective: str | Iterable[str] | Mapping[str, float] | None = None,
    study: Study | None = None,
    options: Mapping[str, Any] | None = None,
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
    tolerance: float = 0.0,
    most_labels: int | None = None,
    progress: Progress | None = None,
) -> Optimum:
    """The exact front of a model over all choices of its layers, or else a lower bound.

    The choices of the whole network stand at their defaults, with a study at those of its best
    trial.

    Args:
        model: what is compiled.
        target: what it is compiled for, by name or as a value.
        objective: metrics, or weights by metric; those of the study, or what the target proposes,
            if None.
        study: a study's folder or result, which is held against the optimum.
        options: of a target that is given by name.
        calibration: an ``.npz`` with inputs by which a float ONNX model is made int8.
        check: whether such a model is compared with its int8 form.
        tolerance: what gains less than this share of the first metric is left out.
        most_labels: memory and time for the search; the target's own limit if None.
        progress: is told what is being done.

    Returns:
        The front, None where it is out of reach, with the reason; the bound, which is always
        there; and where the study stands. ``to_dataframe()`` has a row per optimum.

    Raises:
        TargetError: if the target knows neither front nor bound.
        StudyMismatchError: if the study is one of another model, target or options.
        UsageError: if more of a metric is better, or there is no such metric or study.
    """
    with bind(model, target, options=options, calibration=calibration, check=check) as problem:
        return find_optimum(
            problem,
            None if study is None else study_result(study),
            objective=objective,
            tolerance=tolerance,
            most_labels=most_labels,
            progress=progress,
        )


def find_optimum(
    problem: Problem,
    result: StudyResult | None = None,
    *,
    objective: str | Iterable[str] | Mapping[str, float] | None = None,
    tolerance: float = 0.0,
    most_labels: int | None = None,
    progress: Progress | None = None,
) -> Optimum:
    """As :func:`front`, which takes the same arguments, for a problem that is open already."""
    from npu_tune.report.optimum import Optimum  # noqa: PLC0415 - brings Optuna
    from npu_tune.targets.oracle import require_bounded, require_oracle  # noqa: PLC0415
    from npu_tune.tuning.identity import require_same_problem  # noqa: PLC0415

    if result is not None:
        require_same_problem(result.name, result.identity, problem.identity)
    weights = _weights(objective, result, problem)
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
    asked: str | Iterable[str] | Mapping[str, float] | None,
    result: StudyResult | None,
    problem: Problem,
) -> Mapping[str, float]:
    """Weights by metric: as asked for, else those of the study, else the target's own."""
    from npu_tune.tuning.objective import MAXIMIZE, Objective  # noqa: PLC0415
    from npu_tune.tuning.sections import ObjectiveSection  # noqa: PLC0415 - brings Optuna
    from npu_tune.validation import validated  # noqa: PLC0415

    if asked is None and result is not None:
        objective = result.objective
    else:
        metrics, weights = metrics_and_weights(asked)
        section = validated(
            ObjectiveSection,
            {"metrics": metrics, "weights": weights},
            source="front",
            whole="objective",
            kind=UsageError,
        )
        objective = Objective.of(section, {}, problem.metrics)
    maximized = next((n for n, way in objective.directions.items() if way == MAXIMIZE), None)
    if maximized is not None:
        raise UsageError(
            f"Of the metric {maximized!r} more is better, and the best there can be is known of "
            "metrics that are minimised.",
            remedy=f"Name others with {key_name('front.objective', 'the argument `objective`')}.",
            metric=maximized,
        )
    return objective.weights


def _base(space: SearchSpace, result: StudyResult | None) -> Configuration:
    """What stands for the choices of the whole network."""
    if result is None or result.best is None:
        return space.default
    from npu_tune.tuning.bounds import network_choices  # noqa: PLC0415 - brings Optuna

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
    from npu_tune.report.optimum import Standing  # noqa: PLC0415 - brings Optuna
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
