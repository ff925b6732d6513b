"""The statistics by which samplers are compared. Needs the extra ``report``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npu_tune.errors import MissingExtraError

Floats = NDArray[np.float64]


def a12(ours: ArrayLike, theirs: ArrayLike) -> float:
    """How often ours is lower than theirs, ties counting half: 1 for always, 0.5 for no effect.

    Vargha and Delaney, "A critique and improvement of the CL common language effect size
    statistics", 2000, with lower values as the better ones.
    """
    a, b = _there(ours)[:, None], _there(theirs)[None, :]
    return float(((a < b) + 0.5 * (a == b)).mean())


def wilcoxon_p(ours: ArrayLike, theirs: ArrayLike) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test on pairs; 1 where all are equal.

    Pairs without a difference are left out, as Wilcoxon did, and pairs of which one is NaN.

    Raises:
        MissingExtraError: if SciPy is not installed.
    """
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    there = ~(np.isnan(a) | np.isnan(b))
    a, b = a[there], b[there]
    with np.errstate(invalid="ignore"):  # two runs without any feasible evaluation are equal
        differences = np.where(a == b, 0.0, a - b)
    # Its ranks are all that counts, so that never having found anything may be any large number.
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
    """p-values adjusted for being several, by Holm's step-down method (1979)."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given, kind="stable")
    factors = np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * factors), 1.0)
    return adjusted


def quartiles(values: ArrayLike) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile; infinite values sort last, NaN is left out."""
    there = _there(values)
    low, middle, high = (_quantile(there, share) for share in (0.25, 0.5, 0.75))
    return low, middle, high


def median(values: ArrayLike) -> float:
    """The median; infinite values sort last, NaN is left out."""
    return _quantile(_there(values), 0.5)


def first_reached(curve: Floats, level: float) -> Floats:
    """Per row of (runs, evaluations), the first evaluation (from 1) at most ``level``, or inf.

    NaN for a row of NaN.
    """
    reached = curve <= level
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)
    return np.where(np.isnan(curve[:, -1]), np.nan, first)


def _there(values: ArrayLike) -> Floats:
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
