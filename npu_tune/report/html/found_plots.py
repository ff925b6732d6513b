"""Plots of what was found: the front among all trials, and how the best cost fell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import accumulate, cycle
from typing import Any

from bokeh.models import ColumnDataSource, Range1d, Span, Whisker

from npu_tune.numerals import format_value
from npu_tune.report.axes import axis_label, axis_value, first_two
from npu_tune.report.html.figures import AFTER, BAD, BEFORE, finish, hover, plot
from npu_tune.report.references import BASELINE
from npu_tune.targets import Metric
from npu_tune.tuning.records import StudyResult, TrialRecord

_MARKERS = ("star", "triangle", "square", "diamond", "inverted_triangle", "plus", "x", "hex")
_REFERENCES = ("#e69f00", "#cc79a7", "#009e73", "#7e57c2", "#56b4e9", "#b8a630")


def front_plot(result: StudyResult) -> Any | None:
    """Every trial by the first two metrics, with the front, what there is to beat, the bound."""
    feasible = [trial for trial in result.distinct if trial.feasible]
    if not feasible:
        return None
    first, second = first_two(result.objective.weights, result.metrics)
    references = dict(result.references)
    if result.baseline is not None:
        references = {BASELINE: result.baseline.metrics, **references}
    made = plot(
        x_label=axis_label(first, result.goals[first.name]),
        y_label=axis_label(second, result.goals[second.name]),
        height=400,
        zoom=True,
        **_window([trial.metrics for trial in result.front], references.values(), first, second),
    )
    others = [trial for trial in result.distinct if not trial.feasible]
    for label, trials, color in (
        ("beyond a limit", others, BEFORE),
        ("trial", feasible, "#56b4e9"),
    ):
        if trials:
            source = _trial_points(trials, first, second)
            dots = made.scatter(
                "x", "y", size=4, color=color, alpha=0.6, source=source, legend_label=label
            )
            hover(made, dots, _trial_rows(first, second))
    front = _trial_points(list(result.front), first, second)
    made.step("x", "y", mode="after", color=AFTER, source=front, legend_label="front")
    dots = made.scatter("x", "y", size=8, color=AFTER, source=front, legend_label="front")
    hover(made, dots, _trial_rows(first, second))
    for (label, metrics), marker, color in zip(
        references.items(), cycle(_MARKERS), cycle(_REFERENCES), strict=False
    ):
        if first.name in metrics and second.name in metrics:
            source = _points([(label, metrics)], first, second)
            dot = made.scatter(
                "x", "y", size=13, marker=marker, color=color, source=source, legend_label=label
            )
            hover(made, dot, [("reference", "@label"), *_axis_rows(first, second)])
    _draw_bound(made, result, first, second)
    finish(made)
    made.legend.ncols = 2
    return made


def search_plot(result: StudyResult) -> Any | None:
    """The lowest cost so far over trials, and every trial's own."""
    rows = [t for t in result.trials if t.feasible and t.cost is not None]
    costs = [trial.cost or 0.0 for trial in rows]
    if not rows:
        return None
    best = list(accumulate(costs, min))
    # A bad trial far away would press the curve flat.
    top = max(1.0, best[0]) * 1.1
    made = plot(
        x_label="trial", y_label="cost (default: 1)", zoom=True,
        y_range=Range1d(start=min(best) - 0.05 * (top - min(best)), end=top),
    )  # fmt: skip
    source = ColumnDataSource(
        {
            "x": [trial.number for trial in rows],
            "y": costs,
            "best": best,
            "origin": [trial.origin for trial in rows],
        }
    )
    dots = made.scatter("x", "y", size=4, color="#56b4e9", alpha=0.6, source=source,
                        legend_label="trial")  # fmt: skip
    made.step("x", "best", mode="after", color=AFTER, line_width=2, source=source,
              legend_label="best so far")  # fmt: skip
    made.add_layout(Span(location=1.0, dimension="width", line_color=BEFORE, line_dash="dashed"))
    hover(made, dots, [("trial", "@x"), ("cost", "@y{0.0000}"), ("by", "@origin")])
    _draw_interval(made, result.best, at=rows[-1].number)
    finish(made)
    return made


def _draw_interval(made: Any, best: TrialRecord | None, *, at: int) -> None:
    interval = None if best is None else best.cost_interval
    if best is None or interval is None or not math.isfinite(interval[1]):
        return
    source = ColumnDataSource(
        {"x": [at], "y": [best.cost], "lower": [interval[0]], "upper": [interval[1]]}
    )
    made.scatter("x", "y", size=8, color=BAD, source=source, legend_label="best, confirmed")
    made.add_layout(Whisker(base="x", lower="lower", upper="upper", source=source))


def _draw_bound(made: Any, result: StudyResult, first: Metric, second: Metric) -> None:
    bound = {} if result.bound is None else result.bound.metrics
    for metric, dimension in ((first, "height"), (second, "width")):
        if metric.name in bound:
            place = axis_value(bound[metric.name], metric)
            made.add_layout(
                Span(location=place, dimension=dimension, line_color=BEFORE, line_dash="dashed")
            )
    if first.name in bound or second.name in bound:
        made.line(
            [], [], line_color=BEFORE, line_dash="dashed", legend_label="bound of each metric"
        )


def _window(
    front: Iterable[Mapping[str, float]],
    references: Iterable[Mapping[str, float]],
    first: Metric,
    second: Metric,
) -> dict[str, Range1d]:
    """The part of the plane with the front and what there is to beat, and some margin."""
    rows = [row for row in (*front, *references) if first.name in row and second.name in row]
    ranges = {}
    for name, metric in (("x_range", first), ("y_range", second)):
        values = [axis_value(row[metric.name], metric) for row in rows]
        margin = 0.1 * (max(values) - min(values)) if values else 0.0
        if margin:
            ranges[name] = Range1d(start=min(values) - margin, end=max(values) + margin)
    return ranges


def _trial_points(trials: list[TrialRecord], first: Metric, second: Metric) -> ColumnDataSource:
    return _points([(str(trial.number), trial.metrics) for trial in trials], first, second)


def _points(
    rows: Iterable[tuple[str, Mapping[str, float]]], first: Metric, second: Metric
) -> ColumnDataSource:
    whole = [(label, row) for label, row in rows if first.name in row and second.name in row]
    return ColumnDataSource(
        {
            "label": [label for label, _ in whole],
            "x": [axis_value(row[first.name], first) for _, row in whole],
            "y": [axis_value(row[second.name], second) for _, row in whole],
            "first": [format_value(row[first.name], first.unit) for _, row in whole],
            "second": [format_value(row[second.name], second.unit) for _, row in whole],
        }
    )


def _trial_rows(first: Metric, second: Metric) -> list[tuple[str, str]]:
    return [("trial", "@label"), *_axis_rows(first, second)]


def _axis_rows(first: Metric, second: Metric) -> list[tuple[str, str]]:
    return [(first.name, "@first"), (second.name, "@second")]
