"""The sampler that learns from the profile of every trial what each layer costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.samplers.base import LayeredSampler, check_count
from npu_tune.samplers.history import Floats, History
from npu_tune.samplers.layers import NETWORK_LAYER, Choice, LayeredSpace, Point
from npu_tune.samplers.moves import Search
from npu_tune.samplers.plan import Plan
from npu_tune.samplers.profile.compose import Aim, Composer
from npu_tune.samplers.profile.encoding import Encoding
from npu_tune.samplers.profile.patchwork import patchwork
from npu_tune.samplers.profile.profiles import MAX, SUM, Profiles, Run
from npu_tune.samplers.profile.relation import Relation, relate
from npu_tune.samplers.profile.segments import Segments
from npu_tune.samplers.profile.surrogate import Figure, Surrogate
from npu_tune.samplers.profile.sweeps import Sweep, sweeps_of, swept
from npu_tune.samplers.profile.variation import Variation
from npu_tune.samplers.ranking import Scalarization, view
from npu_tune.samplers.steps import any_other, change, replaced

_CEILINGS = (1.0, 1.0, 0.9, 0.75, 0.5, 0.0)
"""Down to which share of the best configuration's peak a lower one earns anything: one of these."""

_BOLDNESS = (-1.0, 0.0, 0.5, 1.0, 2.0)
"""By how many standard deviations a prediction is taken lower: one of these."""

_SWEEP_SHARE = 0.5
"""The share of proposals after the first ones that are sweeps, as long as there are new ones of the
first configuration; the shares below are of the rest. 0.35 and 0.75 did a little worse."""

_RESWEEP_SHARE = 0.3
"""How often, of that share, there is a sweep of what is best by now once there are none of the
first configuration. 0 and 0.6 did worse."""

_PREDICTED_SHARE = 0.5
"""The share of proposals that are composed of what the model predicts; most others are variations
of what is put together from runs of layers that were seen. 0.2, 0.35 and 0.65 did worse."""

_NETWORK_SHARE = 0.1
"""The share of proposals that change a parameter of the network alone, and of variations that
change one too."""

_DIRECT_SHARE = 0.5
"""The share of proposals that are moves of the layer-wise search once the rest has brought nothing
for long: those learn from totals, and so see what profiles do not say."""

_PATIENCE = 80
"""After so many trials without a gain such moves are made."""

_MANY_SHARE = 0.5
"""The share of variations that change many runs of layers; they teach more than they gain."""

_MANY = 0.7
"""The share of runs that those change."""

_FEW = 1.5
"""How many runs the other variations change on average."""

_VARIATIONS = 30
"""How often a variation that is known already is repeated, with more changes each time."""

_WHOLE_SHARE = 0.15
"""The share of compositions that may change all layers, and not only a run of neighbours."""

_WHOLE_TRIALS = 100
"""After so many trials that share has fallen, from all, as far as it does."""

_MEAN_WIDTH = 4
"""How many layers such a run has on average."""

_ATTEMPTS = 4
"""How often a composition that is known already is repeated, more boldly each time."""


