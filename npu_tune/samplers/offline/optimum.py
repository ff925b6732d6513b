"""The best walk through tables of costs under limits on the totals of other columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.offline.episodes import Experience, best_walk
from npu_tune.samplers.profile.limits import least_multiplier

_FORBIDDEN = 100.0
"""Cost of a transition that exceeds a ceiling, relative to that of everything, per excess."""

Tables = Sequence[Floats]
"""Per layer of shape (choices before, choices)."""


@dataclass(frozen=True)
class TotalBound:
    """A limit on the total of a column.

    Args:
        tables: of the column.
        most: the total.
    """

    tables: Tables
    most: float


@dataclass(frozen=True)
class Peak:
    """The largest number of a column over the layers, as part of what is minimised.

    Args:
        tables: of the column.
        factor: of the largest number.
    """

    tables: Tables
    factor: float


@dataclass(frozen=True)
class OfflineProblem:
    """What is minimised offline.

    Args:
        costs: summed up over a walk.
        bounds: on sums of columns.
        ceilings: on the largest numbers of columns.
        peaks: parts of the cost that are largest numbers of columns.
    """

    costs: Tables
    bounds: tuple[TotalBound, ...] = ()
    ceilings: tuple[TotalBound, ...] = ()
    peaks: tuple[Peak, ...] = ()

    def cost(self, walk: Sequence[int]) -> float:
        """What a walk costs."""
        return float(along(self.costs, walk).sum()) + sum(
            peak.factor * float(along(peak.tables, walk).max()) for peak in self.peaks
        )


def along(tables: Tables, walk: Sequence[int]) -> Floats:
    """The numbers of the transitions of a walk."""
    before = [0, *walk[:-1]]
    return np.array([t[b, a] for t, b, a in zip(tables, before, walk, strict=True)])


def solve(problem: OfflineProblem, experience: Experience, *, peak_limits: int) -> list[int]:
    """Finds the best walk by learning from the same episodes with other rewards.

    The reward of a transition is minus its cost and a multiple of what it takes of each bound;
    the multipliers are bracketed until the walk just meets the bounds. Then single layers, and
    two at a time, are changed as long as that is a gain within the bounds. Peaks are looked for
    under a number of ceilings.

    Args:
        problem: what is minimised.
        experience: transitions that may be taken.
        peak_limits: number of ceilings.
    """
    costs = _with_ceilings(problem.costs, problem.ceilings)
    if not problem.peaks:
        return _solve_bounded(costs, problem.bounds, experience)
    found = []
    for peak in problem.peaks:
        floor = max(float(table.min()) for table in peak.tables)
        levels = np.unique(np.concatenate([table.ravel() for table in peak.tables]))
        levels = levels[levels >= floor]
        chosen = np.linspace(0, len(levels) - 1, min(len(levels), peak_limits)).astype(int)
        for level in levels[chosen]:
            capped = _with_ceilings(costs, [TotalBound(peak.tables, float(level))])
            found.append(_solve_bounded(capped, problem.bounds, experience))
    return min(found, key=lambda walk: problem.cost(walk) + _excess(problem, walk))


def _excess(problem: OfflineProblem, walk: Sequence[int]) -> float:
    beyond = [
        max(0.0, float(along(bound.tables, walk).sum()) - bound.most)
        / max(abs(bound.most), 1e-300)
        for bound in problem.bounds
    ]
    beyond += [
        max(0.0, float(along(bound.tables, walk).max()) - bound.most)
        / max(abs(bound.most), 1e-300)
        for bound in problem.ceilings
    ]
    return _FORBIDDEN * sum(beyond)


def _with_ceilings(costs: Tables, ceilings: Sequence[TotalBound]) -> Tables:
    if not ceilings:
        return costs
    whole = sum(float(np.abs(table).max()) for table in costs)
    result = list(costs)
    for ceiling in ceilings:
        for at, table in enumerate(ceiling.tables):
            beyond = np.maximum(table - ceiling.most, 0.0) / max(abs(ceiling.most), 1e-300)
            result[at] = result[at] + _FORBIDDEN * whole * beyond
    return result


def _solve_bounded(
    costs: Tables, bounds: Sequence[TotalBound], experience: Experience
) -> list[int]:
    multipliers = [0.0] * len(bounds)

    def walk() -> list[int]:
        rewards = list(costs)
        for multiplier, bound in zip(multipliers, bounds, strict=True):
            if multiplier:
                rewards = [r + multiplier * t for r, t in zip(rewards, bound.tables, strict=True)]
        return best_walk(experience.learn(rewards))

    best = walk()
    whole = sum(float(np.abs(table).mean()) for table in costs)
    for _ in range(min(len(bounds), 3)):
        for at, bound in enumerate(bounds):

            def is_met(multiplier: float, at: int = at, bound: TotalBound = bound) -> bool:
                multipliers[at] = multiplier
                return float(along(bound.tables, walk()).sum()) <= bound.most

            if not is_met(0.0):
                _, multipliers[at] = least_multiplier(
                    is_met, 1e-2 * whole / max(abs(bound.most), 1e-300)
                )
        best = walk()
    return improve_walk(costs, bounds, best)


def improve_walk(costs: Tables, bounds: Sequence[TotalBound], walk: Sequence[int]) -> list[int]:
    """Changes one or two layers as long as that costs less and meets the bounds."""
    walk = list(walk)
    for _ in range(4 * len(walk)):
        layers, actions, gains = _moves(costs, walk)
        takes = [_moves(bound.tables, walk)[2] for bound in bounds]
        room = [bound.most - float(along(bound.tables, walk).sum()) for bound in bounds]
        move = _best_single(gains, takes, room)
        moves = [move] if move is not None else _best_pair(layers, gains, takes, room)
        if not moves:
            break
        for number in moves:
            walk[layers[number]] = int(actions[number])
    return walk


def _moves(tables: Tables, walk: Sequence[int]) -> tuple[Floats, Floats, Floats]:
    """Every change of one layer: the layers, their new choices, what the total changes by."""
    layers, actions, changes = [], [], []
    for at, table in enumerate(tables):
        before = walk[at - 1] if at else 0
        change = table[before] - table[before, walk[at]]
        if at + 1 < len(tables):
            ahead = tables[at + 1]
            change = change + ahead[:, walk[at + 1]] - ahead[walk[at], walk[at + 1]]
        layers.append(np.full(len(change), at))
        actions.append(np.arange(len(change)))
        changes.append(change)
    return np.concatenate(layers), np.concatenate(actions), np.concatenate(changes)


def _best_single(gains: Floats, takes: Sequence[Floats], room: Sequence[float]) -> int | None:
    fits = gains < -1e-9
    for take, left in zip(takes, room, strict=True):
        fits &= (take <= left) | (take <= 0)
    if not fits.any():
        return None
    return int(np.argmin(np.where(fits, gains, np.inf)))


def _best_pair(
    layers: Floats, gains: Floats, takes: Sequence[Floats], room: Sequence[float]
) -> list[int]:
    """Two changes of layers that are no neighbours; empty where none is a gain."""
    if not takes or len(gains) > 3000:
        return []
    both = gains[:, None] + gains[None, :]
    fits = (both < -1e-9) & (np.abs(layers[:, None] - layers[None, :]) > 1)
    for take, left in zip(takes, room, strict=True):
        fits &= take[:, None] + take[None, :] <= left
    if not fits.any():
        return []
    first, second = np.unravel_index(int(np.argmin(np.where(fits, both, np.inf))), both.shape)
    return [int(first), int(second)]
