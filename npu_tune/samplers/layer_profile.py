"""The sampler that learns from the profile of every trial what each layer costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.samplers.base import LayeredSampler
from npu_tune.samplers.checks import check_count, check_share
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Choice, LayeredSpace, Point
from npu_tune.samplers.moves import Search
from npu_tune.samplers.offline.desk import Desk, home_of
from npu_tune.samplers.offline.settings import OfflineSettings
from npu_tune.samplers.plan import SweepPlan
from npu_tune.samplers.profile.compose import Composer
from npu_tune.samplers.profile.learnt import Learnt
from npu_tune.samplers.profile.patchwork import patchwork
from npu_tune.samplers.profile.profiles import Profiles, Run
from npu_tune.samplers.profile.relation import Relation
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.profile.sweeps import apply_sweep
from npu_tune.samplers.profile.variation import Variation
from npu_tune.samplers.ranking import Scalarization, view
from npu_tune.samplers.steps import any_other, change, replace_value, revert_some


class LayerProfileSampler(LayeredSampler):
    """Learns from the profile of every trial what each layer costs, and composes what is best.

    A trial with a profile (a user attribute: numbers per layer) tells of every layer what it
    costs, so one trial teaches something about all layers at once. The first trials spread over
    the space; sweeps then give one parameter the same value in all layers, so that every layer
    tells what that value does to it. Other proposals are patchworks of the runs of layers that
    cost least wherever they were observed, with many or few of them varied, or composed by a beam
    search from what a model predicts of every layer between its neighbours. How the objectives
    follow from the profile (which columns are added up over layers, of which the maximum counts)
    is found by regression. Without profiles it searches as :class:`LayerwiseSampler` does, which
    learns from totals.

    Everything is derived from the study's trials, and every proposal from the seed and the
    trial's number: a resumed search equals an uninterrupted one.

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
        cost_column: the profile's column that is preferred where several explain an objective
            equally well.
        group_column: the profile's column with one value in neighbouring rows of layers that ran
            together; None where there is none.
        starts: share of the budget that whoever runs the search may spend on configurations that
            were planned for the problem, before and between this sampler's proposals.
        noise: relative standard deviation of a trial's values. With noise the model smooths
            costs instead of interpolating them, and the mean over the trials of a point counts.
        settings: tuned numbers of the search.
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
        cost_column: str = "cycles",
        group_column: str | None = "epoch",
        starts: float = 0.25,
        noise: float = 0.0,
        settings: LayerProfileSettings = LayerProfileSettings(),  # noqa: B008 - a frozen value
        seed: int | None = None,
    ) -> None:
        super().__init__(
            layer_order=layer_order,
            baseline=baseline,
            scalarization=scalarization,
            noise=noise,
            seed=seed,
        )
        check_count("beam_width", beam_width)
        check_count("first_trials", first_trials, least=0)
        check_share("first_share", first_share, most=1.0)
        check_share("starts", starts, most=1.0)
        for name, text in (("profile_key", profile_key), ("cost_column", cost_column)):
            if not isinstance(text, str):
                raise TypeError(f"`{name}` must be a string, but it is {text!r}.")
        self._beam_width = beam_width
        self._first_trials = first_trials
        self._first_share = first_share
        self._profile_key = profile_key
        self._cost_column = cost_column
        self._group_column = group_column
        self.starts = starts
        self._plan = SweepPlan()
        self._settings = settings

    def _propose(
        self, study: Study, trial: FrozenTrial, history: History, random: np.random.Generator
    ) -> Point | None:
        settings, scalarization = self._settings, self._scalarization
        seen = view(history, width=settings.elite, scalarization=scalarization, turn=trial.number)
        if seen is None or not seen.beam:
            return None
        search = Search(
            history, seen, random, settings.layerwise, self._effects(history, settings.layerwise)
        )
        learnt = self._derive(history, "learnt", lambda: self._learnt(history.space))
        learnt.read(history, history.trials)
        if len(learnt.profiles):
            expected: dict[Point, float] = {}
            for point in self._proposals(search, learnt, trial.number, expected):
                if search.is_new(point):
                    if point in expected:
                        self._predict(study, trial, history, expected[point])
                    return point
        return self._plan.propose(search)

    def _learnt(self, space: LayeredSpace) -> Learnt:
        profiles = Profiles(
            space,
            self._profile_key,
            cost_column=self._cost_column,
            group_column=self._group_column,
            settings=self._settings,
            is_noisy=self._noise > 0,
        )
        return Learnt(profiles, self._settings, noise=self._noise)

    def _proposals(
        self, search: Search, learnt: Learnt, number: int, expected: dict[Point, float]
    ) -> Iterator[Point]:
        """Yields points, and adds the scores that are expected of some of them."""
        space, random, settings = search.history.space, search.random, self._settings
        if number <= self._first_trials:
            yield _spread(random, space, learnt.profiles.points[0], self._first_share)
        elif random.random() < settings.sweep_share:
            yield from _sweeps(search, learnt, settings)
        if (
            search.trials_since_best > settings.patience
            and random.random() < settings.direct_share
        ):
            return
        if (
            search.trials_since_best > settings.revert_patience
            and random.random() < settings.revert_share
        ):
            yield from _reverts(search, learnt, settings)
        relation = learnt.relation(search.view, random, search.history.running)
        draw, is_limited = random.random(), bool(learnt.limits())
        share = settings.limited_share if is_limited else settings.predicted_share
        if draw < share and is_limited:
            yield from self._solutions(search, learnt, number, expected)
        elif draw < share:
            # With very many under way, composing for each of them takes longer than it is worth.
            many, running = settings.composed_running, search.history.running
            if running <= many or random.random() < many / running:
                yield from self._compositions(search, learnt, relation)
        elif draw < share + settings.network_share:
            yield _change_network(random, space, search.best)
        yield from _variations(search, learnt, relation, settings)

    def _solutions(
        self, search: Search, learnt: Learnt, number: int, expected: dict[Point, float]
    ) -> Iterator[Point]:
        """Yields what an offline search finds, and adds the scores that are expected of it."""
        home = home_of(learnt.profiles, search.view.scores, noise=self._noise)
        desk = Desk(
            *(learnt.profiles, search.view, home, OfflineSettings(), self._noise),
            episodes=self._settings.episodes,
            random=search.random,
        )
        for solution in desk.solutions(number):
            if solution.score is not None:
                expected[solution.point] = solution.score
            yield solution.point

    def _compositions(self, search: Search, learnt: Learnt, relation: Relation) -> Iterator[Point]:
        """Yields compositions of what the surrogates predict, more and more boldly."""
        profiles, random, settings = learnt.profiles, search.random, self._settings
        surrogates = {aggregate: learnt.surrogate(aggregate) for aggregate in relation.factors}
        composer = Composer(profiles, surrogates, random, settings, self._beam_width)
        elite = [search.history.points[i] for i in search.view.beam]
        count = len(profiles.layers)
        for attempt in range(settings.compositions):
            drawn = settings.boldness[int(random.integers(len(settings.boldness)))]
            aim = learnt.aim(relation, elite[0], random, drawn + attempt / 2)
            start = search.kept()
            window = _window(random, count, len(profiles), settings)
            yield composer.compose(start, elite, aim, window)


