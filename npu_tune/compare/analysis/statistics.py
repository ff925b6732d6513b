"""Statistics that compare samplers. Needs the extra ``report``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from npu_tune.errors import MissingExtraError
from npu_tune.pareto import Floats


def a12(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Vargha and Delaney's A12: probability that ours is lower than theirs, ties counting half.

    1 means always, 0.5 no effect.

    Vargha and Delaney, "A critique and improvement of the CL common language effect size
    statistics", 2000, with lower values as the better ones.
    """
    a, b = _drop_nan(ours)[:, None], _drop_nan(theirs)[None, :]
    return float(((a < b) + 0.5 * (a == b)).mean())


def wilcoxon_p(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test on pairs; 1 where all pairs are equal.

    Pairs without a difference are left out, as by Wilcoxon, and pairs of which one is NaN.

    Raises:
        MissingExtraError: if SciPy is not installed.
    """
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    paired = ~(np.isnan(a) | np.isnan(b))
    a, b = a[paired], b[paired]
    with np.errstate(invalid="ignore"):  # two runs without any feasible evaluation are equal
        differences = np.where(a == b, 0.0, a - b)
    # Only ranks count, so an infinite regret (nothing feasible found) may be any large number.
    differences = np.nan_to_num(differences, posinf=1e300, neginf=-1e300)
    if not differences.any():
        return 1.0
    try:
        from scipy.stats import wilcoxon  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise MissingExtraError(
            "Comparing samplers needs SciPy, which is not installed.",
            remedy="Install it with `pip install 'npu-tune[report]'`.",
        ) from error
    return float(wilcoxon(differences, zero_method="wilcox").pvalue)


def holm(p_values: ArrayLike) -> Floats:
    """Adjusts p-values for multiple testing, by Holm's step-down method (1979)."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given, kind="stable")
    factors = np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return adjusted


def quartiles(values: ArrayLike) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; infinite values sort last, NaN is left out."""
    present = _drop_nan(values)
    low, middle, high = (_quantile(present, share) for share in (0.25, 0.5, 0.75))
    return low, middle, high


def median(values: ArrayLike) -> float:
    """Median; infinite values sort last, NaN is left out."""
    return _quantile(_drop_nan(values), 0.5)


def evaluations_to_level(curve: Floats, level: float) -> Floats:
    """Number of evaluations until each run is at or below a level.

    Args:
        curve: of shape (runs, evaluations), falling.
        level: in the curve's unit.

    Returns:
        Of shape (runs,); infinite for a run that stays above, NaN for a row of NaN.
    """
    reached = curve <= level
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)
    return np.where(np.isnan(curve[:, -1]), np.nan, first)


def _drop_nan(values: ArrayLike) -> Floats:
    given: Floats = np.asarray(values, dtype=float)
    return given[~np.isnan(given)]


def _quantile(values: Floats, share: float) -> float:
    if not len(values):
        return float("nan")
    ordered = np.sort(values)
    position = share * (len(ordered) - 1)
    below, above = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
    # NumPy's own interpolation finds NaN beside an infinite value.
    if not np.isfinite(above):
        return float(below if position.is_integer() else above)
    return float(below + (above - below) * (position % 1))
