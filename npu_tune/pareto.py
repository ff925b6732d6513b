"""How good a set of points is as a front: hypervolume and IGD+, evaluation by evaluation.

Points are rows of losses as multiples of the baseline, less being better on every axis.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npu_tune._optuna_compat import hypervolume

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_AT_A_TIME = 512
"""Points compared with one another at once; what a pair takes is bytes, of a block megabytes."""


def entering(points: Floats, allowed: Mask) -> Mask:
    """True for each allowed point that has no allowed one before it that is nowhere worse."""
    enters = np.zeros(len(points), dtype=bool)
    front = np.empty((0, points.shape[1]))
    for start in range(0, len(points), _AT_A_TIME):
        fresh = start + np.flatnonzero(allowed[start : start + _AT_A_TIME])
        fresh = fresh[~_no_worse(front, points[fresh]).any(axis=1)]
        # A point that was dominated by then is dominated by one that entered, so both may count.
        dominated = np.tril(_no_worse(points[fresh], points[fresh]), -1).any(axis=1)
        fresh = fresh[~dominated]
        enters[fresh] = True
        front = np.concatenate([front, points[fresh]])
    return enters


def front_of(points: Floats) -> Floats:
    """The points that no other one dominates, each once, in ascending order."""
    ordered = np.unique(points, axis=0)
    return ordered[entering(ordered, np.ones(len(ordered), dtype=bool))]


def hypervolume_so_far(points: Floats, allowed: Mask, corner: float) -> Floats:
    """Per evaluation the hypervolume of all before and with it, as a share of the whole box."""
    axes = points.shape[1]
    if axes < 2:
        return np.full(len(points), np.nan)
    inside = allowed & (points < corner).all(axis=1)
    enters = entering(points, inside)
    front, shares = np.empty((0, axes)), [0.0]
    for point in points[enters]:
        kept = front[~(point <= front).all(axis=1)]
        # In ascending order, equal fronts of two metrics have volumes equal to the bit.
        place = np.searchsorted(kept[:, 0], point[0])
        front = np.concatenate([kept[:place], point[None], kept[place:]])
        shares.append(_volume(front, corner) / corner**axes)
    return np.array(shares)[np.cumsum(enters)]


def hypervolume_share(front: Floats, corner: float) -> float:
    """The hypervolume of a front, as of :func:`front_of`, as a share of the whole box."""
    inside = front[(front < corner).all(axis=1)]
    whole: float = corner ** front.shape[1]
    return _volume(inside, corner) / whole


def _volume(front: Floats, corner: float) -> float:
    """The hypervolume of points none of which dominates another, in ascending order."""
    if front.shape[1] != 2:
        return hypervolume(front, np.full(front.shape[1], corner))
    # A staircase; Optuna takes ten times as long for it.
    widths = np.append(front[1:, 0], corner) - front[:, 0]
    return float(widths @ (corner - front[:, 1]))


def igd_plus_so_far(points: Floats, allowed: Mask, reference: Floats) -> Floats:
    """Per evaluation the IGD+ of all before and with it; infinite before the first allowed point.

    For each point of a reference front, how far the nearest one of the set is worse than it, in
    the Euclidean norm of what is worse alone, in the mean over the reference front: 0 for a set
    that is nowhere worse than the reference. Weakly Pareto compliant, unlike IGD.

    Ishibuchi, Masuda, Tanigaki and Nojima, "Modified distance calculation in generational
    distance and inverted generational distance", EMO 2015.

    Args:
        points: of shape (evaluations, axes).
        allowed: which of them count.
        reference: the reference front, of shape (points, axes); not empty.
    """
    # A point that another one is nowhere worse than is nowhere nearer either.
    enters = entering(points, allowed)
    worse_by = np.maximum(points[enters][:, None, :] - reference[None, :, :], 0.0)
    nearest = np.minimum.accumulate(np.sqrt((worse_by**2).sum(axis=2)), axis=0)
    means = np.concatenate([[np.inf], nearest.mean(axis=1)])
    return means[np.cumsum(enters)]


def _no_worse(rivals: Floats, points: Floats) -> Mask:
    """Per point and rival, whether the rival is nowhere worse: (points, rivals)."""
    worse = np.zeros((len(points), len(rivals)), dtype=bool)
    for axis in range(points.shape[1]):
        worse |= rivals[None, :, axis] > points[:, None, axis]
    return ~worse