class LayerProfileSampler(LayeredSampler):
    """Learns from the profile of every trial what each layer costs, and composes what is best.

    A trial whose profile is known (a user attribute: figures per layer) says of every layer what
    it costs, so one trial teaches something about all layers at once. The first trials spread
    over the space; sweeps then give one parameter the same value in all layers, so that every
    layer tells what that value does to it. Other proposals are put together from the runs of
    layers that cost least wherever they were seen, with many or few of them varied, or composed
    by a beam search from what a model predicts of every layer between its neighbours. How the
    objectives come out of the profile (which figures are added up, of which the highest counts)
    is found out from the trials. Without profiles it searches as :class:`LayerwiseSampler` does,
    which learns from totals.

    Everything is derived from the study's trials, and every proposal from the seed and the
    trial's number: an interrupted search goes on as if nothing had happened.

    Args:
        layer_order: names of layers in the order in which moves visit them; neighbours are
            taken from the profile.
        beam_width: how many partial configurations the composition keeps, and how many choices
            of each layer it considers.
        first_trials: how many trials spread over the space at first.
        first_share: how many of all parameters such a trial changes, from 0 to 1.
        baseline: parameters of the configuration to start from, used for the first trial.
        scalarization: for several objectives: weights, for values relative to those of the first
            completed trial, or a function of the values (as if all were minimised) to be
            minimised; None to search along the Pareto front.
        profile_key: the user attribute that holds a trial's profile.
        seed: of the random choices; None for another one each time.
    """

    def __init__(
        self,
        *,
        layer_order: Sequence[str] | None = None,
        beam_width: int = 6,
        first_trials: int = 4,
        first_share: float = 0.5,
        baseline: Mapping[str, Any] | None = None,
        scalarization: Scalarization | None = None,
        profile_key: str = "profile",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            layer_order=layer_order, baseline=baseline, scalarization=scalarization, seed=seed
        )
        check_count("beam_width", beam_width)
        if not isinstance(first_trials, int) or first_trials < 0:
            raise ValueError(
                f"`first_trials` must be an integer from 0 on, but it is {first_trials!r}."
            )
        if not 0.0 <= first_share <= 1.0:
            raise ValueError(f"`first_share` must be from 0 to 1, but it is {first_share!r}.")
        if not isinstance(profile_key, str):
            raise TypeError(f"`profile_key` must be a string, but it is {profile_key!r}.")
        self._beam_width = beam_width
        self._first_trials = first_trials
        self._first_share = first_share
        self._profile_key = profile_key
        self._plan = Plan()

    def _propose(
        self, study: Study, trial: FrozenTrial, history: History, random: np.random.Generator
    ) -> Point | None:
        seen = view(history, width=4, scalarization=self._scalarization, turn=trial.number)
        if seen is None or not seen.beam:
            return None
        search = Search(history, seen, random)
        learnt = self._derive(history, lambda: Learnt(history.space, self._profile_key))
        learnt.read(history, study.get_trials(deepcopy=False))
        if len(learnt.profiles):
            for point in self._proposals(search, learnt, trial.number):
                if search.is_new(point):
                    return point
        return self._plan.propose(search)

    def _proposals(self, search: Search, learnt: Learnt, number: int) -> Iterator[Point]:
        space, random = search.history.space, search.random
        if number <= self._first_trials:
            yield _spread(random, space, learnt.profiles.points[0], self._first_share)
        elif random.random() < _SWEEP_SHARE:
            yield from _sweeps(search, learnt)
        if search.trials_since_best > _PATIENCE and random.random() < _DIRECT_SHARE:
            return
        relation = learnt.relation(search.view.scores)
        draw = random.random()
        if draw < _PREDICTED_SHARE:
            yield from self._predicted(search, learnt, relation)
        elif draw < _PREDICTED_SHARE + _NETWORK_SHARE:
            yield _other_network(random, space, search.best)
        yield from _varied(search, learnt, relation)

    def _predicted(self, search: Search, learnt: Learnt, relation: Relation) -> Iterator[Point]:
        profiles, random = learnt.profiles, search.random
        composer = Composer(
            profiles, {f: learnt.surrogate(f) for f in relation.factors}, random, self._beam_width
        )
        elite = [search.history.points[i] for i in search.view.beam]
        count = len(profiles.layers)
        for attempt in range(_ATTEMPTS):
            boldness = _BOLDNESS[int(random.integers(len(_BOLDNESS)))] + attempt / 2
            aim = learnt.aim(relation, elite[0], random, boldness)
            yield composer.compose(
                search.kept(), elite, aim, _window(random, count, len(profiles))
            )


def _sweeps(search: Search, learnt: Learnt) -> Iterator[Point]:
    """The next sweep of the first configuration, or now and then one of what is best by now."""
    first = next(filter(search.is_new, learnt.first_sweeps), None)
    if first is not None:
        yield first
    elif search.random.random() < _RESWEEP_SHARE:
        _, best = _put_together(search, learnt, learnt.relation(search.view.scores))
        for number in search.random.permutation(len(learnt.sweeps)):
            yield swept(best, learnt.sweeps[int(number)])


