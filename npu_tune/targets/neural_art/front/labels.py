"""Label setting: every way through a network that may still become an optimum.

A label is a way to a position: the state of the memory there and what the way cost so far. All
that follows depends on the state and the label alone, and none of it gets cheaper when a figure
of the label rises (:mod:`.relaxed` proves it for time; marks and live bytes are maxima and energy
is a sum). So of two labels at one position with equal state, one whose figures are all at most
the other's makes the other superfluous. The figures are

- ``time``: cycles so far, waits for preloaded weights included,
- ``early``: ``time`` less the slack of the last epoch: when flash was free,
- the highest mark of every pool on the chip, the most live bytes, the energy without idle power:
  each where an objective needs it.

Of blocks that nobody reads any more an epoch sees only where they leave room for its preloaded
weights. So states count as equal for an epoch where the other blocks are the same, and the
address at which the weights find room.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import CompilerError
from npu_tune.pareto import nondominated
from npu_tune.targets.neural_art.compiler.machine import Step
from npu_tune.targets.neural_art.compiler.placement import is_external, live_bytes
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.front.pruning import Pruning
from npu_tune.targets.neural_art.front.reduce import Candidate

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]

TIME, EARLY = 0, 1
"""Columns of a label; the others follow as :class:`Figures` says."""


_PER_CYCLE = 2**20
"""Figures are rounded to this share of a cycle, so that sums of less than 8e9 cycles are exact:
otherwise labels of equal time would differ in their last digits, and none dominate another."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Which figures labels carry.

    Args:
        pools: how many pools have marks; 0 where RAM is no objective.
        live: whether the most live bytes are carried.
        energy: whether energy is.
    """

    pools: int
    live: bool
    energy: bool

    @property
    def marks(self) -> slice:
        return slice(2, 2 + self.pools)

    @property
    def maxima(self) -> slice:
        return slice(2, 2 + self.pools + self.live)

    def of_start(self, marks: tuple[int, ...]) -> Floats:
        """The label at the network's beginning."""
        return np.array([[0.0, 0.0, *marks[: self.pools], *([0.0] * (self.live + self.energy))]])

    def of_step(self, step: Step) -> tuple[float, ...]:
        """What a step adds: cycles, cycles that flash is busy or idle for good, and so on."""
        return (
            step.cycles,
            step.cycles - step.figures.slack,
            *step.marks[: self.pools],
            *((step.live_bytes,) if self.live else ()),
            *((step.figures.energy,) if self.energy else ()),
            step.figures.preloading,
        )

    def after(self, labels: Floats, steps: Floats) -> Floats:
        """Every label followed by every step: label by label, one row each."""
        count, width = len(labels) * len(steps), labels.shape[1]
        before, step = labels[:, None, :], steps[None, :, :]
        begin = np.maximum(before[..., TIME], before[..., EARLY] + step[..., -1])
        rows = np.empty((len(labels), len(steps), width))
        rows[..., TIME] = begin + step[..., TIME]
        rows[..., EARLY] = begin + step[..., EARLY]
        most = self.maxima
        rows[..., most] = np.maximum(before[..., most], step[..., most])
        if self.energy:
            rows[..., -1] = before[..., -1] + step[..., width - 1]
        return rows.reshape(count, width)


@dataclass(slots=True)
class Layer:
    """The labels at one position.

    Args:
        rows: one label per row.
        states: of the memory.
        parents: position of the label before, its row there, and the candidate taken there.
    """

    rows: Floats
    states: Positions
    parents: Positions


@dataclass(slots=True)
class _Bundle:
    """Labels on their way to one position and state."""

    rows: list[Floats] = field(default_factory=list)
    parents: list[Positions] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Moves:
    """Steps from one state into another one."""

    last: int
    state: int
    candidates: Positions
    steps: Floats


_Ran = tuple[tuple[int, int], tuple[float, ...]]
"""A step: position of the last operation and state it leaves, and its figures."""

_Known = dict[int, _Ran | None]
"""Steps by candidate."""

Choose = Callable[[int, Floats, Floats], Positions]
"""Which labels to go on with, for a search that is not exact: from the position, the labels, and
the bytes in use where they are."""


def _on_grid(figure: float) -> float:
    return round(figure * _PER_CYCLE) / _PER_CYCLE


