"""Samplers by name or as instances, with their options checked, and seeded trial by trial."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from npu_tune._optuna_compat import carry_search_space
from npu_tune.errors import MissingExtraError, NpuTuneWarning, UsageError, sentence_of
from npu_tune.samplers.base import LayeredSampler
from npu_tune.space import NETWORK_SCOPE, SearchSpace
from npu_tune.tuning.builtin_samplers import BUILT_IN
from npu_tune.tuning.sampler_kind import RequiredModule, SamplerContext, SamplerKind
from npu_tune.validation import key_name, key_note, known_remedy, sentence

__all__ = [
    "GROUP",
    "RequiredModule",
    "SamplerContext",
    "SamplerKind",
    "SeededPerTrial",
    "make_sampler",
    "require_layers",
    "sampler_kind",
    "sampler_names",
]

GROUP = "npu_tune.samplers"
"""The entry-point group of other packages' samplers: each names a :class:`SamplerKind`, or a
function without arguments that returns one."""

_BUILT_IN = {kind.name: kind for kind in BUILT_IN}


def sampler_names() -> tuple[str, ...]:
    """Lists the samplers a study file may name: the built-in ones, then those of other packages.

    A sampler of another package that cannot be loaded is left out with a warning.
    """
    names = dict.fromkeys(_BUILT_IN)
    for point in _entry_points():
        if point.name not in names and _load(point) is not None:
            names[point.name] = None
    return tuple(names)


def sampler_kind(name: str) -> SamplerKind:
    """Finds a sampler by its name.

    Raises:
        UsageError: if the name is unknown, or two packages bring a sampler of that name.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    points = [point for point in _entry_points() if point.name == name]
    if len(points) > 1:
        both = " and ".join(f"{point.value!r}" for point in points)
        raise UsageError(
            f"There is more than one sampler {name!r}{key_note('sampler.name')}: {both}.",
            remedy="Uninstall one of the packages they come from.",
            key="sampler.name",
            value=name,
        )
    kind = _load(points[0]) if points else None
    if kind is None:
        raise _unknown("sampler.name", name, sampler_names())
    return kind


def require_layers(name: str, space: SearchSpace) -> None:
    """Checks that a sampler that walks layers is asked for only where there are some.

    Raises:
        UsageError: if it is not.
    """
    if sampler_kind(name).walks_layers and not set(space.layers) - {NETWORK_SCOPE}:
        raise UsageError(
            f"The sampler {name!r}{key_note('sampler.name')} walks layers, and no layer of this network has a knob on this "
            "target.",
            remedy="Choose a sampler that needs none: tpe, nsga2, nsga3, gp or random.",
            key="sampler.name",
            value=name,
        )


def make_sampler(
    sampler: str | BaseSampler,
    options: Mapping[str, Any] | None = None,
    *,
    context: SamplerContext,
) -> BaseSampler:
    """Makes the sampler a study file asks for, or checks one that was made in Python.

    Args:
        sampler: one of :func:`sampler_names`, or any Optuna sampler, which is used as it is.
        options: from the study file; they win over what the context says.
        context: what the study knows.

    Raises:
        UsageError: if the name or an option is unknown, or the sampler refuses its value.
        MissingExtraError: if the sampler needs a module that is not installed.
    """
    options = options or {}
    if isinstance(sampler, BaseSampler):
        return _check_instance(sampler, options, context)
    kind = sampler_kind(sampler)
    for option in options:
        if option not in kind.options:
            raise _unknown(f"sampler.{option}", option, tuple(kind.options))
    if kind.requires is not None:
        _require(kind.name, kind.requires)

    def make(seed: int) -> BaseSampler:
        return kind.make(options, replace(context, seed=seed))

    blame = partial(_blame_options, kind.name, options)
    with blame():
        made = make(context.seed)
        _check_fit(made, context)
    if not kind.seeded_per_trial:
        return made
    return SeededPerTrial(make, made, seed=context.seed, guard=blame)


def _entry_points() -> list[EntryPoint]:
    """Entry points of other packages' samplers; warns of one with the name of a built-in one."""
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        if point.name in _BUILT_IN:
            _warn(point, "a built-in sampler has that name")
        else:
            found.append(point)
    return found


def _load(point: EntryPoint) -> SamplerKind | None:
    """Loads what an entry point names; None, with a warning, where that does not work."""
    try:
        loaded = point.load()
        kind = loaded() if callable(loaded) else loaded
    except Exception as error:  # noqa: BLE001 - another package's code may raise anything
        _warn(point, sentence_of(error))
        return None
    if not isinstance(kind, SamplerKind) or kind.name != point.name:
        _warn(point, f"it names {kind!r}, and no SamplerKind of that name")
        return None
    return kind


def _warn(point: EntryPoint, problem: str) -> None:
    warnings.warn(
        f"The sampler {point.name!r} of the entry point {point.value!r} is left out: "
        f"{problem.rstrip('.')}.",
        NpuTuneWarning,
        stacklevel=3,
    )


def _check_instance(
    sampler: BaseSampler, options: Mapping[str, Any], context: SamplerContext
) -> BaseSampler:
    if options:
        raise UsageError(
            f"The sampler {type(sampler).__name__} is made already and takes no options.",
            remedy="Give them to its constructor.",
            options=dict(options),
        )
    try:
        _check_fit(sampler, context)
    except ValueError as error:
        raise UsageError(
            f"The sampler {type(sampler).__name__} does not fit the study: "
            f"{str(error).rstrip('.')}.",
            remedy="Make it with other arguments.",
        ) from error
    return sampler


def _check_fit(sampler: BaseSampler, context: SamplerContext) -> None:
    """Checks that the layers and weights a sampler was given are those of the study."""
    if not isinstance(sampler, LayeredSampler):
        return
    if context.layer_order is not None:
        sampler.check_layers(context.layer_order)
    if context.objectives is not None:
        sampler.check_objectives(context.objectives)


def _require(name: str, needed: RequiredModule) -> None:
    if importlib.util.find_spec(needed.module) is None:
        raise MissingExtraError(
            f"The sampler {name!r}{key_note('sampler.name')} needs {needed.title}, which is not installed.",
            remedy=needed.remedy,
        )


@contextmanager
def _blame_options(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """Turns what a sampler raises into a UsageError, where it was given any options."""
    try:
        yield
    except Exception as error:
        if not options:
            raise
        raise UsageError(
            f"The sampler {name!r} refuses its options: {str(error).rstrip('.')}.",
            remedy=f"Correct {key_name('sampler.options', 'the section [sampler]')}.",
            options=dict(options),
        ) from error


class SeededPerTrial(BaseSampler):
    """Makes a sampler's proposals depend on the trials, the seed and the trial number alone.

    Optuna's own samplers draw from a generator that starts anew when a study is resumed, and
    so repeat their first proposals. This one makes a fresh sampler for every trial, with a seed
    drawn from the study's seed and the trial's number.

    Args:
        make: makes the sampler from a seed; the sampler keeps no state but its generator.
        first: what it makes of the study's seed.
        seed: the study's.
        guard: surrounds everything the sampler does: many a wrong option shows only then.
    """

    def __init__(
        self,
        make: Callable[[int], BaseSampler],
        first: BaseSampler,
        *,
        seed: int,
        guard: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._make = make
        self._guard = guard
        self._seed = seed
        self._current = first

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


def _unknown(key: str, value: str, known: tuple[str, ...]) -> UsageError:
    return UsageError(
        f"{sentence(key_name(key))} is unknown: {value!r}.",
        remedy=known_remedy(value, known) if known else "This sampler takes no options.",
        key=key,
        value=value,
    )
