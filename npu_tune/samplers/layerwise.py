"""The greedy layer-wise search as an Optuna sampler."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.moves import Search
from npu_tune.samplers.opening import Opening
from npu_tune.samplers.plan import Plan
from npu_tune.samplers.ranking import Scalarization, view

_ATTEMPTS = 64
"""Draws for a value other than a given one; of two values, only one in 2**64 searches fails."""


class LayerwiseSampler(BaseSampler):
    """Walks the layers of a network and keeps the best solutions found on the way.

    Parameters are grouped by layer: the part of their name before the last ``/``. The search
    visits layers in order; at each it tries choices of the layer on top of kept solutions, so
    that every trial is a complete configuration. After the last layer it sweeps again from the
    front, with more trials where they mattered and with moves of several layers at once.

    Everything is derived from the study's trials, and every proposal from the seed and the
    trial's number: an interrupted search goes on as if nothing had happened.

    Reconstructed after Indirli, Silvano and Zaccaria (2024), "a greedy algorithm walks the
    convolutional layers and preserves a set of solutions"; what the paper leaves open is a
    parameter here.

    Args:
        layer_order: names of layers in the order of visits; others follow in the study's order.
            By default ``network`` comes first and the layers as the study has them.
        beam_width: how many solutions are kept.
        candidates_per_layer: how many choices of a layer a sweep tries; None for two per
            parameter. A layer with more gets a spread-out, seeded subset.
        sweeps: after so many sweeps only several layers at a time are changed; None for no limit.
        baseline: parameters of the configuration to start from, used for the first trial; trials
            that start before one has completed change a single parameter of it. By default the
            search starts from the best trials the study has.
        scalarization: for several objectives: weights, for values relative to those of the first
            completed trial, or a function of the values (as if all were minimised) to be
            minimised; None to search along the Pareto front.
        seed: of the random choices; None for another one each time.
    """

    def __init__(
        self,
        *,
        layer_order: Sequence[str] | None = None,
        beam_width: int = 4,
        candidates_per_layer: int | None = None,
        sweeps: int | None = None,
        baseline: Mapping[str, Any] | None = None,
        scalarization: Scalarization | None = None,
        seed: int | None = None,
    ) -> None:
        for name, value in (
            ("beam_width", beam_width),
            ("candidates_per_layer", candidates_per_layer),
            ("sweeps", sweeps),
        ):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ValueError(f"`{name}` must be an integer from 1 on, but it is {value!r}.")
        if isinstance(scalarization, str) or isinstance(layer_order, str):
            raise TypeError("`scalarization` and `layer_order` are no strings.")
        self._layer_order = layer_order
        self._beam_width = beam_width
        self._plan = Plan(candidates_per_layer=candidates_per_layer, sweeps=sweeps)
        self._scalarization = scalarization
        self._seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
        self._opening = Opening(dict(baseline or {}), self._seed)
        self._lock = threading.Lock()
        # Both only spare work: what they hold is checked against the trials at every use.
        self._caches: weakref.WeakKeyDictionary[Study, _Cache] = weakref.WeakKeyDictionary()
        self._warned: weakref.WeakSet[Study] = weakref.WeakSet()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_caches"], state["_warned"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._caches = weakref.WeakKeyDictionary()
        self._warned = weakref.WeakSet()

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - part of Optuna's interface
    ) -> dict[str, BaseDistribution]:
        with self._lock:
            common = self._cache(study).common_space(study.get_trials(deepcopy=False))
            space = self._cache(study).layered(common, self._layer_order)
        if space is None:
            if common:
                self._warn_once(study)
            return {}
        return space.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        random = np.random.default_rng((self._seed, trial.number))
        with self._lock:
            space = self._cache(study).layered(search_space, self._layer_order)
            if space is None:
                self._warn_once(study)
                return {name: _random_value(random, d) for name, d in search_space.items()}
            history = self._cache(study).history(space, study)
            seen = view(
                history,
                width=self._beam_width,
                scalarization=self._scalarization,
                turn=trial.number,
            )
            if seen is None:
                return {
                    name: self._first_value(study, trial, name, distribution)
                    for name, distribution in search_space.items()
                }
            return space.decode(self._plan.propose(Search(history, seen, random)))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._first_value(study, trial, param_name, param_distribution)

    def _first_value(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """A parameter's value as long as no trial has completed to build upon."""
        # The name is part of the seed, so that a parameter's value does not depend on which
        # others are sampled before it.
        random = np.random.default_rng((self._seed, trial.number, int.from_bytes(name.encode())))
        opening = self._opening
        turn = opening.turn(study, trial) if name in opening.baseline else None
        if turn is None:
            return _random_value(random, distribution)
        if turn == 0 or name != opening.changed(turn):
            return opening.baseline[name]
        return _other_value(random, distribution, opening.baseline[name])

    def _cache(self, study: Study) -> _Cache:
        if study not in self._caches:
            self._caches[study] = _Cache()
        return self._caches[study]

    def _warn_once(self, study: Study) -> None:
        if study not in self._warned:
            self._warned.add(study)
            warnings.warn(
                "No parameter name has the form layer/parameter, so `LayerwiseSampler` has no "
                "layers to walk and samples at random.",
                stacklevel=2,
            )


