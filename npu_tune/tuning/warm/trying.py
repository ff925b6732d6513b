"""Tries choices of many layers at once, those first that paid in layers alike elsewhere.

What a trial did to each layer is read from its profile, so that one evaluation tells of a choice in
every second layer. What paid is then put together. Everything follows from the study's trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

from npu_tune.errors import EvaluationError
from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.targets import ProfileSchema, Start
from npu_tune.tuning.trial import TrialRecord
from npu_tune.tuning.warm.lessons import LessonTable
from npu_tune.tuning.warm.rows import Floats, RowTable, Weights, weigh_rows
from npu_tune.tuning.warm.source import ORIGIN

_TRIES = f"{ORIGIN}tries choices of"
_JOINS = f"{ORIGIN}joins what paid in"

Choice: TypeAlias = tuple[Value, ...]
"""Of a layer: the values of its knobs, in order."""


Kind: TypeAlias = frozenset[tuple[str, Value]]
"""Of a change of a layer: names and new values of the knobs that change."""


@dataclass(frozen=True)
class TryingSettings:
    """Numbers of trying choices.

    Args:
        patience: trials of this kind without a gain after which no more are made, until something
            better has been found otherwise.
        spacing: least distance, in layers, of choices that are tried in one trial, so that what
            each does to its neighbours can be told.
        least: smallest share of the cost that counts as a gain.
        hopeless: expected loss, as a share of the cost, from which on a choice is not tried.
        fitted: latest trials to which the cost is fitted.
        joins: trials in a row that join what paid, after which what is left of it is dropped.
    """

    patience: int = 16
    spacing: int = 2
    least: float = 1e-5
    hopeless: float = 2e-3
    fitted: int = 200
    joins: int = 4


@dataclass(frozen=True)
class _Seen:
    """A trial that has a profile."""

    trial: TrialRecord
    rows: Floats
    runs: Sequence[range]
    network: Choice
    choices: Sequence[Choice]


@dataclass(frozen=True)
class _Change:
    """A choice of one layer, with what it is expected, or known, to add to the cost."""

    expected: float
    place: int
    choice: Choice


class Trying:
    """Which choices to try next.

    Args:
        space: of the search.
        schema: of profiles.
        lessons: from elsewhere.
        settings: numbers.

    Attributes:
        issued: number of the trials of this kind that have finished.
    """

    def __init__(
        self,
        space: SearchSpace,
        schema: ProfileSchema,
        lessons: LessonTable,
        settings: TryingSettings = TryingSettings(),
    ) -> None:
        self._space = space
        self._schema = schema
        self._lessons = lessons
        self._settings = settings
        self._knobs: dict[str, list[Knob]] = {layer: [] for layer in space.layers}
        for knob in space.knobs:
            self._knobs[knob.layer].append(knob)
        self._layers = [layer for layer in space.layers if layer != NETWORK_SCOPE]
        self._table: RowTable | None = None
        self._read = 0
        self._costs: dict[Configuration, float] = {}
        self._seen: list[_Seen] = []
        self._best: _Seen | None = None
        self._tried: set[tuple[int, Choice]] = set()
        # Kinds of changes that brought nothing where they were joined alone.
        self._closed: set[Kind] = set()
        self._dropped: set[tuple[int, Choice]] = set()
        self._joins = 0
        self._without_gain = 0
        self.issued = 0

    def next(self, trials: Sequence[TrialRecord]) -> Start | None:
        """What to try next; None where there is nothing, or nothing before another gain.

        Args:
            trials: of the study, of which there are ever more.
        """
        for trial in trials[self._read :]:
            self._learn(trial)
        self._read = len(trials)
        best = self._best
        if best is None or self._without_gain >= self._settings.patience:
            return None
        latest = self._seen[-self._settings.fitted :]
        scored = [(s.rows, s.trial.cost) for s in latest if s.trial.cost is not None]
        weights = weigh_rows([rows for rows, _ in scored], [cost for _, cost in scored])
        if weights is None:
            return None
        known = self._known(best, weights)
        chosen, label = self._paid(best, known), _JOINS
        if not chosen:
            chosen, label = self._untried(best, known, weights), _TRIES
        if not chosen:
            return None
        layers = f"{len(chosen)} layer{'s' if len(chosen) > 1 else ''}"
        return Start(f"{label} {layers} ({self.issued + 1})", self._with(best, chosen))

    def _learn(self, trial: TrialRecord) -> None:
        is_join = trial.origin.startswith(f"start: {_JOINS}")
        is_own = is_join or trial.origin.startswith(f"start: {_TRIES}")
        self.issued += is_own
        cost = math.inf if trial.cost is None or not trial.feasible else trial.cost
        self._costs.setdefault(trial.configuration, cost)
        choices = self._choices(trial.configuration)
        best = self._best
        if is_own and best is not None:
            self._joins = self._joins + 1 if is_join else 0
            differs = [at for at, c in enumerate(choices) if c != best.choices[at]]
            kinds = {self._kind(at, best.choices[at], choices[at]) for at in differs}
            if not is_join:
                self._tried |= {(at, choices[at]) for at in differs}
            elif len(kinds) == 1 and cost >= (best.trial.cost or 0.0):
                self._closed |= kinds
        self._without_gain += is_own
        if trial.duplicate_of is not None or not trial.profile:
            return
        if self._table is None:
            self._table = RowTable.of(
                self._space,
                trial.profile,
                cost=self._schema.cost,
                group=self._schema.group,
            )
        rows, runs = self._table.read(trial.profile), self._table.runs(trial.profile)
        network = self._choice(NETWORK_SCOPE, trial.configuration)
        seen = _Seen(trial, rows, runs, network, choices)
        self._seen.append(seen)
        if cost < (math.inf if best is None else best.trial.cost or math.inf):
            self._best, self._without_gain = seen, 0

    def _known(self, best: _Seen, weights: Weights) -> dict[tuple[int, Choice], float]:
        """What choices add to the cost of the best, by the latest trial that tells it.

        That is one in which the layer has that choice, while those beside it and the network have
        theirs of the best. What rises in all layers alike is shared out where all changes are of one
        kind, and else left out.
        """
        found: dict[tuple[int, Choice], float] = {}
        for seen in self._seen:
            if seen.network != best.network or seen is best:
                continue
            pairs = zip(seen.choices, best.choices, strict=True)
            differs = [place for place, (one, other) in enumerate(pairs) if one != other]
            others = set(differs)
            kinds = {self._kind(at, best.choices[at], seen.choices[at]) for at in differs}
            share = weights.shared(best.rows, seen.rows) / len(differs) if len(kinds) == 1 else 0.0
            for place in differs:
                if place - 1 in others or place + 1 in others:
                    continue
                places = self._touched(place, others, best, seen)
                change = weights.change(best.rows, seen.rows, places)
                found[place, seen.choices[place]] = change + share
        return found

    def _touched(
        self, place: int, others: AbstractSet[int], best: _Seen, seen: _Seen
    ) -> list[int]:
        """The layers whose rows tell what a change did: what ran together, and those beside it.

        A layer that lies between two that changed tells of neither.
        """
        beside = {
            at
            for at, beyond in ((place - 1, place - 2), (place + 1, place + 2))
            if 0 <= at < len(self._layers) and beyond not in others
        }
        return sorted({*best.runs[place], *seen.runs[place], *beside})

    def _paid(self, best: _Seen, known: dict[tuple[int, Choice], float]) -> list[_Change]:
        """Of what is known to pay all, else all of a kind, else the best that was not joined yet."""
        least = -self._settings.least * (best.trial.cost or 0.0)
        by_place: dict[int, _Change] = {}
        for (place, choice), change in known.items():
            each = _Change(change, place, choice)
            kind = self._kind(place, best.choices[place], choice)
            if change >= least or kind in self._closed or (place, choice) in self._dropped:
                continue
            if self._is_known(best, each):
                continue
            kept = by_place.get(place)
            if kept is None or change < kept.expected:
                by_place[place] = each
        paid = sorted(by_place.values(), key=lambda each: (each.expected, each.place))
        if self._joins >= self._settings.joins:
            self._dropped |= {(each.place, each.choice) for each in paid}
            return []
        kinds: dict[Kind, list[_Change]] = {}
        for each in paid:
            kind = self._kind(each.place, best.choices[each.place], each.choice)
            kinds.setdefault(kind, []).append(each)
        options = (paid, *kinds.values(), paid[:1])
        return next((option for option in options if option and self._is_open(best, option)), [])

    def _untried(
        self, best: _Seen, known: dict[tuple[int, Choice], float], weights: Weights
    ) -> list[_Change]:
        """The most promising choices that were never tried, of layers that are apart."""
        default = self._seen[0].rows[:, 0] * weights.unit
        least = self._settings.hopeless * (best.trial.cost or 0.0)
        options = sorted(
            (
                each
                for place in range(len(self._layers))
                for each in self._changes(best, place, float(default[place]))
                if each.expected < least
                and (place, each.choice) not in known
                and (place, each.choice) not in self._tried
            ),
            key=lambda each: (
                self._kind(each.place, best.choices[each.place], each.choice) in self._closed,
                each.expected,
            ),
        )
        chosen: list[_Change] = []
        for each in options:
            if all(self._are_apart(best, each, other) for other in chosen) and self._is_open(
                best, [*chosen, each], alone=True
            ):
                chosen.append(each)
        return chosen

    def _are_apart(self, best: _Seen, one: _Change, other: _Change) -> bool:
        distance = abs(one.place - other.place)
        return distance >= self._settings.spacing and other.place not in best.runs[one.place]

    def _kind(self, place: int, before: Choice, after: Choice) -> Kind:
        knobs = self._knobs[self._layers[place]]
        return frozenset(
            (knob.name, new)
            for knob, old, new in zip(knobs, before, after, strict=True)
            if old != new
        )

    def _changes(self, best: _Seen, place: int, default: float) -> Iterator[_Change]:
        """Every change of one knob of a layer; of what nothing is known what is costly comes first."""
        layer, choice = self._layers[place], best.choices[place]
        for at, knob in enumerate(self._knobs[layer]):
            for value in knob.values:
                if value == choice[at]:
                    continue
                gain = self._lessons.gain(layer, knob.name, choice[at], value)
                expected = -1e-9 * default if gain is None else -gain * default
                yield _Change(expected, place, (*choice[:at], value, *choice[at + 1 :]))

    def _is_open(self, best: _Seen, changes: Sequence[_Change], *, alone: bool = False) -> bool:
        """Whether changes of the best make a legal configuration that was not evaluated yet.

        Args:
            best: what is changed.
            changes: each has to be there.
            alone: whether no other layer may change with them.
        """
        made = self._with(best, changes)
        if made in self._costs:
            return False
        wanted = {each.place: each.choice for each in changes}
        for place, choice in enumerate(self._choices(made)):
            if place in wanted and choice != wanted[place]:
                return False
            if alone and place not in wanted and choice != best.choices[place]:
                return False
        try:
            self._space.check(made)
        except EvaluationError:
            return False
        return True

    def _is_known(self, best: _Seen, change: _Change) -> bool:
        return self._with(best, [change]) in self._costs

    def _with(self, best: _Seen, changes: Sequence[_Change]) -> Configuration:
        values = {
            knob.full_name: value
            for each in changes
            for knob, value in zip(self._knobs[self._layers[each.place]], each.choice, strict=True)
        }
        return self._space.effective(best.trial.configuration.replace(values))

    def _choices(self, configuration: Configuration) -> tuple[Choice, ...]:
        return tuple(self._choice(layer, configuration) for layer in self._layers)

    def _choice(self, layer: str, configuration: Configuration) -> Choice:
        return tuple(configuration[knob.full_name] for knob in self._knobs.get(layer, ()))


def tries(trying: Trying, trials: Callable[[], Sequence[TrialRecord]]) -> Iterator[Start | None]:
    """What to try, one after another; None where the sampler is to propose something, without end.

    Args:
        trying: says what is next.
        trials: finds those of the study.
    """
    waiting = -1
    while True:
        start = trying.next(trials())
        if start is None or trying.issued == waiting:
            yield None  # also while what was tried last is still under way
        else:
            waiting = trying.issued
            yield start
