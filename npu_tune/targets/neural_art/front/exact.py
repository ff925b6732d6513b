"""The exact Pareto front over all per-layer choices, by label setting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import TargetError
from npu_tune.pareto import Floats, nondominated
from npu_tune.space import Configuration, Value
from npu_tune.targets.neural_art.compiler.placement import BY_SIZE
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.front.columns import LabelColumns
from npu_tune.targets.neural_art.front.labels import LabelSearch, PositionLabels
from npu_tune.targets.neural_art.front.pruning import LEAST_GAIN, Pruning
from npu_tune.targets.neural_art.front.reduce import CHAIN, Candidate, Reduced, reduce_epochs
from npu_tune.targets.neural_art.front.relaxed import Relaxed, Tail
from npu_tune.targets.oracle import Front, FrontPoint, Progress

LATENCY = "latency_ms"
CYCLES = "cycles"
RAM = "ram_bytes"
LIVE = "peak_live_bytes"
ENERGY = "energy"
OBJECTIVES = (LATENCY, RAM, CYCLES, LIVE, ENERGY)
"""Metrics for which an exact front can be computed."""

ON_ACCELERATORS = "Every layer is computed by accelerators, none in memory."

MOST_LABELS = 200_000
_OPENINGS = ((48, 2000), (240, 80_000), (1000, MOST_LABELS))
"""Labels per position that heuristic searches keep, which find good solutions first, and labels that
each search after it may take before a larger one comes first."""
_TOLERANCES = (0.01, 0.003)
"""Tolerances of the searches before the exact one: what each finds prunes most of the next one's."""
_FIRST_RANGE = 8
"""Multiple of the least memory that the first heuristic search considers."""
_LIMITS = 11
"""Number of limits on memory under which a heuristic search keeps the fastest labels."""


