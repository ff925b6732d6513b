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
        front = np.vstack([front[~(point <= front).all(axis=1)], point])
        shares.append(hypervolume(front, np.full(axes, corner)) / corner**axes)
    return np.array(shares)[np.cumsum(enters)]


def hypervolume_share(points: Floats, corner: float) -> float:
    """The hypervolume of points as a share of the whole box."""
    inside = points[(points < corner).all(axis=1)]
    axes = points.shape[1]
    whole: float = corner**axes
    return hypervolume(inside, np.full(axes, corner)) / whole


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
