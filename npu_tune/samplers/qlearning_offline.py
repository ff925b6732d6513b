"""Q-learning in two phases: profile every choice of every layer, then search offline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.samplers.base import LayeredSampler
from npu_tune.samplers.checks import check_count
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Point
from npu_tune.samplers.moves import Search
from npu_tune.samplers.offline.actions import planned_choices, profiling_points
from npu_tune.samplers.offline.desk import Desk, home_of
from npu_tune.samplers.offline.settings import OfflineSettings
from npu_tune.samplers.plan import SweepPlan
from npu_tune.samplers.profile.profiles import Profiles
from npu_tune.samplers.ranking import Scalarization, view
from npu_tune.samplers.steps import change, nudge_choice, replace_value


class OfflineQLearningSampler(LayeredSampler):
    """Profiles every choice of every layer, learns offline what is best, and verifies that.

    First come trials that measure: all layers at their k-th choice, then patterns of neighbours
    that choose otherwise, since what a layer costs depends on what its neighbours hand over. What
    their profiles say becomes a table of costs by layer, choice before and choice. Q-learning by
    episodes on that table finds the best configuration without an evaluation. Every further trial
    is that configuration, or the next best where it was evaluated already, and its profile
    corrects the table.

    A limit that was violated becomes one on the column of the profile that explains it, whose sum
    is added to the cost with a multiplier, bracketed such that the limit is just met.

    After QS-DNN: de Prado, Pazos and Benini, "Learning to infer: RL-based search for DNN
    primitive selection on heterogeneous embedded systems", DATE 2019, and de Prado et al.,
    arXiv:2006.05181: the two phases, and episodes that explore for one half and then less and
    less. The patterns, the model of pairs that were not seen, limits and verification are ours.

    Args:
        episodes: of a search of the table.
        evaluations: normally the study's budget, of which profiling takes a share at most.
        profile_key: the user attribute under which trials carry their profile.
        cost_column: of the profile, preferred where several explain an objective equally well.
        layer_order: names of layers in the order in which moves visit them; neighbours are taken
            from the profile.
        baseline: parameters of the configuration to start from, used for the first trial.
        scalarization: for several objectives: weights, for values relative to those of the first
            completed trial, or a function of the values (as if all were minimised) to be
            minimised; None to weigh them equally and otherwise in turns.
        noise: relative standard deviation of a trial's values. With noise only the shares of
            layers are read from a profile, as times drift.
        settings: tuned numbers of the search.
        seed: of the random choices; None for another one each time.
    """

    def __init__(
        self,
        *,
        episodes: int = 1000,
        evaluations: int = 1000,
        profile_key: str = "profile",
        cost_column: str = "cycles",
        layer_order: Sequence[str] | None = None,
        baseline: Mapping[str, Any] | None = None,
        scalarization: Scalarization | None = None,
        noise: float = 0.0,
        settings: OfflineSettings = OfflineSettings(),  # noqa: B008 - a frozen value
        seed: int | None = None,
    ) -> None:
        super().__init__(
            layer_order=layer_order,
            baseline=baseline,
            scalarization=scalarization,
            noise=noise,
            seed=seed,
        )
        check_count("episodes", episodes)
        check_count("evaluations", evaluations)
        self._episodes = episodes
        self._profile_key = profile_key
        self._cost_column = cost_column
        self._profiling = int(settings.profiling_share * evaluations)
        self._settings = settings

    def _propose(
        self, study: Study, trial: FrozenTrial, history: History, random: np.random.Generator
    ) -> Point | None:
        settings = self._settings
        seen = view(
            history,
            width=settings.profile.elite,
            scalarization=self._scalarization,
            turn=trial.number,
        )
        if seen is None or not seen.beam:
            return None
        layerwise = settings.profile.layerwise
        search = Search(history, seen, random, layerwise, self._effects(history, layerwise))
        profiles = self._derive(history, "profiles", lambda: self._profiles(history))
        profiles.read(history, history.trials)
        if len(profiles):
            home = home_of(profiles, seen.scores, noise=self._noise)
            for point in self._measurements(search, profiles, home):
                return point
            desk = Desk(profiles, seen, home, settings, self._noise, self._episodes, random)
            for solution in desk.solutions(trial.number):
                if not search.is_new(solution.point):
                    renewed = self._renew(random, profiles, solution.point)
                    if not search.is_new(renewed):
                        continue
                    return renewed
                if solution.score is not None:
                    self._predict(study, trial, history, solution.score)
                return solution.point
        return SweepPlan().propose(search)

    def _renew(self, random: np.random.Generator, profiles: Profiles, point: Point) -> Point:
        """Changes many or few layers to choices like theirs: a profile tells of all at once.

        Layers whose choices are all profiled stay as they are.
        """
        space, settings = profiles.space, self._settings
        many = settings.most_choices
        layers = [layer for layer in profiles.layers if space.choices[layer] > many]
        share = settings.new_share if random.random() < 0.5 else 1.5 / max(len(layers), 1)
        changes = {
            layer: nudge_choice(random, space.layers[layer], point[layer], settings.profile.steps)
            for layer in layers
            if random.random() < share
        }
        return change(point, changes)

    def _profiles(self, history: History) -> Profiles:
        return Profiles(
            history.space,
            self._profile_key,
            cost_column=self._cost_column,
            group_column=None,
            settings=self._settings.profile,
        )

    def _measurements(self, search: Search, profiles: Profiles, home: Point) -> Iterator[Point]:
        """Yields what is still to be measured: choices and pairs, then network-wide parameters."""
        history, settings = search.history, self._settings
        space = history.space
        free = {history.points[index] for index in history.duplicates}
        first = profiles.points[0]
        choices = [
            planned_choices(
                space.layers[layer],
                first[layer],
                most=settings.most_choices,
                positions=settings.positions,
            )
            for layer in profiles.layers
        ]
        start = change(home, {layer: first[layer] for layer in profiles.layers})
        others = 1 + np.random.default_rng(self._seed).permutation(max(map(len, choices)) - 1)
        left = self._profiling
        for point in profiling_points(profiles.layers, start, choices, others.tolist()):
            if left <= 0:
                break
            left -= point not in free
            if search.is_new(point):
                yield point
        spent = self._profiling - left
        if len(history.points) - len(history.duplicates) < spent + settings.network_after:
            return
        for layer, place in space.network_wide:
            tried = {point[layer][place] for point in history.taken}
            for value in range(min(space.sizes[layer][place], settings.most_choices)):
                if value not in tried:
                    choice = replace_value(search.best[layer], place, value)
                    yield change(search.best, {layer: choice})
