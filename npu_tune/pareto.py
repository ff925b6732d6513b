"""Pareto dominance, non-dominated sets, and indicators of a front's quality.

Points are rows of losses: less is better on every axis, and none is NaN. Only volumes of more than
two axes need Optuna.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FEW = 32
"""Points that are compared with one another without sorting them first."""
_BLOCK = 256
"""Points compared with one another at once, so that the comparisons fit a processor's cache."""


def weakly_dominates(points: Floats, others: Floats) -> Mask:
    """Matrix of which points are no worse on any axis than which others: (points, others).

    Equal points weakly dominate each other.
    """
    matrix = points[:, None, 0] <= others[None, :, 0]
    for axis in range(1, points.shape[1]):
        matrix &= points[:, None, axis] <= others[None, :, axis]
    return matrix


def nondominated_on_arrival(points: Floats, feasible: Mask) -> Mask:
    """Mask of feasible points that no earlier feasible point weakly dominates."""
    mask = np.zeros(len(points), dtype=bool)
    positions = np.flatnonzero(feasible)
    mask[positions[_arrivals(points[positions])]] = True
    return mask


def _arrivals(points: Floats) -> NDArray[np.intp]:
    """Ascending positions of the points that no earlier point weakly dominates."""
    found = np.empty(0, dtype=np.intp)
    for start in range(0, len(points), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(points)))
        if len(found):
            block = block[~weakly_dominates(points[found], points[block]).any(axis=0)]
        # Dominance is transitive: what a dominated point dominates, one that was found does too.
        by_earlier = weakly_dominates(points[block], points[block])
        by_earlier &= ~np.tri(len(block), dtype=bool)
        found = np.concatenate((found, block[~by_earlier.any(axis=0)]))
    return found


def nondominated(points: Floats) -> NDArray[np.intp]:
    """Ascending positions of the non-dominated points; of equal points the first one's."""
    if len(points) <= _FEW:
        return _few_nondominated(points)
    # An axis on which all are equal decides nothing.
    varying = points[:, points.min(axis=0) < points.max(axis=0)]
    if not varying.shape[1]:
        return np.zeros(1, dtype=np.intp)
    # In lexicographic order a point can be dominated by earlier ones only.
    order = np.lexsort(varying.T[::-1])
    varying = varying[order]
    if varying.shape[1] > 2:
        return np.sort(order[_arrivals(varying)])
    last = varying[:, -1]
    falls = last[1:] < np.minimum.accumulate(last)[:-1]
    return np.sort(order[np.append(True, falls)])


def _few_nondominated(points: Floats) -> NDArray[np.intp]:
    """The same without sorting, which is faster for few points."""
    count = len(points)
    if count < 2:
        return np.arange(count)
    matrix = weakly_dominates(points, points)
    later = np.tri(count, dtype=bool)
    # Of two equal points the first one dominates; no point dominates itself.
    dominated = (matrix & ~(matrix.T & later)).any(axis=0)
    return np.flatnonzero(~dominated)


def pareto_front(points: Floats) -> Floats:
    """The non-dominated points, each once, in lexicographic order."""
    front = points[nondominated(points)]
    return front[np.lexsort(front.T[::-1])]


def extend_front(front: Floats, point: Floats) -> Floats:
    """Adds a point to a front sorted by its first axis, and drops the points it dominates.

    Returns:
        The new front, sorted; ``front`` itself where it weakly dominates the point.
    """
    if (front <= point).all(axis=1).any():
        return front
    kept = front[~(point <= front).all(axis=1)]
    place = np.searchsorted(kept[:, 0], point[0])
    return np.concatenate([kept[:place], point[None], kept[place:]])


def hypervolume(points: Floats, corner: float) -> float:
    """Volume that points dominate, as a share of the box from the origin to the corner.

    Args:
        points: of shape (points, axes); those beyond the corner on any axis add nothing.
        corner: the reference point's coordinate, the same on every axis.
    """
    front = pareto_front(points[(points < corner).all(axis=1)])
    box: float = corner ** points.shape[1]
    return _volume(front, corner) / box


def hypervolume_so_far(points: Floats, feasible: Mask, corner: float) -> Floats:
    """Hypervolume, as of :func:`hypervolume`, of the feasible points up to and with each point."""
    axes = points.shape[1]
    arrives = nondominated_on_arrival(points, feasible & (points < corner).all(axis=1))
    front, shares = np.empty((0, axes)), [0.0]
    for point in points[arrives]:
        front = extend_front(front, point)
        shares.append(_volume(front, corner) / corner**axes)
    return np.array(shares)[np.cumsum(arrives)]


def igd_plus_so_far(points: Floats, feasible: Mask, reference_front: Floats) -> Floats:
    """IGD+ of the feasible points up to and with each point; infinite before the first of them.

    IGD+ is the mean over the reference front of the distance to the nearest point of the set,
    counting only the axes on which that point is worse: 0 for a set that weakly dominates the
    reference front. Weakly Pareto compliant, unlike IGD.

    Ishibuchi, Masuda, Tanigaki and Nojima, "Modified distance calculation in generational
    distance and inverted generational distance", EMO 2015.

    Args:
        points: of shape (points, axes).
        feasible: which of them count.
        reference_front: of shape (reference points, axes); not empty.
    """
    # A dominated point is no nearer to any reference point than what dominates it.
    arrives = nondominated_on_arrival(points, feasible)
    worse_by = np.maximum(points[arrives][:, None, :] - reference_front[None, :, :], 0.0)
    nearest = np.minimum.accumulate(np.sqrt((worse_by**2).sum(axis=2)), axis=0)
    means = np.concatenate([[np.inf], nearest.mean(axis=1)])
    return means[np.cumsum(arrives)]


def _volume(front: Floats, corner: float) -> float:
    """Volume between a corner and non-dominated points inside, sorted by their first axis."""
    if not len(front):
        return 0.0
    axes = front.shape[1]
    if axes == 1:
        return float(corner - front[0, 0])
    if axes == 2:
        # A staircase; Optuna takes ten times as long for it. As points are sorted, equal fronts
        # have volumes equal to the bit.
        widths = np.append(front[1:, 0], corner) - front[:, 0]
        return float(widths @ (corner - front[:, 1]))
    from npu_tune._optuna_compat import hypervolume as volume  # noqa: PLC0415 - slow to import

    return volume(front, np.full(axes, corner))
