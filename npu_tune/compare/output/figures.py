"""Figures of a comparison. Needs the extra ``report``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from npu_tune.compare.analysis.analysis import Analysis, curves_in_scope, near_level, scopes
from npu_tune.compare.analysis.regrets import ProblemCurves
from npu_tune.compare.analysis.statistics import evaluations_to_level
from npu_tune.compare.file.labels import ALL_TARGETS, file_words
from npu_tune.pareto import Floats
from npu_tune.report.pictures import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
"""Panels in a row; more could not be read on a page."""

SMALLEST_REGRET = 1e-5
"""Smaller regrets, 0 among them, are drawn at this one on the logarithmic axis."""

Draw = Callable[[Path], None]
Values = TypeVar("Values")


def figure_writers(analysis: Analysis) -> Mapping[str, Draw]:
    """Returns the functions that draw each figure, by the figure's file name.

    There is a ``regret`` per scope, and per target and objective a ``best-so-far`` and, where
    there are several metrics, a ``hypervolume``.
    """
    writers: dict[str, Draw] = {
        f"regret--{file_words(scope)}.png": partial(_draw_regret, analysis, *scope)
        for scope in scopes(analysis.problems)
    }
    panels: dict[tuple[str, str], list[ProblemCurves]] = {}
    for name, curve in analysis.problems.items():
        panels.setdefault((name.target, name.objective), []).append(curve)
    for labels, curves in panels.items():
        words = file_words(labels)
        best = {curve.problem.name.network: curve.best for curve in curves}
        title = f"{labels[0]}, {labels[1]}"
        writers[f"best-so-far--{words}.png"] = partial(
            _draw_panels, analysis, best, title, "lowest cost; the baseline has 1"
        )
        volumes = {c.problem.name.network: c.hypervolume for c in curves if c.hypervolume}
        if volumes:
            writers[f"hypervolume--{words}.png"] = partial(
                _draw_panels, analysis, volumes, title, "hypervolume, share of the box"
            )
    return writers


def _draw_panels(
    analysis: Analysis,
    panels: Mapping[str, Mapping[str, Floats]],
    title: str,
    label: str,
    path: Path,
) -> None:
    """Draws a panel per network: medians over seeds, the quartiles as a band."""
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with picture(path, width=4.0 * columns + 1.0, height=3.2 * rows + 0.6) as figure:
        figure.suptitle(title)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (network, lines) in zip(grid, panels.items(), strict=False):
            for number, (sampler, values) in _number_samplers(analysis, lines):
                _draw_band(axes, values, label=sampler, color=f"C{number}")
            axes.set_title(network, fontsize="medium")
            _style_evaluations(axes, analysis)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.supylabel(f"{label}\nmedian and quartiles over seeds", fontsize="medium")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))


def _draw_band(axes: Axes, values: Floats, *, label: str, color: str) -> None:
    present = values[~np.isnan(values[:, -1])]
    # Infinite, and not drawn, where nothing feasible was found yet.
    shown = np.where(np.isfinite(present), present, np.nan)
    if not len(shown):
        return
    low, middle, high = np.quantile(shown, (0.25, 0.5, 0.75), axis=0)
    evaluations = np.arange(1, values.shape[1] + 1)
    axes.step(evaluations, middle, where="post", color=color, linewidth=1.4, label=label)
    axes.fill_between(evaluations, low, high, step="post", color=color, alpha=0.15, linewidth=0)


def _draw_regret(analysis: Analysis, objective: str, target: str, path: Path) -> None:
    """Draws, over all problems of a scope, median regrets and the share of runs that arrived."""
    within = analysis.result.comparison.report.within
    curves = curves_in_scope(analysis.problems, objective, target)
    with picture(path, width=11, height=4.5) as figure:
        where = "all targets" if target == ALL_TARGETS else target
        figure.suptitle(f"{objective}, {where}, {len(curves)} networks and targets")
        left, right = figure.subplots(1, 2)
        is_empty = True
        for number, (sampler, regrets) in _number_samplers(analysis, _regrets_by_sampler(curves)):
            medians = np.nanmedian(np.stack([np.nanmedian(r, axis=0) for r in regrets]), axis=0)
            evaluations = np.arange(1, len(medians) + 1)
            style: dict[str, Any] = {
                "where": "post",
                "color": f"C{number}",
                "label": sampler,
                "linewidth": 1.4,
            }
            # Infinite, and not drawn, where nothing feasible was found yet.
            shown = np.where(np.isfinite(medians), np.maximum(medians, SMALLEST_REGRET), np.nan)
            left.step(evaluations, shown, **style)
            is_empty = is_empty and bool(np.isnan(shown).all())
            reached = np.concatenate([evaluations_to_level(regret, within) for regret in regrets])
            reached = reached[~np.isnan(reached)]
            share = (reached[:, None] <= evaluations).mean(axis=0)
            right.step(evaluations, share, **style)
        left.set_yscale("linear" if is_empty else "log")
        left.set_title("Median regret over problems")
        left.set_ylabel("above the exact optimum or the best known")
        for formatted in (left.yaxis.set_major_formatter, left.yaxis.set_minor_formatter):
            formatted(lambda value, _: f"{100 * value:.3g} %")
        right.set_title(f"Runs {near_level(within)} of it")
        right.set_ylim(0, 1.02)
        right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        for axes in (left, right):
            _style_evaluations(axes, analysis)
        right.legend(fontsize="small")


def _regrets_by_sampler(curves: Sequence[ProblemCurves]) -> dict[str, list[Floats]]:
    """Regrets of every problem that a sampler has runs on, by sampler."""
    found: dict[str, list[Floats]] = {}
    for curve in curves:
        for title, regret in curve.regret.items():
            found.setdefault(title, []).append(regret)
    return found


def _number_samplers(
    analysis: Analysis, by_sampler: Mapping[str, Values]
) -> Iterable[tuple[int, tuple[str, Values]]]:
    """Pairs samplers with their place in the file, which gives one colour in all figures."""
    titles = [sampler.title for sampler in analysis.result.comparison.sampler]
    return ((titles.index(title), (title, values)) for title, values in by_sampler.items())


def _style_evaluations(axes: Axes, analysis: Analysis) -> None:
    axes.set_xscale("log")
    axes.set_xlim(1, max(analysis.result.comparison.compare.evaluations, 2))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("evaluations")
    axes.grid(visible=True, alpha=0.3)