class Labels:
    """Label setting over the epochs of one network; remembers its steps between searches.

    Args:
        scheduler: for the network-wide knobs at hand.
        candidates: epochs by first position.
        figures: that labels carry.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        candidates: tuple[tuple[Candidate, ...], ...],
        figures: Figures,
    ) -> None:
        self._machine = scheduler.machine
        self._candidates = candidates
        self._figures = figures
        self._by_buffer = [_by_buffer(own) for own in candidates]
        self._known: dict[tuple[int, int, object], _Known] = defaultdict(dict)

    def search(
        self,
        *,
        pruning: Pruning | None = None,
        choose: Choose | None = None,
        most_labels: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Layer] | None:
        """The labels of every position, those of the finished network last; None if too many.

        Args:
            pruning: leaves out what cannot become part of the front.
            choose: goes on with these only; the result is then no longer exact.
            most_labels: that may be kept.
            progress: is told how many positions are done, of how many.
        """
        end = len(self._candidates)
        waiting: list[dict[int, _Bundle]] = [defaultdict(_Bundle) for _ in range(end + 1)]
        start = waiting[0][self._machine.start]
        start.rows.append(self._figures.of_start(self._machine.first_marks))
        start.parents.append(np.full((1, 3), -1, dtype=np.intp))
        layers: list[Layer] = []
        total = 0
        for position in range(end + 1):
            layer = self._gathered(waiting[position])
            waiting[position].clear()
            if choose is not None and position < end:
                in_use = np.array([float(self._in_use(state)) for state in layer.states.tolist()])
                kept = choose(position, layer.rows, in_use)
                layer = Layer(layer.rows[kept], layer.states[kept], layer.parents[kept])
            layers.append(layer)
            total += len(layer.rows)
            if most_labels is not None and total > most_labels:
                return None
            if position < end:
                self._go_on(position, layer, waiting, pruning)
            if progress is not None:
                progress(position, end)
        return layers

    def _gathered(self, bundles: dict[int, _Bundle]) -> Layer:
        rows, states, parents = [], [], []
        for state, bundle in bundles.items():
            found = np.concatenate(bundle.rows)
            kept = nondominated(found)
            rows.append(found[kept])
            parents.append(np.concatenate(bundle.parents)[kept])
            states.append(np.full(len(kept), state, dtype=np.intp))
        if not rows:
            width = self._figures.of_start(self._machine.first_marks).shape[1]
            return Layer(np.empty((0, width)), np.empty(0, np.intp), np.empty((0, 3), np.intp))
        return Layer(np.concatenate(rows), np.concatenate(states), np.concatenate(parents))

    def _go_on(
        self,
        position: int,
        layer: Layer,
        waiting: list[dict[int, _Bundle]],
        pruning: Pruning | None,
    ) -> None:
        for members, state, known, offered in self._groups(position, layer):
            labels = layer.rows[members]
            worth = offered
            if pruning is not None:
                worth = pruning.candidates(position, labels, offered)
            for move in self._moves(position, state, known, worth):
                rows = self._figures.after(labels, move.steps)
                which = np.arange(len(rows))
                if pruning is not None:
                    which = which[pruning.alive(move.last + 1, rows, self._in_use(move.state))]
                which = which[nondominated(rows[which])]
                if not len(which):
                    continue
                taken, step = np.divmod(which, len(move.steps))
                parents = np.empty((len(which), 3), dtype=np.intp)
                parents[:, 0] = position
                parents[:, 1] = members[taken]
                parents[:, 2] = move.candidates[step]
                bundle = waiting[move.last + 1][move.state]
                bundle.rows.append(rows[which])
                bundle.parents.append(parents)

    def _groups(
        self, position: int, layer: Layer
    ) -> Iterator[tuple[Positions, int, _Known, Positions]]:
        """Labels that take the same steps: the labels, a state of theirs, steps, candidates.

        What an epoch sees of a state is what outlives the epoch before, and the address at which
        its own preloaded weights find room beside everything.
        """
        states = list(dict.fromkeys(layer.states.tolist()))
        for buffer, indices in self._by_buffer[position]:
            seen: dict[object, list[int]] = defaultdict(list)
            for state in states:
                seen[self._seen(position, state, buffer)].append(state)
            for key, alike in seen.items():
                members = np.flatnonzero(np.isin(layer.states, alike))
                members = members[nondominated(layer.rows[members])]
                yield members, alike[0], self._known[position, buffer, key], indices

    def _seen(self, position: int, state: int, buffer: int) -> object:
        live = self._machine.live(state)
        rest = tuple(block for block in live if block.last >= position)
        if not buffer:
            return rest
        in_use = live_bytes(live) if self._figures.live else 0
        return rest, self._machine.memory.place(live, buffer), in_use

    def _in_use(self, state: int) -> int:
        """Bytes in use: on the chip where that is what labels count, else all."""
        live = self._machine.live(state)
        if self._figures.pools:
            pool_at = self._machine.memory.pool_at
            live = tuple(block for block in live if not is_external(pool_at(block.start)))
        return live_bytes(live)

    def _moves(
        self, position: int, state: int, known: _Known, indices: Positions
    ) -> Iterator[_Moves]:
        """Runs epochs in a state; of those that leave the same state, keeps the best ones."""
        by_end: dict[tuple[int, int], tuple[list[int], list[tuple[float, ...]]]] = {}
        for index in indices.tolist():
            if index not in known:
                known[index] = self._ran(position, state, index)
            ran = known[index]
            if ran is not None:
                end, figures = ran
                own = by_end.setdefault(end, ([], []))
                own[0].append(index)
                own[1].append(figures)
        for (last, after), (taken, rows) in by_end.items():
            steps = np.array(rows)
            kept = nondominated(steps)
            yield _Moves(last, after, np.array(taken)[kept], steps[kept])

    def _ran(self, position: int, state: int, index: int) -> _Ran | None:
        epoch = self._candidates[position][index].epoch
        try:
            step = self._machine.step(state, epoch)
        except CompilerError:  # no room: this is no way through the network
            return None
        if epoch.total.preloaded and not step.figures.preloading:
            # No room for the weights: they are streamed, which another candidate states.
            return None
        return (epoch.last, step.state), self._figures.of_step(step)


def _by_buffer(candidates: tuple[Candidate, ...]) -> list[tuple[int, Positions]]:
    """The candidates by the bytes of their preloaded weights."""
    sizes = np.array([candidate.epoch.total.buffer for candidate in candidates])
    return [(int(size), np.flatnonzero(sizes == size)) for size in np.unique(sizes)]