class _Cache:
    """What was read of one study so far."""

    def __init__(self) -> None:
        self._history: History | None = None
        self._space: LayeredSpace | None = None
        self._space_of: Mapping[str, BaseDistribution] = {}
        self._settled = 0
        self._counted: set[int] = set()
        self._common: dict[str, BaseDistribution] | None = None

    def history(self, space: LayeredSpace, study: Study) -> History:
        trials = study.get_trials(deepcopy=False)
        known = self._history
        if known is None or known.space is not space or not known.read(trials):
            known = self._history = History(space, study.directions)
            known.read(trials)
        return known

    def layered(
        self, distributions: Mapping[str, BaseDistribution], order: Sequence[str] | None
    ) -> LayeredSpace | None:
        discrete = {
            name: distribution
            for name, distribution in distributions.items()
            if isinstance(distribution, (IntDistribution, CategoricalDistribution))
        }
        if self._space_of != discrete:
            self._space = LayeredSpace.of(discrete, order)
            self._space_of = discrete
        return self._space

    def common_space(self, trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
        """Parameters that all completed trials have, with the same distribution."""
        gap = False
        for trial in trials[self._settled :]:
            if not trial.state.is_finished():
                gap = True
                continue
            if not gap:
                self._settled += 1
            if trial.state == TrialState.COMPLETE and trial.number not in self._counted:
                self._counted.add(trial.number)
                self._intersect(trial.distributions)
        return self._common or {}

    def _intersect(self, distributions: dict[str, BaseDistribution]) -> None:
        if self._common is None:
            self._common = dict(distributions)
        elif distributions != self._common:
            self._common = {
                name: distribution
                for name, distribution in self._common.items()
                if distributions.get(name) == distribution
            }


def _other_value(random: np.random.Generator, distribution: BaseDistribution, taken: Any) -> Any:
    """A value that is not ``taken``, unless there is none."""
    value = _random_value(random, distribution)
    for _ in range(_ATTEMPTS):
        if value != taken:
            break
        value = _random_value(random, distribution)
    return value


def _random_value(random: np.random.Generator, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(random.integers(len(distribution.choices)))]
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        raise TypeError(f"Values of {distribution} cannot be drawn.")
    low, high = distribution.low, distribution.high
    if distribution.log:
        value = float(np.exp(random.uniform(np.log(low), np.log(high))))
    else:
        value = float(random.uniform(low, high))
    if distribution.step is not None and not distribution.log:
        steps = round((high - low) / distribution.step)
        value = low + int(random.integers(steps + 1)) * distribution.step
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value
