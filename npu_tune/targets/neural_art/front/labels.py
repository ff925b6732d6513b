"""Label setting: finds every path through a network that may still become Pareto-optimal.

A path leads from the network's beginning to a position. Its label is the state of the memory there
and one number per column of :class:`~.columns.LabelColumns`. What the rest of the network costs
depends on state and label alone, and no cost of it falls when a column rises (:mod:`.relaxed`
proves it for time; marks and live bytes are maxima and energy is a sum). So of two labels of equal
state at one position, one that is nowhere larger than the other dominates it. The columns are

- ``time``: cycles so far, waits for preloaded weights included,
- ``early``: ``time`` less the slack of the last epoch, that is when flash became idle,
- the high-water mark of every pool, the most live bytes, and the energy without idle
  power: each only where an objective needs it.

Of blocks that no later operation reads, an epoch sees only whether they leave room for its
preloaded weights. So states count as equal for an epoch if they agree in the other blocks and in
the address at which those weights are placed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import CompilerError
from npu_tune.pareto import Floats, nondominated
from npu_tune.targets.neural_art.compiler.placement import live_bytes
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.columns import LabelColumns
from npu_tune.targets.neural_art.front.pruning import Pruning
from npu_tune.targets.neural_art.front.reduce import Candidate

Indices = NDArray[np.intp]

Choose = Callable[[int, Floats, Floats], Indices]
"""Selects the labels that a heuristic search continues with, given their position, their rows and
the bytes in use in their states."""


@dataclass(slots=True)
class PositionLabels:
    """The nondominated labels at one position, ``n`` in all.

    Args:
        rows: the labels, of shape (n, columns).
        states: numbers of the memory's states, of shape (n,).
        parents: per label the position of the label it extends, the row of that one there, and
            the candidate taken there; of shape (n, 3).
    """

    rows: Floats
    states: Indices
    parents: Indices

    def select(self, kept: Indices) -> PositionLabels:
        return PositionLabels(self.rows[kept], self.states[kept], self.parents[kept])


@dataclass(slots=True)
class _Bundle:
    """Labels that reach one position in one state, in the pieces in which they were found."""

    rows: list[Floats] = field(default_factory=list)
    parents: list[Indices] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Transitions:
    """Steps from one state of the memory that end at one position and leave one state.

    Args:
        last: position of the steps' last operation.
        state: that they leave.
        candidates: that make them, of shape (n,).
        steps: what they add to a label, of shape (n, columns + 1).
    """

    last: int
    state: int
    candidates: Indices
    steps: Floats


_StepResult = tuple[tuple[int, int], tuple[float, ...]]
"""A step: (position of its last operation, state it leaves), and what it adds to a label."""

_Cache = dict[int, _StepResult | None]
"""Steps by candidate; None where memory has no room."""


class LabelSearch:
    """Label setting over the epochs of one network; remembers its steps between searches.

    Args:
        scheduler: for the network-wide knobs at hand.
        candidates: epochs by first position.
        columns: of the labels.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        candidates: tuple[tuple[Candidate, ...], ...],
        columns: LabelColumns,
    ) -> None:
        self._machine = scheduler.machine
        self._candidates = candidates
        self._columns = columns
        self._by_buffer = [_group_by_buffer(own) for own in candidates]
        self._steps: dict[tuple[int, int, object], _Cache] = defaultdict(dict)

    def search(
        self,
        *,
        pruning: Pruning | None = None,
        choose: Choose | None = None,
        most_labels: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[PositionLabels] | None:
        """Finds the labels of every position, those of the finished network last.

        Args:
            pruning: removes labels that cannot become part of the front.
            choose: selects labels to continue with; the result is then no longer exact.
            most_labels: limit on the labels of all positions together.
            progress: is told how many positions are done, of how many.

        Returns:
            None where there are more labels than ``most_labels``.
        """
        end = len(self._candidates)
        waiting: list[dict[int, _Bundle]] = [defaultdict(_Bundle) for _ in range(end + 1)]
        start = waiting[0][self._machine.start]
        start.rows.append(self._columns.initial_label(self._machine.beginning().marks))
        start.parents.append(np.full((1, 3), -1, dtype=np.intp))
        found: list[PositionLabels] = []
        total = 0
        for position in range(end + 1):
            labels = self._merge(waiting[position])
            waiting[position].clear()
            if choose is not None and position < end:
                in_use = np.array([float(self._in_use(state)) for state in labels.states.tolist()])
                labels = labels.select(choose(position, labels.rows, in_use))
            found.append(labels)
            total += len(labels.rows)
            if most_labels is not None and total > most_labels:
                return None
            if position < end:
                self._extend(position, labels, waiting, pruning)
            if progress is not None:
                progress(position, end)
        return found

    def _merge(self, bundles: dict[int, _Bundle]) -> PositionLabels:
        """Joins the labels of one position and drops the dominated ones, state by state."""
        rows, states, parents = [], [], []
        for state, bundle in bundles.items():
            found = np.concatenate(bundle.rows)
            kept = nondominated(found)
            rows.append(found[kept])
            parents.append(np.concatenate(bundle.parents)[kept])
            states.append(np.full(len(kept), state, dtype=np.intp))
        if not rows:
            width = self._columns.initial_label(self._machine.beginning().marks).shape[1]
            return PositionLabels(
                np.empty((0, width)), np.empty(0, np.intp), np.empty((0, 3), np.intp)
            )
        return PositionLabels(
            np.concatenate(rows), np.concatenate(states), np.concatenate(parents)
        )

    def _extend(
        self,
        position: int,
        labels: PositionLabels,
        waiting: list[dict[int, _Bundle]],
        pruning: Pruning | None,
    ) -> None:
        """Extends the labels of a position by every step, into the bundles of later positions."""
        for members, state, cache, offered in self._equivalent_labels(position, labels):
            rows_before = labels.rows[members]
            worth = offered
            if pruning is not None:
                worth = pruning.candidates(position, rows_before, offered)
            for transition in self._transitions(position, state, cache, worth):
                rows = self._columns.extend(rows_before, transition.steps)
                kept = np.arange(len(rows))
                if pruning is not None:
                    in_use = self._in_use(transition.state)
                    kept = kept[pruning.alive(transition.last + 1, rows, in_use)]
                kept = kept[nondominated(rows[kept])]
                if not len(kept):
                    continue
                before, step = np.divmod(kept, len(transition.steps))
                parents = np.empty((len(kept), 3), dtype=np.intp)
                parents[:, 0] = position
                parents[:, 1] = members[before]
                parents[:, 2] = transition.candidates[step]
                bundle = waiting[transition.last + 1][transition.state]
                bundle.rows.append(rows[kept])
                bundle.parents.append(parents)

    def _equivalent_labels(
        self, position: int, labels: PositionLabels
    ) -> Iterator[tuple[Indices, int, _Cache, Indices]]:
        """Groups labels for which the same candidates make the same steps.

        Yields:
            The rows of the labels, one of their states, the cache of the steps, and the
            candidates.
        """
        rows: dict[int, list[int]] = defaultdict(list)
        for row, state in enumerate(labels.states.tolist()):
            rows[state].append(row)
        for buffer, candidates in self._by_buffer[position]:
            groups: dict[object, list[int]] = defaultdict(list)
            for state in rows:
                groups[self._visible_state(position, state, buffer)].append(state)
            for key, group in groups.items():
                members = np.array(sorted(row for state in group for row in rows[state]))
                members = members[nondominated(labels.rows[members])]
                yield members, group[0], self._steps[position, buffer, key], candidates

    def _visible_state(self, position: int, state: int, buffer: int) -> object:
        """What an epoch sees of a state: two states with equal values serve it alike.

        Args:
            position: of the epoch's first operation.
            state: of the memory.
            buffer: bytes of the epoch's preloaded weights.
        """
        live = self._machine.live(state)
        needed = tuple(block for block in live if block.last >= position)
        if not buffer:
            return needed
        in_use = live_bytes(live) if self._columns.live else 0
        return needed, self._machine.memory.place(live, buffer), in_use

    def _in_use(self, state: int) -> int:
        """Bytes in use in a state."""
        return live_bytes(self._machine.live(state))

    def _transitions(
        self, position: int, state: int, cache: _Cache, candidates: Indices
    ) -> Iterator[_Transitions]:
        """Runs candidates in a state; keeps the nondominated steps to each next state."""
        by_end: dict[tuple[int, int], tuple[list[int], list[tuple[float, ...]]]] = {}
        for index in candidates.tolist():
            if index not in cache:
                cache[index] = self._run(position, state, index)
            result = cache[index]
            if result is not None:
                end, values = result
                own = by_end.setdefault(end, ([], []))
                own[0].append(index)
                own[1].append(values)
        for (last, after), (taken, rows) in by_end.items():
            steps = np.array(rows)
            kept = nondominated(steps)
            yield _Transitions(last, after, np.array(taken)[kept], steps[kept])

    def _run(self, position: int, state: int, index: int) -> _StepResult | None:
        epoch = self._candidates[position][index].epoch
        try:
            step = self._machine.step(state, epoch)
        except CompilerError:  # no room in memory, so no path goes this way
            return None
        if epoch.total.preloaded and not step.costs.preloading:
            # No room for the weights: they are streamed, which another candidate covers.
            return None
        return (epoch.last, step.state), self._columns.step_values(step)


def _group_by_buffer(candidates: tuple[Candidate, ...]) -> list[tuple[int, Indices]]:
    """Groups candidates by the bytes of their preloaded weights."""
    sizes = np.array([candidate.epoch.total.buffer for candidate in candidates])
    return [(int(size), np.flatnonzero(sizes == size)) for size in np.unique(sizes)]
