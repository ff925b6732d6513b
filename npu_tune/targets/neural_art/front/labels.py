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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.errors import CompilerError
from npu_tune.pareto import Floats, nondominated
from npu_tune.targets.neural_art.compiler.placement import live_bytes
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.columns import LabelColumns
from npu_tune.targets.neural_art.front.pruning import Pruning
from npu_tune.targets.neural_art.front.reduce import Candidate
from npu_tune.targets.neural_art.front.steps import EpochStep, Indices, Steps

_MOST_AT_ONCE = 50_000
"""Labels that are pruned together: many, because each call takes a while, but not all of a position,
which may be millions."""

Choose = Callable[[int, Floats, Floats], Indices]
"""Selects the labels that a heuristic search continues with, given their position, their rows and
the bytes in use in their states."""


_Seen = tuple[int, tuple[int | None, int] | None]
"""What an epoch sees of a state: the number of the state without dead blocks, and the room beside."""


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


class _Batch:
    """Labels that reach one position, which are pruned together."""

    def __init__(self) -> None:
        self._pieces: list[PositionLabels] = []
        self._in_use: list[Floats] = []
        self.size = 0

    def add(self, labels: PositionLabels, in_use: Floats) -> None:
        """Adds labels, with the bytes in use in their states."""
        self._pieces.append(labels)
        self._in_use.append(in_use)
        self.size += len(in_use)

    def best(self, position: int, pruning: Pruning | None) -> PositionLabels:
        """The labels, which reach a position, without pruned and dominated ones."""
        labels = _join(self._pieces)
        if pruning is not None:
            alive = pruning.alive(position, labels.rows, np.concatenate(self._in_use))
            labels = labels.select(np.flatnonzero(alive))
        return _best(labels)


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
        self._beginning = columns.initial_label(scheduler.machine.beginning().marks)
        self._steps: dict[tuple[int, int, _Seen], Steps] = {}

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
        waiting: list[list[PositionLabels]] = [[] for _ in range(end + 1)]
        start = np.array([self._machine.start])
        waiting[0].append(PositionLabels(self._beginning, start, np.full((1, 3), -1, np.intp)))
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

    def _merge(self, waiting: list[PositionLabels]) -> PositionLabels:
        """Joins the labels of one position and drops the dominated ones."""
        nothing = PositionLabels(
            self._beginning[:0], np.empty(0, np.intp), np.empty((0, 3), np.intp)
        )
        return _best(_join([nothing, *waiting]))

    def _extend(
        self,
        position: int,
        labels: PositionLabels,
        waiting: list[list[PositionLabels]],
        pruning: Pruning | None,
    ) -> None:
        """Extends the labels of a position by every step, for later positions."""
        batches: dict[int, _Batch] = defaultdict(_Batch)
        for members, state, steps, offered in self._equivalent_labels(position, labels):
            rows_before = labels.rows[members]
            worth = offered
            if pruning is not None:
                worth = pruning.candidates(position, rows_before, offered)
            untried = steps.untried(worth)
            if len(untried):
                steps.add(untried, [self._run(position, state, each) for each in untried.tolist()])
            for to_end in steps.by_end(worth):
                parents = np.empty((len(members), len(to_end.candidates), 3), dtype=np.intp)
                parents[..., 0] = position
                parents[..., 1] = members[:, None]
                parents[..., 2] = to_end.candidates
                extended = PositionLabels(
                    self._columns.extend(rows_before, to_end.values),
                    np.tile(to_end.states, len(members)),
                    parents.reshape(-1, 3),
                )
                end = to_end.last + 1
                batches[end].add(extended, np.tile(to_end.in_use, len(members)))
                if batches[end].size > _MOST_AT_ONCE:
                    waiting[end].append(batches.pop(end).best(end, pruning))
        for end, batch in batches.items():
            waiting[end].append(batch.best(end, pruning))

    def _equivalent_labels(
        self, position: int, labels: PositionLabels
    ) -> Iterator[tuple[Indices, int, Steps, Indices]]:
        """Groups labels for which the same candidates make the same steps.

        Yields:
            The rows of the labels, one of their states, the steps known so far, and the
            candidates.
        """
        rows = _by_value(labels.states)
        needed = {state: self._machine.drop_dead_blocks(state, position) for state in rows}
        for buffer, candidates in self._by_buffer[position]:
            groups: dict[_Seen, list[int]] = defaultdict(list)
            for state, blocks in needed.items():
                groups[blocks, self._room(state, buffer)].append(state)
            for key, group in groups.items():
                members = np.sort(np.concatenate([rows[state] for state in group]))
                members = members[nondominated(labels.rows[members])]
                steps = self._steps.get((position, buffer, key))
                if steps is None:
                    width = self._beginning.shape[1] + 1
                    steps = self._steps[position, buffer, key] = Steps(candidates, width)
                yield members, group[0], steps, candidates

    def _room(self, state: int, buffer: int) -> tuple[int | None, int] | None:
        """What an epoch sees of the blocks of a state that nothing reads any more.

        Returns:
            The address of its preloaded weights, and the bytes in use, where labels have these;
            None for an epoch without such weights.
        """
        if not buffer:
            return None
        in_use = self._in_use(state) if self._columns.live else 0
        return self._machine.memory.place(self._machine.live(state), buffer), in_use

    def _in_use(self, state: int) -> int:
        """Bytes in use in a state."""
        return live_bytes(self._machine.live(state))

    def _run(self, position: int, state: int, index: int) -> EpochStep | None:
        epoch = self._candidates[position][index].epoch
        try:
            step = self._machine.step(state, epoch)
        except CompilerError:  # no room in memory, so no path goes this way
            return None
        if epoch.total.preloaded and not step.costs.preloading:
            # No room for the weights: they are streamed, which another candidate covers.
            return None
        return EpochStep(
            epoch.last, step.state, self._in_use(step.state), self._columns.step_values(step)
        )


def _group_by_buffer(candidates: tuple[Candidate, ...]) -> list[tuple[int, Indices]]:
    """Groups candidates by the bytes of their preloaded weights."""
    sizes = np.array([candidate.epoch.total.buffer for candidate in candidates])
    return [(int(size), np.flatnonzero(sizes == size)) for size in np.unique(sizes)]


def _best(labels: PositionLabels) -> PositionLabels:
    """Drops the labels that one of equal state dominates."""
    by_state = _by_value(labels.states).values()
    kept = [here[nondominated(labels.rows[here])] for here in by_state]
    return labels.select(np.concatenate(kept)) if kept else labels


def _join(pieces: Sequence[PositionLabels]) -> PositionLabels:
    return PositionLabels(
        np.concatenate([piece.rows for piece in pieces]),
        np.concatenate([piece.states for piece in pieces]),
        np.concatenate([piece.parents for piece in pieces]),
    )


def _by_value(numbers: Indices) -> dict[int, Indices]:
    """The ascending positions of every number."""
    order = np.argsort(numbers, kind="stable")
    values, starts = np.unique(numbers[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, starts)[1:], strict=True))
