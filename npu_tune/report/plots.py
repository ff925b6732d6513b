"""Pictures of a study: its front and how the best cost fell. Needs the extra ``report``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import accumulate, cycle
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.errors import UsageError
from npu_tune.report.axes import axis_label, axis_value, first_two
from npu_tune.report.optimum import Optimum
from npu_tune.report.origin import FileOrigin
from npu_tune.report.pictures import new_figure, picture
from npu_tune.report.references import BASELINE
from npu_tune.targets import Metric, goal_of
from npu_tune.tuning.records import StudyResult, TrialRecord
from npu_tune.tuning.samples import CONFIDENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 11.0, 4.5
"""Of a study's picture, in inches."""


def plot_study(result: StudyResult, path: Path, *, command: str = "") -> None:
    """Draws the front (left) and the best cost so far (right) into ``path``.

    The same result gives the same bytes.

    Args:
        result: of the study.
        path: of the picture.
        command: that draws it again, which the file then holds.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if the file's ending names no picture format, or nothing was evaluated yet.
        StorageError: if the file cannot be written.
    """
    _require_evaluated(result)
    about = FileOrigin(result.name, None, command).sentence if command else ""
    with picture(path, width=_WIDTH, height=_HEIGHT, about=about) as figure:
        _draw_study(figure, result)


def study_figure(result: StudyResult) -> Figure:
    """The same picture as a figure, for a notebook.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if nothing was evaluated yet.
    """
    _require_evaluated(result)
    figure = new_figure(width=_WIDTH, height=_HEIGHT)
    _draw_study(figure, result)
    return figure


def _require_evaluated(result: StudyResult) -> None:
    if not any(trial.failure is None for trial in result.trials):
        raise UsageError(
            f"The study {result.name!r} has nothing to plot: no trial has been evaluated.",
            remedy="Run it first.",
        )


def _draw_study(figure: Figure, result: StudyResult) -> None:
    figure.suptitle(f"{result.model} on {result.target}")
    left, right = figure.subplots(1, 2)
    _draw_front(left, result)
    _draw_best_so_far(right, result)


def plot_optimum(
    optimum: Optimum,
    trials: Iterable[Mapping[str, float]],
    path: Path,
    *,
    title: str,
    about: str = "",
) -> None:
    """Draws the best there can be, and trials beside it, into ``path``.

    Args:
        optimum: its front is drawn as steps, its bound as lines.
        trials: metrics of each.
        path: of the picture.
        title: above it.
        about: where it comes from, which the file then holds.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if the file's ending names no picture format.
        StorageError: if the file cannot be written.
    """
    front, least = optimum.front, optimum.bound.metrics
    first, second = first_two(front.objectives if front else tuple(least), optimum.metrics)
    with picture(path, width=6.5, height=4.5, about=about) as figure:
        figure.suptitle(title)
        axes = figure.subplots()
        rows = list(trials)
        if rows:
            axes.scatter(*_points(rows, (first, second)), s=9, color="#9db7d5", label="trials")
        if front is not None:
            xs, ys = _points([point.metrics for point in front.points], (first, second))
            axes.plot(
                xs, ys, color="#1f4e9c", marker="o", markersize=4, linewidth=1,
                drawstyle="steps-post", label="front",
            )  # fmt: skip
        for metric, line in ((first, axes.axvline), (second, axes.axhline)):
            if metric.name in least:
                line(axis_value(least[metric.name], metric), color="#808080", linestyle="--")
        axes.plot([], [], color="#808080", linestyle="--", label="bound of each metric")
        axes.set_xlabel(axis_label(first, goal_of(first)))
        axes.set_ylabel(axis_label(second, goal_of(second)))
        axes.legend(fontsize="small")


def _draw_front(axes: Axes, result: StudyResult) -> None:
    metrics = first_two(result.objective.weights, result.metrics)
    references = dict(result.references)
    if result.baseline is not None:
        references = {BASELINE: result.baseline.metrics, **references}
    groups = {
        "beyond a limit": ([t.metrics for t in result.distinct if not t.feasible], "#d0d0d0"),
        "evaluated": ([t.metrics for t in result.distinct if t.feasible], "#9db7d5"),
    }
    for label, (rows, color) in groups.items():
        if rows:
            axes.scatter(*_points(rows, metrics), s=9, color=color, label=label)
    front = [trial.metrics for trial in result.front]
    axes.plot(
        *_points(front, metrics),
        color="#1f4e9c",
        marker="o",
        markersize=4,
        linewidth=1,
        drawstyle="steps-post",
        label="front",
    )
    for (label, values), marker in zip(references.items(), cycle("*^svDPX"), strict=False):
        axes.scatter(
            *_points([values], metrics), marker=marker, s=90, label=label, zorder=3, alpha=0.8
        )
    _look_at(axes, *_points([*front, *references.values()], metrics))
    axes.xaxis.set_major_formatter("{x:,.10g}")
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(axis_label(metrics[0], result.goals[metrics[0].name]))
    axes.set_ylabel(axis_label(metrics[1], result.goals[metrics[1].name]))
    axes.set_title("Front")
    axes.legend(fontsize="small")


def _points(
    rows: Iterable[Mapping[str, float]], metrics: tuple[Metric, Metric]
) -> tuple[list[float], list[float]]:
    first, second = metrics
    whole = [row for row in rows if first.name in row and second.name in row]
    return (
        [axis_value(row[first.name], first) for row in whole],
        [axis_value(row[second.name], second) for row in whole],
    )


def _look_at(axes: Axes, xs: list[float], ys: list[float]) -> None:
    """Shows these points with some margin; a bad trial far away would squeeze them together."""
    for values, set_limits in ((xs, axes.set_xlim), (ys, axes.set_ylim)):
        margin = 0.15 * (max(values) - min(values)) if values else 0.0
        if margin > 0:
            set_limits(min(values) - margin, max(values) + margin)


def _draw_best_so_far(axes: Axes, result: StudyResult) -> None:
    costs = [
        (trial.number, trial.cost)
        for trial in result.trials
        if trial.feasible and trial.cost is not None
    ]
    numbers = [number for number, _ in costs]
    best = list(accumulate((cost for _, cost in costs), min))
    each = "" if result.deterministic else ", one evaluation each"
    axes.step(numbers, best, where="post", color="#1f4e9c", label=f"best so far{each}")
    if result.best is not None and result.best.cost_interval is not None:
        _draw_interval(axes, result.best, at=max(numbers))
    axes.axhline(1.0, color="#808080", linewidth=1, linestyle="--", label="baseline")
    weights_by_name = result.objective.weights
    kinds = sorted({str(m.kind) for m in result.metrics if m.name in weights_by_name})
    weights = " + ".join(f"{weight:g} {name}" for name, weight in weights_by_name.items())
    axes.set_xlabel("trial")
    axes.set_ylabel(f"cost against the baseline ({', '.join(kinds)})")
    axes.set_title(weights)
    axes.legend(fontsize="small")


def _draw_interval(axes: Axes, best: TrialRecord, *, at: int) -> None:
    """The best with the interval of its cost: a search that picks the lowest flatters itself."""
    if best.cost is None or best.cost_interval is None or not math.isfinite(best.cost_interval[1]):
        return
    low, high = best.cost_interval
    axes.errorbar(
        [at], [best.cost], yerr=[[best.cost - low], [high - best.cost]],
        fmt="o", color="#c0504d", markersize=4, capsize=4, label=f"best, {CONFIDENCE:.0%} interval",
    )  # fmt: skip
