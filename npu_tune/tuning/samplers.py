"""Samplers by name, with their options checked, and seeded trial by trial."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from npu_tune._optuna_compat import carry_search_space
from npu_tune.errors import MissingExtraError, UsageError
from npu_tune.samplers import (
    LayerProfileSampler,
    LayerwiseSampler,
    QLearningSampler,
    SimulatedAnnealingSampler,
)
from npu_tune.samplers.base import LayeredSampler
from npu_tune.space import NETWORK_SCOPE, SearchSpace
from npu_tune.tuning.genetic import NSGAII, NSGAIII

_SAMPLERS: Mapping[str, Callable[..., BaseSampler]] = {
    "annealing": SimulatedAnnealingSampler,
    "gp": GPSampler,
    "layerwise": LayerwiseSampler,
    "nsga2": NSGAII,
    "nsga3": NSGAIII,
    "profile": LayerProfileSampler,
    "qlearning": QLearningSampler,
    "random": RandomSampler,
    "tpe": TPESampler,
}

_GENERATIONS = 20
_POPULATIONS = (10, 50)
"""A population that lets genetic algorithms breed about so often within the budget, in bounds."""


def sampler_names() -> tuple[str, ...]:
    """The samplers a study file may name."""
    return tuple(_SAMPLERS)


def require_layers(name: str, space: SearchSpace) -> None:
    """Sees that a sampler that walks layers was not asked for where there are none.

    Raises:
        UsageError: if it was.
    """
    kind = _SAMPLERS.get(name)
    walks = inspect.isclass(kind) and issubclass(kind, LayeredSampler)
    if walks and not set(space.layers) - {NETWORK_SCOPE}:
        raise UsageError(
            f"The sampler {name!r} walks layers, and no layer of this network has a knob on this "
            "target.",
            remedy="Choose a sampler that needs none: tpe, nsga2, nsga3, gp or random.",
            key="sampler.name",
            value=name,
        )


def make_sampler(
    name: str,
    options: Mapping[str, Any],
    *,
    seed: int,
    context: Mapping[str, Any],
    objectives: int | None = None,
) -> BaseSampler:
    """The sampler a study file asks for.

    Args:
        name: one of :func:`sampler_names`.
        options: keyword arguments from the study file.
        seed: the study's.
        context: keyword arguments the runner knows (layer order, baseline, ...); given to
            samplers that take them, unless the study file says otherwise.
        objectives: how many there are; None where that is not known yet.

    Raises:
        UsageError: if the name or an option is unknown, or the sampler refuses its value.
        MissingExtraError: if the sampler needs an extra that is not installed.
    """
    kind = _SAMPLERS.get(name)
    if kind is None:
        raise _unknown("sampler.name", name, sampler_names())
    taken = set(inspect.signature(kind).parameters)
    for option in options:
        if option not in taken - {"seed"}:
            raise _unknown(f"sampler.{option}", option, sorted(taken - {"seed"}))
    if kind is GPSampler:
        _require_torch()
    known = {key: value for key, value in context.items() if key in taken}
    arguments = {**known, **_strongest(kind, context.get("evaluations")), **options}

    def make(trial_seed: int) -> BaseSampler:
        return kind(**arguments, seed=trial_seed)

    blame = partial(_options_blamed, name, options)
    with blame():
        sampler = make(seed)
        if isinstance(sampler, LayeredSampler):
            sampler.check_layers(context.get("layer_order", options.get("layer_order", ())))
            if objectives is not None:
                sampler.check_objectives(objectives)
            return sampler
    return SeededPerTrial(make, seed=seed, guard=blame)


def _strongest(kind: Callable[..., BaseSampler], evaluations: int | None) -> dict[str, Any]:
    """Options with which an Optuna sampler does better than with its own defaults."""
    if kind is GPSampler:
        # Evaluations are repeatable, which Optuna does not take for granted.
        return {"deterministic_objective": True}
    if kind in {NSGAII, NSGAIII} and evaluations is not None:
        low, high = _POPULATIONS
        return {"population_size": min(max(evaluations // _GENERATIONS, low), high)}
    return {}


def _require_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError(
            "The sampler 'gp' needs PyTorch, which is not installed.",
            remedy="Install it with `pip install 'npu-tune[gp]'`; its build for CPUs will do.",
        )


@contextmanager
def _options_blamed(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Takes what a sampler raises for the fault of its options, where it was given any."""
    try:
        yield
    except Exception as error:
        if not options:
            raise
        raise UsageError(
            f"The sampler {name!r} refuses its options: {str(error).rstrip('.')}.",
            remedy="Correct the section [sampler].",
            options=dict(options),
        ) from error


class SeededPerTrial(BaseSampler):
    """Makes a sampler's proposals depend on the trials, the seed and the trial number alone.

    Optuna's own samplers draw from a generator that starts anew when a study is resumed, and
    so repeat their first proposals. This one makes a fresh sampler for every trial, with a seed
    drawn from the study's seed and the trial's number.

    Args:
        make: makes the sampler from a seed; the sampler keeps no state but its generator.
        seed: the study's.
        guard: surrounds everything the sampler does: many a wrong option shows only then.
    """

    def __init__(
        self,
        make: Callable[[int], BaseSampler],
        *,
        seed: int,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._make = make
        self._guard = guard
        self._seed = seed
        self._current = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        words = np.random.SeedSequence((self._seed, trial.number)).generate_state(1)
        with self._guard():
            fresh = self._make(int(words[0]))
            carry_search_space(self._current, fresh)
            self._current = fresh
            self._current.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        with self._guard():
            return self._current.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with self._guard():
            return self._current.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        with self._guard():
            return self._current.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Any
    ) -> None:
        with self._guard():
            self._current.after_trial(study, trial, state, values)


def _unknown(key: str, value: str, known: tuple[str, ...] | list[str]) -> UsageError:
    close = get_close_matches(value, known, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return UsageError(
        f"The key {key!r} is unknown: {value!r}.",
        remedy=f"{hint}Known are {', '.join(known)}.",
        key=key,
        value=value,
    )