def _put_together(
    search: Search, learnt: Learnt, relation: Relation
) -> tuple[Sequence[Run], Point]:
    """The best that can be put together from runs of layers that were seen, and those runs."""
    layers = learnt.profiles.layers
    found = patchwork(learnt.segments, relation, len(layers), search.random)
    changes = {layers[place]: choice for place, choice in found.choices.items()}
    return found.runs, change(search.kept(), changes)


def _varied(search: Search, learnt: Learnt, relation: Relation) -> Iterator[Point]:
    """What is put together from runs of layers that were seen, and variations of that."""
    space, random, layers = search.history.space, search.random, learnt.profiles.layers
    runs, point = _put_together(search, learnt, relation)
    share = _MANY if random.random() < _MANY_SHARE else 0.0
    if not share:
        yield point
    for attempt in range(_VARIATIONS):
        few = min(_FEW / len(runs) * (1 + attempt / 5), _MANY)
        varied = Variation(space, layers, learnt.segments, random, point)
        proposal = varied.of(runs, share or few)
        if random.random() < _NETWORK_SHARE:
            proposal = _other_network(random, space, proposal)
        yield proposal


def _window(random: np.random.Generator, count: int, trials: int) -> range:
    """All layers, or a run of neighbouring ones."""
    if random.random() < max(_WHOLE_SHARE, 1.0 - trials / _WHOLE_TRIALS):
        return range(count)
    width = min(int(random.geometric(1 / _MEAN_WIDTH)), count)
    first = int(random.integers(count - width + 1))
    return range(first, first + width)


class Learnt:
    """What was learnt from one study's profiles; rebuilt from its trials at any time."""

    def __init__(self, space: LayeredSpace, key: str) -> None:
        self.profiles = Profiles(space, key)
        self.segments = Segments(space)
        self.sweeps: tuple[Sweep, ...] = sweeps_of(space)
        self._encoding: Encoding | None = None
        self._surrogates: dict[Figure, Surrogate] = {}

    def read(self, history: History, trials: Sequence[FrozenTrial]) -> None:
        self.profiles.read(history, trials)
        self.segments.read(self.profiles)

    @cached_property
    def first_sweeps(self) -> tuple[Point, ...]:
        """The sweeps of the first configuration; there is one from the first profile on."""
        return tuple(swept(self.profiles.points[0], sweep) for sweep in self.sweeps)

    def surrogate(self, figure: Figure) -> Surrogate:
        if figure not in self._surrogates:
            if self._encoding is None:
                self._encoding = Encoding(self.profiles.slots)
            self._surrogates[figure] = Surrogate(self.profiles, figure, self._encoding)
        return self._surrogates[figure]

    def relation(self, scores: Floats) -> Relation:
        return relate(self.profiles, scores[self.profiles.indices])

    def aim(
        self, relation: Relation, best: Point, random: np.random.Generator, boldness: float
    ) -> Aim:
        peaks = relation.part(MAX)
        share = _CEILINGS[int(random.integers(len(_CEILINGS)))]
        number = self.profiles.number_of(best)
        ceiling = {}
        for figure in peaks:
            present = (
                self.profiles.totals(MAX)[number, figure.column] if number is not None else 0.0
            )
            ceiling[figure] = share * float(present)
        return Aim(relation.part(SUM), peaks, ceiling, boldness)


def _spread(random: np.random.Generator, space: LayeredSpace, start: Point, share: float) -> Point:
    """A share of all parameters changed at random."""

    def changed(choice: Choice, layer: int) -> Choice:
        return tuple(
            int(random.integers(p.size)) if random.random() < share else value
            for p, value in zip(space.layers[layer], choice, strict=True)
        )

    return tuple(changed(choice, layer) for layer, choice in enumerate(start))


def _other_network(random: np.random.Generator, space: LayeredSpace, point: Point) -> Point:
    """One parameter of the network changed, where there is one to change."""
    if NETWORK_LAYER not in space.names:
        return point
    layer = space.names.index(NETWORK_LAYER)
    places = [place for place, size in enumerate(space.sizes[layer]) if size > 1]
    if not places:
        return point
    at = places[int(random.integers(len(places)))]
    value = any_other(random, space.sizes[layer][at], point[layer][at])
    return change(point, {layer: replaced(point[layer], at, value)})
