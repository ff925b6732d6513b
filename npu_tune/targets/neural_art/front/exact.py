"""The exact Pareto front over all choices of all layers, by label setting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import TargetError
from npu_tune.pareto import nondominated
from npu_tune.space import Configuration, Value
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.core import Core
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.front.labels import Figures, Labels, Layer
from npu_tune.targets.neural_art.front.pruning import Pruning
from npu_tune.targets.neural_art.front.reduce import CHAIN, Candidate, Reduced, reduce_epochs
from npu_tune.targets.neural_art.front.relaxed import Relaxed, Tail
from npu_tune.targets.oracle import Front, FrontPoint, Progress

Floats = NDArray[np.float64]

LATENCY = "latency_ms"
CYCLES = "cycles"
RAM = "ram_bytes"
LIVE = "peak_live_bytes"
ENERGY = "energy"
OBJECTIVES = (LATENCY, RAM, CYCLES, LIVE, ENERGY)
"""Metrics that a front can be exact in."""

MOST_LABELS = 200_000
_OPENINGS = (48, 240, 1000)
"""Labels per position that the searches go on with which are to find good solutions fast."""
_FEW_LABELS = 2000
"""That the search which leaves nothing out may keep before a better opening is tried."""
_FIRST_RANGE = 8
"""Times the least memory that is of interest before anything is known."""
_LIMITS = 11
"""Limits on memory under which such a search keeps the fastest labels."""


def exact_front(
    core: Core,
    *,
    rule: str,
    objectives: Sequence[str] = (LATENCY, RAM),
    base: Configuration | None = None,
    tolerance: float = 0.0,
    most_labels: int | None = None,
    progress: Progress | None = None,
) -> Front:
    """The Pareto front over all configurations that agree with ``base`` in what is network-wide.

    Args:
        core: the network on the target.
        rule: how cycles are counted.
        objectives: some of :data:`OBJECTIVES`.
        base: gives the network-wide knobs; the default configuration by default.
        tolerance: share of the latency that a further point must gain; 0 for all points.
        most_labels: that may be kept; :data:`MOST_LABELS` by default.
        progress: is told how far it is.

    Raises:
        TargetError: for other objectives, memory that is given out for all maps together, or
            more labels.
    """
    for name in objectives:
        if name not in OBJECTIVES:
            raise TargetError(
                f"The front cannot be exact in {name!r}.",
                remedy=f"It can in {', '.join(OBJECTIVES)}.",
                metric=name,
            )
    base = base or core.space.default
    scheduler = core.scheduler(base)
    if scheduler.settings.placement == BY_SIZE:
        raise TargetError(
            "There is no exact front with the placement by_size, which gives out memory for all "
            "maps together.",
            remedy="Take a base with the placement ping_pong or first_fit.",
        )
    tell = progress or (lambda *_: None)
    reduced = reduce_epochs(
        scheduler, core.space, progress=lambda done, of: tell("choices", done, of)
    )
    search = _Search(
        scheduler,
        reduced,
        rule=rule,
        objectives=tuple(objectives),
        tolerance=tolerance,
        tell=tell,
    )
    ways = search.run(most_labels or MOST_LABELS)
    points = [_point(core, base, scheduler, way) for way in ways]
    rows = np.array([[point.metrics[name] for name in objectives] for point in points])
    best = [points[index] for index in nondominated(rows)]
    best.sort(key=lambda point: [point.metrics[name] for name in objectives])
    return Front(
        objectives=tuple(objectives),
        points=tuple(best),
        tolerance=tolerance,
        configurations=reduced.configurations,
        notes=restrictions(reduced),
    )


def restrictions(reduced: Reduced) -> tuple[str, ...]:
    """What of the space was left out."""
    if reduced.on_accelerators_only:
        return ("Every layer is computed by accelerators, none in memory.",)
    return ()


class _Search:
    """Searches that find good solutions fast, then the one that leaves nothing out."""

    def __init__(
        self,
        scheduler: Scheduler,
        reduced: Reduced,
        *,
        rule: str,
        objectives: tuple[str, ...],
        tolerance: float,
        tell: Progress,
    ) -> None:
        self._candidates = reduced.candidates
        self._tolerance, self._tell = tolerance, tell
        self._idle = scheduler.hardware.energy.idle_cycle
        self._objectives = objectives
        self._pools = len(scheduler.hardware.internal) if RAM in objectives else 0
        self._live = LIVE in objectives
        figures = Figures(self._pools, self._live, ENERGY in objectives)
        self._labels = Labels(scheduler, reduced.candidates, figures)
        self._relaxed = Relaxed(scheduler, cost_rule(rule, scheduler.hardware), self._candidates)
        # Bounds are held against time and one sort of memory. Time is always carried: what it
        # leaves out makes up for the labels that it adds.
        several = self._live and self._pools
        self._may_prune = not several and ENERGY not in objectives
        self._known: Floats = np.empty((0, 2))
        self._found: list[tuple[tuple[float, ...], tuple[Candidate, ...]]] = []

    def run(self, most_labels: int) -> list[tuple[Candidate, ...]]:
        """Ways through the network, every point of the front among them."""
        for most in _OPENINGS if self._may_prune else ():
            self._keep(
                self._labels.search(
                    pruning=self._pruning(),
                    choose=partial(self._choose, most, self._guides()),
                    progress=lambda done, of: self._tell("good solutions", done, of),
                )
            )
            # Often these are enough to leave out nearly all the rest.
            if self._complete(min(most_labels, _FEW_LABELS)):
                return self._ways()
        if not self._complete(most_labels):
            raise _too_many(most_labels)
        return self._ways()

    def _complete(self, most_labels: int) -> bool:
        """Searches without leaving out what may be better; False where that is too much."""
        layers = self._labels.search(
            pruning=self._pruning() if self._may_prune else None,
            most_labels=most_labels,
            progress=lambda done, of: self._tell("all solutions", done, of),
        )
        if layers is None:
            return False
        self._keep(layers)
        return True

    def _ways(self) -> list[tuple[Candidate, ...]]:
        return [way for _, way in self._found]

    def _pruning(self) -> Pruning | None:
        if not len(self._known):
            return None
        return Pruning(
            self._relaxed,
            self._known,
            memory=self._memory,
            in_use=self._live,
            tolerance=self._tolerance,
        )

    def _memory(self, rows: Floats) -> Floats:
        """Bytes of what is limited, none where latency is the only objective."""
        memory: Floats = rows[:, 2 : 2 + self._pools + self._live].sum(axis=1)
        return memory

    def _guides(self) -> list[tuple[Tail, ...]]:
        """Tails under limits on memory, from the least that can do to the most of interest."""
        on_chip = not self._live
        if not (self._pools or self._live):
            return [self._relaxed.tails()]
        least = self._relaxed.least_memory(on_chip=on_chip) + 1.0
        most = max(self._known[:, 1].max() if len(self._known) else 0.0, _FIRST_RANGE * least)
        limits = np.geomspace(least, most, _LIMITS)
        return [self._relaxed.tails(limit, on_chip=on_chip) for limit in (*limits, np.inf)]

    def _choose(
        self,
        most: int,
        guides: Sequence[tuple[Tail, ...]],
        position: int,
        rows: Floats,
        in_use: Floats,
    ) -> NDArray[np.intp]:
        """The labels that may end soonest, under several limits on memory."""
        if len(rows) <= most:
            return np.arange(len(rows))
        slack, memory = rows[:, 0] - rows[:, 1], self._memory(rows)
        chosen: set[int] = set()
        share = most // (2 * len(guides))
        for guide in guides:
            ends = rows[:, 0] + guide[position](slack, in_use)
            ends[memory >= guide[position].below] = np.inf
            order = np.lexsort((memory, ends))[:share]
            chosen.update(order[np.isfinite(ends[order])].tolist())
        # Those that promise to end soonest may all need much memory in the end.
        ends = rows[:, 0] + guides[-1][position](slack, in_use)
        order = np.lexsort((memory, ends))
        for limit in np.quantile(memory, np.linspace(0, 1, len(guides))):
            chosen.update(order[memory[order] <= limit][:share].tolist())
        return np.array(sorted(chosen), dtype=np.intp)

    def _keep(self, layers: Sequence[Layer] | None) -> None:
        """Adds the solutions of a search to what is known."""
        if layers is None:
            return
        rows = layers[-1].rows
        for index, row in enumerate(rows):
            self._found.append((self._figures(row), self._way(layers, index)))
        table = np.array([figures for figures, _ in self._found])
        if len(table):
            self._found = [self._found[index] for index in nondominated(table)]
        if self._may_prune:
            known = [(figures[0], figures[-1]) for figures, _ in self._found]
            self._known = np.array(known).reshape(-1, 2)
            if not (self._pools or self._live):
                self._known[:, 1] = 0.0

    def _figures(self, row: Floats) -> tuple[float, ...]:
        """What of a label of the finished network is minimised, time first."""
        found = [float(row[0])]
        if self._pools:
            found.append(float(row[2 : 2 + self._pools].sum()))
        if self._live:
            found.append(float(row[2 + self._pools]))
        if ENERGY in self._objectives:
            found.append(float(row[-1] + row[0] * self._idle))
        return tuple(found)

    def _way(self, layers: Sequence[Layer], index: int) -> tuple[Candidate, ...]:
        way: list[Candidate] = []
        position = len(layers) - 1
        while position:
            position, index, taken = layers[position].parents[index].tolist()
            way.append(self._candidates[position][taken])
        return tuple(reversed(way))


def _point(
    core: Core, base: Configuration, scheduler: Scheduler, way: Sequence[Candidate]
) -> FrontPoint:
    """The configuration that a way through the network stands for, evaluated."""
    changes: dict[str, Value] = {}
    for candidate in way:
        for option, position in zip(
            candidate.options, range(candidate.epoch.first, candidate.epoch.last + 1), strict=True
        ):
            layer = scheduler.graph.operations[position].name
            values = option.asked._asdict()
            values[CHAIN] = position < candidate.epoch.last
            changes |= {f"{layer}/{name}": value for name, value in values.items()}
    own = {name: value for name, value in changes.items() if name in base}
    configuration = core.space.effective(base.replace(own))
    metrics = evaluation_of(core.run(configuration), core.hardware(configuration)).metrics
    return FrontPoint(configuration, metrics)


def _too_many(most: int) -> TargetError:
    return TargetError(
        f"The exact front takes more than {most} labels.",
        remedy="Allow more labels or a tolerance, leave an objective out, or take the bound.",
        most_labels=most,
    )