def exact_front(
    core: NetworkCompiler,
    *,
    rule: str,
    objectives: Sequence[str] = (LATENCY, RAM),
    base: Configuration | None = None,
    tolerance: float = 0.0,
    most_labels: int | None = None,
    progress: Progress | None = None,
) -> Front:
    """Computes the Pareto front over all configurations with the network-wide knobs of a base.

    Args:
        core: the network on the target.
        rule: name of the cost rule.
        objectives: some of :data:`OBJECTIVES`.
        base: gives the network-wide knobs; the default configuration if None.
        tolerance: share of the latency by which a further point must be faster; 0 for all points.
        most_labels: limit on the labels; :data:`MOST_LABELS` if None.
        progress: is told the stage, and how many of its positions are done, of how many.

    Raises:
        TargetError: if an objective is another metric, the placement is ``by_size``, or there are
            more labels than ``most_labels``.
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
    paths = search.run(most_labels or MOST_LABELS)
    points = [_point(core, base, scheduler, path) for path in paths]
    rows = np.array([[point.metrics[name] for name in objectives] for point in points])
    # Equal sums that were added up in another order are equal.
    best = [points[index] for index in nondominated(np.rint(rows / rows.max(axis=0) / LEAST_GAIN))]
    best.sort(key=lambda point: [point.metrics[name] for name in objectives])
    return Front(
        objectives=tuple(objectives),
        points=tuple(best),
        tolerance=tolerance,
        configurations=reduced.configurations,
        notes=restrictions(reduced),
    )


def restrictions(reduced: Reduced) -> tuple[str, ...]:
    """Sentences on the parts of the space that the search leaves out."""
    found = (ON_ACCELERATORS,) if reduced.on_accelerators_only else ()
    if reduced.segments or reduced.residents:
        return (*found, "No layer goes on depth-first, and no weights are in RAM for good.")
    return found


class _Search:
    """Heuristic searches that find good solutions, whose bounds then prune the exact search."""

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
        self._pools = len(scheduler.machine.memory.pools) if RAM in objectives else 0
        self._live = LIVE in objectives
        columns = LabelColumns(self._pools, self._live, ENERGY in objectives)
        self._labels = LabelSearch(scheduler, reduced.candidates, columns)
        self._relaxed = Relaxed(scheduler, cost_rule(rule, scheduler.hardware), self._candidates)
        # Bounds exist for time with one kind of memory. Time is a column even where it is no
        # objective: pruning by it removes more labels than the column adds.
        several = self._live and self._pools
        self._may_prune = not several and ENERGY not in objectives
        self._known: Floats = np.empty((0, 2))
        self._found: list[tuple[tuple[float, ...], tuple[Candidate, ...]]] = []

    def run(self, most_labels: int) -> list[tuple[Candidate, ...]]:
        """Finds paths through the network, which contain every point of the front."""
        sooner = [each for each in _TOLERANCES if each > self._tolerance]
        for most, few in _OPENINGS if self._may_prune else ():
            self._keep(
                self._labels.search(
                    pruning=self._pruning(self._tolerance),
                    choose=partial(self._choose, most, self._guides()),
                    progress=lambda done, of: self._tell("good solutions", done, of),
                )
            )
            limit = min(few, most_labels)
            if all(self._search_exactly(limit, each) for each in (*sooner, self._tolerance)):
                return self._paths()
        if not self._may_prune and self._search_exactly(most_labels, self._tolerance):
            return self._paths()
        raise _too_many_labels_error(most_labels)

    def _search_exactly(self, most_labels: int, tolerance: float) -> bool:
        """Runs the exact search; False if it takes more labels than allowed."""
        labels = self._labels.search(
            pruning=self._pruning(tolerance) if self._may_prune else None,
            most_labels=most_labels,
            progress=lambda done, of: self._tell("all solutions", done, of),
        )
        if labels is None:
            return False
        self._keep(labels)
        return True

    def _paths(self) -> list[tuple[Candidate, ...]]:
        return [path for _, path in self._found]

    def _pruning(self, tolerance: float) -> Pruning | None:
        if not len(self._known):
            return None
        return Pruning(
            self._relaxed,
            self._known,
            memory=self._memory,
            tolerance=tolerance,
        )

    def _memory(self, rows: Floats) -> Floats:
        """Bytes of the memory that is an objective, of shape (labels,); 0 if none is."""
        memory: Floats = rows[:, 2 : 2 + self._pools + self._live].sum(axis=1)
        return memory

    def _guides(self) -> list[tuple[Tail, ...]]:
        """Tails under rising limits on memory, the last without one."""
        if not (self._pools or self._live):
            return [self._relaxed.tails()]
        least = self._relaxed.least_memory() + 1.0
        most = max(self._known[:, 1].max() if len(self._known) else 0.0, _FIRST_RANGE * least)
        limits = np.geomspace(least, most, _LIMITS)
        return [self._relaxed.tails(limit) for limit in (*limits, np.inf)]

    def _choose(
        self,
        most: int,
        guides: Sequence[tuple[Tail, ...]],
        position: int,
        rows: Floats,
        in_use: Floats,
    ) -> NDArray[np.intp]:
        """Selects the labels with the least bound of the latency under several memory limits."""
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
        # The labels with the least bounds may all need much memory, so some with little are kept.
        ends = rows[:, 0] + guides[-1][position](slack, in_use)
        order = np.lexsort((memory, ends))
        for limit in np.quantile(memory, np.linspace(0, 1, len(guides))):
            chosen.update(order[memory[order] <= limit][:share].tolist())
        return np.array(sorted(chosen), dtype=np.intp)

    def _keep(self, labels: Sequence[PositionLabels] | None) -> None:
        """Adds the paths of a search to the nondominated ones found so far."""
        if labels is None:
            return
        rows = labels[-1].rows
        for index, row in enumerate(rows):
            self._found.append((self._objective_values(row), self._path(labels, index)))
        table = np.array([values for values, _ in self._found])
        if len(table):
            self._found = [self._found[index] for index in nondominated(table)]
        if self._may_prune:
            known = [(values[0], values[-1]) for values, _ in self._found]
            self._known = np.array(known).reshape(-1, 2)
            if not (self._pools or self._live):
                self._known[:, 1] = 0.0

    def _objective_values(self, row: Floats) -> tuple[float, ...]:
        """The objectives of a label at the end of the network, time first."""
        found = [float(row[0])]
        if self._pools:
            found.append(float(row[2 : 2 + self._pools].sum()))
        if self._live:
            found.append(float(row[2 + self._pools]))
        if ENERGY in self._objectives:
            found.append(float(row[-1] + row[0] * self._idle))
        return tuple(found)

    def _path(self, labels: Sequence[PositionLabels], index: int) -> tuple[Candidate, ...]:
        path: list[Candidate] = []
        position = len(labels) - 1
        while position:
            position, index, taken = labels[position].parents[index].tolist()
            path.append(self._candidates[position][taken])
        return tuple(reversed(path))


def _point(
    core: NetworkCompiler, base: Configuration, scheduler: Scheduler, path: Sequence[Candidate]
) -> FrontPoint:
    """Evaluates the configuration of a path through the network."""
    changes: dict[str, Value] = {}
    for candidate in path:
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


def _too_many_labels_error(most: int) -> TargetError:
    return TargetError(
        f"The exact front takes more than {most} labels.",
        remedy="Allow more labels or a tolerance, leave an objective out, or take the bound.",
        most_labels=most,
    )
