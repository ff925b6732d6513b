"""Tries choices of many layers at once, those first that paid in layers alike elsewhere.

What a trial did to each layer is read from its profile, so that one evaluation tells of a choice in
every second layer. What paid is then put together. Everything follows from the study's trials.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from npu_tune.errors import EvaluationError
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets import ProfileSchema, Start
from npu_tune.tuning.trial import TrialRecord
from npu_tune.tuning.warm.choices import Choice, ChoiceChange, ChoiceReader, Kind
from npu_tune.tuning.warm.evidence import SeenTrial, known_changes
from npu_tune.tuning.warm.lessons import LessonTable
from npu_tune.tuning.warm.rows import RowTable, weigh_rows
from npu_tune.tuning.warm.source import ORIGIN

_TRIES = f"{ORIGIN}tries choices of"
_JOINS = f"{ORIGIN}joins what paid in"


_FEW = 4
"""So many choices of which nothing is known are worth a trial of their own before what lost."""


@dataclass(frozen=True)
class TryingSettings:
    """Numbers of trying choices.

    Args:
        patience: trials of this kind without a gain after which no more are made, until something
            better has been found otherwise.
        spacing: least distance, in layers, of choices that are tried in one trial, so that what
            each does to its neighbours can be told.
        least: smallest share of the cost that counts as a gain.
        hopeless: expected loss, as a share of the cost, from which on a choice comes last.
        fitted: latest trials to which the cost is fitted.
        joins: trials without a gain in which a choice that seemed to pay is joined with others.
    """

    patience: int = 16
    spacing: int = 2
    least: float = 1e-5
    hopeless: float = 2e-3
    fitted: int = 200
    joins: int = 3


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
        self._choices = ChoiceReader(space)
        self._table: RowTable | None = None
        self._read = 0
        self._costs: dict[Configuration, float] = {}
        self._seen: deque[SeenTrial] = deque(maxlen=settings.fitted)
        self._default: SeenTrial | None = None  # the first that was seen
        self._best: SeenTrial | None = None
        self._tried: set[tuple[int, Choice]] = set()
        self._times: Counter[int] = Counter()  # that something was tried at a place
        self._joined: Counter[tuple[int, Choice]] = Counter()  # without a gain
        # Kinds of changes that brought nothing where they were joined alone.
        self._closed: set[Kind] = set()
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
        scored = [(s.rows, s.trial.cost) for s in self._seen if s.trial.cost is not None]
        weights = weigh_rows([rows for rows, _ in scored], [cost for _, cost in scored])
        if weights is None:
            return None
        known = known_changes(best, self._seen, weights, self._choices)
        chosen, label = self._paid(best, known), _JOINS
        if not chosen:
            chosen, label = self._untried(best, known, weights.unit), _TRIES
        if not chosen:
            return None
        layers = f"{len(chosen)} layer{'s' if len(chosen) > 1 else ''}"
        made = self._choices.change(best.trial.configuration, chosen)
        return Start(f"{label} {layers} ({self.issued + 1})", made)

    def _learn(self, trial: TrialRecord) -> None:
        is_join = trial.origin.startswith(f"start: {_JOINS}")
        is_own = is_join or trial.origin.startswith(f"start: {_TRIES}")
        self.issued += is_own
        self._without_gain += is_own
        cost = math.inf if trial.cost is None or not trial.feasible else trial.cost
        self._costs.setdefault(trial.configuration, cost)
        choices = self._choices.of(trial.configuration)
        if is_own and self._best is not None:
            self._learn_own(self._best, choices, cost, is_join=is_join)
        if trial.duplicate_of is not None or not trial.profile:
            return
        if self._table is None:
            schema = self._schema
            self._table = RowTable.of(
                self._space, trial.profile, cost=schema.cost, group=schema.group
            )
        seen = SeenTrial(
            trial,
            self._table.read(trial.profile),
            self._table.runs(trial.profile),
            self._choices.of_network(trial.configuration),
            choices,
        )
        self._seen.append(seen)
        self._default = self._default or seen
        if cost < (math.inf if self._best is None else self._best.trial.cost or math.inf):
            self._best, self._without_gain = seen, 0

    def _learn_own(
        self, best: SeenTrial, choices: Sequence[Choice], cost: float, *, is_join: bool
    ) -> None:
        """Takes in what a trial of this kind tried, while that was the best."""
        pairs = zip(choices, best.choices, strict=True)
        differs = [place for place, (one, other) in enumerate(pairs) if one != other]
        if not is_join:
            self._tried |= {(place, choices[place]) for place in differs}
            self._times.update(differs)
        elif cost >= (best.trial.cost or 0.0):
            self._joined.update((place, choices[place]) for place in differs)
            kinds = {self._choices.kind(at, best.choices[at], choices[at]) for at in differs}
            self._closed |= kinds if len(kinds) == 1 else set()

    def _paid(
        self, best: SeenTrial, known: Mapping[tuple[int, Choice], tuple[float, bool]]
    ) -> list[ChoiceChange]:
        """What is known to pay: all that is sure, else all of a kind, else the best alone."""
        least = -self._settings.least * (best.trial.cost or 0.0)
        by_place: dict[int, tuple[bool, ChoiceChange]] = {}
        for (place, choice), (change, is_sure) in known.items():
            each = ChoiceChange(change, place, choice)
            if change >= least or self._kind(best, each) in self._closed:
                continue
            if self._joined[place, choice] >= self._settings.joins:
                continue
            if self._choices.change(best.trial.configuration, [each]) in self._costs:
                continue
            kept = by_place.get(place)
            if kept is None or (is_sure, -change) > (kept[0], -kept[1].expected):
                by_place[place] = is_sure, each
        paid = sorted(by_place.values(), key=lambda each: (each[1].expected, each[1].place))
        kinds: dict[Kind, list[ChoiceChange]] = {}
        for _, each in paid:
            kinds.setdefault(self._kind(best, each), []).append(each)
        sure = [each for is_sure, each in paid if is_sure]
        options = (sure, *kinds.values(), sure[:1])
        return next((option for option in options if option and self._is_open(best, option)), [])

    def _untried(
        self, best: SeenTrial, known: Mapping[tuple[int, Choice], object], unit: float
    ) -> list[ChoiceChange]:
        """The most promising choices that were never tried, of layers that are apart.

        First comes what paid elsewhere, then what nothing is known of, layers in turn. When few are
        left, what lost there is tried kind by kind: what layers cost is not all that counts.
        """
        default = (self._default or best).rows[:, 0] * unit
        hopeless = self._settings.hopeless * (best.trial.cost or 0.0)
        options: list[tuple[tuple[float, ...], ChoiceChange]] = []
        losers: dict[Kind, list[ChoiceChange]] = {}
        for place in range(len(self._choices.layers)):
            for each, rank in self._changes(best, place, float(default[place])):
                done, kind = (place, each.choice), self._kind(best, each)
                if done in known or done in self._tried:
                    continue
                if each.expected < hopeless:
                    in_turn = self._times[place] if each.expected == 0 else 0
                    is_closed = kind in self._closed
                    key = (is_closed, each.expected, in_turn, rank, -float(default[place]))
                    options.append((key, each))
                elif kind not in self._closed:
                    losers.setdefault(kind, []).append(each)
        options.sort(key=lambda option: option[0])
        chosen = self._apart(best, [each for _, each in options])
        if len(chosen) >= _FEW or any(each.expected < 0 for each in chosen):
            return chosen
        groups = (self._apart(best, each) for each in sorted(losers.values(), key=_least_loss))
        return next(filter(None, groups), chosen)

    def _apart(self, best: SeenTrial, options: Sequence[ChoiceChange]) -> list[ChoiceChange]:
        """Of some changes those that can be told apart in one trial, the first before the rest."""
        chosen: list[ChoiceChange] = []
        for each in options:
            if all(self._are_apart(best, each, other) for other in chosen) and self._is_open(
                best, [*chosen, each], alone=True
            ):
                chosen.append(each)
        return chosen

    def _changes(
        self, best: SeenTrial, place: int, default: float
    ) -> Iterator[tuple[ChoiceChange, int]]:
        """Every change of one knob of a layer, with its rank: the default first, then what is near.

        What is expected is 0 where nothing is known.
        """
        choice = best.choices[place]
        layer = self._choices.layers[place]
        for at, knob in enumerate(self._choices.knobs[place]):
            now = knob.values.index(choice[at])
            others = [value for value in knob.values if value != choice[at]]
            others.sort(key=lambda v: (v != knob.default, abs(knob.values.index(v) - now)))
            for rank, value in enumerate(others):
                gain = self._lessons.gain(layer, knob.name, choice[at], value)
                expected = 0.0 if gain is None else -gain * default
                changed = (*choice[:at], value, *choice[at + 1 :])
                yield ChoiceChange(expected, place, changed), rank

    def _are_apart(self, best: SeenTrial, one: ChoiceChange, other: ChoiceChange) -> bool:
        distance = abs(one.place - other.place)
        return distance >= self._settings.spacing and other.place not in best.runs[one.place]

    def _kind(self, best: SeenTrial, change: ChoiceChange) -> Kind:
        return self._choices.kind(change.place, best.choices[change.place], change.choice)

    def _is_open(
        self, best: SeenTrial, changes: Sequence[ChoiceChange], *, alone: bool = False
    ) -> bool:
        """Whether changes of the best make a legal configuration that was not evaluated yet.

        Args:
            best: what is changed.
            changes: each has to be there.
            alone: whether no other layer may change with them.
        """
        made = self._choices.change(best.trial.configuration, changes)
        if made in self._costs:
            return False
        wanted = {each.place: each.choice for each in changes}
        for place, choice in enumerate(self._choices.of(made)):
            needed = wanted.get(place, best.choices[place] if alone else choice)
            if choice != needed:
                return False
        try:
            self._space.check(made)
        except EvaluationError:
            return False
        return True


def _least_loss(changes: Sequence[ChoiceChange]) -> float:
    return min(each.expected for each in changes)


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
