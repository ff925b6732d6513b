"""Pictures of a study: its front and how the best cost fell. Needs the extra ``report``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate, cycle
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.errors import UsageError
from npu_tune.report.optimum import Optimum
from npu_tune.report.pictures import picture
from npu_tune.report.tables import BYTE_UNITS
from npu_tune.targets import Metric
from npu_tune.tuning.records import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KIB = 1024


def plot_study(result: StudyResult, path: Path) -> None:
    """Draws the front (left) and the best cost so far (right) into ``path``.

    The same result gives the same bytes.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if the file's ending names no picture format, or nothing was evaluated yet.
        StorageError: if the file cannot be written.
    """
    if not any(trial.failure is None for trial in result.trials):
        raise UsageError(
            f"The study {result.name!r} has nothing to plot: no trial has been evaluated.",
            remedy="Run it first.",
        )
    with picture(path, width=11, height=4.5) as figure:
        figure.suptitle(f"{result.model} on {result.target}")
        left, right = figure.subplots(1, 2)
        _draw_front(left, result)
        _draw_best_so_far(right, result)


def plot_optimum(
    optimum: Optimum, trials: Iterable[Mapping[str, float]], path: Path, *, title: str
) -> None:
    """Draws the best there can be, and trials beside it, into ``path``.

    Args:
        optimum: its front is drawn as steps, its bound as lines.
        trials: metrics of each.
        path: of the picture.
        title: above it.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if the file's ending names no picture format.
        StorageError: if the file cannot be written.
    """
    front, least = optimum.front, optimum.bound.metrics
    by_name = {metric.name: metric for metric in optimum.metrics}
    names = front.objectives if front else tuple(least)
    # A front in one metric alone is drawn against the target's second one.
    first, second = (by_name[name] for name in (*names, optimum.metrics[1].name)[:2])
    with picture(path, width=6.5, height=4.5) as figure:
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
                line(_scaled(least[metric.name], metric), color="#808080", linestyle="--")
        axes.plot([], [], color="#808080", linestyle="--", label="bound of each metric")
        axes.set_xlabel(_label(first))
        axes.set_ylabel(_label(second))
        axes.legend(fontsize="small")


def _draw_front(axes: Axes, result: StudyResult) -> None:
    metrics = _axes_metrics(result)
    evaluated = [trial for trial in result.trials if trial.failure is None]
    yardsticks = dict(result.references)
    if result.baseline is not None:
        yardsticks = {"baseline": result.baseline.metrics, **yardsticks}
    groups = {
        "beyond a limit": ([t.metrics for t in evaluated if not t.feasible], "#d0d0d0"),
        "evaluated": ([t.metrics for t in evaluated if t.feasible], "#9db7d5"),
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
    for (label, figures), marker in zip(yardsticks.items(), cycle("*^svDPX"), strict=False):
        axes.scatter(
            *_points([figures], metrics), marker=marker, s=90, label=label, zorder=3, alpha=0.8
        )
    _look_at(axes, *_points([*front, *yardsticks.values()], metrics))
    axes.xaxis.set_major_formatter("{x:,.10g}")
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(_label(metrics[0]))
    axes.set_ylabel(_label(metrics[1]))
    axes.set_title("Front")
    axes.legend(fontsize="small")


def _points(
    rows: Iterable[Mapping[str, float]], metrics: tuple[Metric, Metric]
) -> tuple[list[float], list[float]]:
    first, second = metrics
    whole = [row for row in rows if first.name in row and second.name in row]
    return (
        [_scaled(row[first.name], first) for row in whole],
        [_scaled(row[second.name], second) for row in whole],
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
    axes.step(numbers, best, where="post", color="#1f4e9c", label="best so far")
    axes.axhline(1.0, color="#808080", linewidth=1, linestyle="--", label="baseline")
    kinds = sorted({str(m.kind) for m in result.metrics if m.name in result.objective})
    weights = " + ".join(f"{weight:g} {name}" for name, weight in result.objective.items())
    axes.set_xlabel("trial")
    axes.set_ylabel(f"cost against the baseline ({', '.join(kinds)})")
    axes.set_title(weights)
    axes.legend(fontsize="small")


def _axes_metrics(result: StudyResult) -> tuple[Metric, Metric]:
    """The objective's first two metrics, filled up with the target's own first ones."""
    by_name = {metric.name: metric for metric in result.metrics}
    names = list(dict.fromkeys([*result.objective, *by_name]))
    return by_name[names[0]], by_name[names[min(1, len(names) - 1)]]


def _scaled(value: float, metric: Metric) -> float:
    return value / _KIB if metric.unit in BYTE_UNITS else value


def _label(metric: Metric) -> str:
    unit = "KiB" if metric.unit in BYTE_UNITS else metric.unit
    name = metric.name if unit in ("", metric.name) else f"{metric.name} [{unit}]"
    return f"{name}, {metric.kind}"