def _sweeps(search: Search, learnt: Learnt, settings: LayerProfileSettings) -> Iterator[Point]:
    """Yields the next sweep of the first configuration, else now and then of the best patchwork."""
    first = next(filter(search.is_new, learnt.first_sweeps), None)
    if first is not None:
        yield first
    elif search.random.random() < settings.resweep_share:
        relation = learnt.relation(search.view, search.random, search.history.running)
        _, best = _put_together(search, learnt, relation, settings)
        for number in search.random.permutation(len(learnt.sweeps)):
            yield apply_sweep(best, learnt.sweeps[int(number)])


def _put_together(
    search: Search, learnt: Learnt, relation: Relation, settings: LayerProfileSettings
) -> tuple[Sequence[Run], Point]:
    """Makes the best patchwork of observed runs of layers; returns those runs and the point."""
    layers = learnt.profiles.layers
    found = patchwork(learnt.segments, relation, len(layers), search.random, settings)
    changes = {layers[place]: choice for place, choice in found.choices.items()}
    return found.runs, change(search.kept(), changes)


def _variations(
    search: Search, learnt: Learnt, relation: Relation, settings: LayerProfileSettings
) -> Iterator[Point]:
    """Yields the best patchwork and variations of it."""
    space, random, layers = search.history.space, search.random, learnt.profiles.layers
    runs, point = _put_together(search, learnt, relation, settings)
    share = settings.many_runs if random.random() < settings.many_share else 0.0
    if not share:
        yield point
    for attempt in range(settings.variations):
        few = min(settings.few_runs / len(runs) * (1 + attempt / 5), settings.many_runs)
        variation = Variation(space, layers, learnt.segments, random, point, settings)
        proposal = variation.vary(runs, share or few)
        if random.random() < settings.network_share:
            proposal = _change_network(random, space, proposal)
        yield proposal


def _reverts(search: Search, learnt: Learnt, settings: LayerProfileSettings) -> Iterator[Point]:
    """Yields good points with some changes taken back to the first configuration."""
    first, space = learnt.profiles.points[0], search.history.space
    for _ in range(settings.variations):
        yield revert_some(search.random, space, search.kept(), first, settings.revert_kinds)


def _window(
    random: np.random.Generator, count: int, trials: int, settings: LayerProfileSettings
) -> range:
    """Draws all layers, or a run of neighbouring ones."""
    if random.random() < max(settings.whole_share, 1.0 - trials / settings.whole_trials):
        return range(count)
    width = min(int(random.geometric(1 / settings.mean_width)), count)
    first = int(random.integers(count - width + 1))
    return range(first, first + width)


def _spread(random: np.random.Generator, space: LayeredSpace, start: Point, share: float) -> Point:
    """Draws a share of all parameters anew."""

    def redraw(choice: Choice, layer: int) -> Choice:
        return tuple(
            int(random.integers(p.size)) if random.random() < share else value
            for p, value in zip(space.layers[layer], choice, strict=True)
        )

    return tuple(redraw(choice, layer) for layer, choice in enumerate(start))


def _change_network(random: np.random.Generator, space: LayeredSpace, point: Point) -> Point:
    """Changes one network-wide parameter, where there is one to change."""
    if not space.network_wide:
        return point
    layer, at = space.network_wide[int(random.integers(len(space.network_wide)))]
    value = any_other(random, space.sizes[layer][at], point[layer][at])
    return change(point, {layer: replace_value(point[layer], at, value)})
