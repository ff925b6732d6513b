"""Rows and cells that the tables of the studies are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from npu_tune.compare import Analysis
from npu_tune.compare.analysis.analysis import TIE
from npu_tune.compare.analysis.regrets import ProblemCurves
from npu_tune.compare.runs.recording import ProblemName

PROBLEM = ["network", "target", "objective"]


def rows_by_problem(
    analysis: Analysis,
    figures: Callable[[ProblemCurves], Mapping[str, float]],
    shown: Callable[[float], str],
    reference: Callable[[ProblemCurves], str],
    *,
    best_of: Callable[[Iterable[float]], float] = min,
) -> str:
    """Problems down, samplers across, the best of each row in bold."""
    samplers = [sampler.title for sampler in analysis.result.comparison.sampler]
    rows = []
    for name, curve in analysis.problems.items():
        own = {sampler: shown(figure) for sampler, figure in figures(curve).items()}
        best = shown(best_of(figures(curve).values()))
        cells = (own.get(sampler, "-") for sampler in samplers)
        marked = (f"**{cell}**" if cell == best else cell for cell in cells)
        rows.append([problem_cell(analysis, name), *marked, reference(curve)])
    return markdown(["network", *samplers, "reference"], rows)


def four_digits(figure: float) -> str:
    return f"{figure:.4f}"


def source(curve: ProblemCurves) -> str:
    return curve.best_known.source


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def is_of(table: pd.DataFrame, name: ProblemName) -> pd.Series[bool]:
    is_same = [table[column] == getattr(name, column) for column in PROBLEM]
    return is_same[0] & is_same[1] & is_same[2]


def problem_cell(analysis: Analysis, name: ProblemName) -> str:
    """The network, and the objective where there are several."""
    several = len(analysis.result.comparison.objective) > 1
    return f"{name.network}, {name.objective}" if several else name.network


def outcomes(differences: pd.Series[float]) -> str:
    """Won, tied and lost, lower being better; equal but for rounding is a tie."""
    won, lost = (differences < -TIE).sum(), (differences > TIE).sum()
    return f"{won} / {len(differences) - won - lost} / {lost}"


def percent(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f} %" if np.isfinite(share) else "-"


def count(number: float) -> str:
    return f"{number:,.0f}" if np.isfinite(number) else "not reached"


def p_value(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
