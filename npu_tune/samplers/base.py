"""The base of all samplers of layered spaces: reads the study and makes the first proposals."""

from __future__ import annotations

import abc
import threading
import warnings
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from npu_tune.samplers.checks import check_share
from npu_tune.samplers.drawing import other_value, random_value
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import NETWORK_SCOPE, Point, is_reserved, layer_of
from npu_tune.samplers.opening import Opening
from npu_tune.samplers.promise import EffectBook
from npu_tune.samplers.ranking import Scalarization, first_scale
from npu_tune.samplers.reading import StudyReader
from npu_tune.samplers.refusals import Refusals
from npu_tune.samplers.settings import LayerwiseSettings

Derived = TypeVar("Derived")


class LayeredSampler(BaseSampler, abc.ABC):
    """A sampler of discrete parameters that belong to layers, by the part before the last ``/``.

    A subclass returns the next point from :meth:`_propose`. It derives it from the study's trials
    and from a generator seeded with the seed and the trial's number, and keeps nothing but what
    can be rebuilt from the trials, so that a resumed search equals an uninterrupted one.
    Continuous parameters, and all parameters where none belongs to a layer, are drawn at random.

    Args:
        layer_order: names of layers to visit first; others follow in the study's order. By
            default ``network`` comes first and the layers as the study has them.
        baseline: parameters of the configuration to start from, used for the first trial; trials
            that start before one has completed change a parameter of it, or a few if they are
            many.
        scalarization: for several objectives: weights, for values relative to those of the first
            completed trial, or a function of the values (as if all were minimised) to be
            minimised; None for the sampler's own way.
        noise: relative standard deviation of a trial's values; 0 for exact evaluations.
        seed: of the random choices; None for another one each time.
    """

    def __init__(
        self,
        *,
        layer_order: Sequence[str] | None,
        baseline: Mapping[str, Any] | None,
        scalarization: Scalarization | None,
        noise: float = 0.0,
        seed: int | None,
    ) -> None:
        if isinstance(scalarization, str) or isinstance(layer_order, str):
            raise TypeError("`scalarization` and `layer_order` are no strings.")
        check_share("noise", noise, most=1.0)
        self._layer_order = layer_order
        self._noise = float(noise)
        self._scalarization = scalarization
        self._seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
        self._opening = Opening(dict(baseline or {}), self._seed)
        self._start_afresh()

    @abc.abstractmethod
    def _propose(
        self, study: Study, trial: FrozenTrial, history: History, random: np.random.Generator
    ) -> Point | None:
        """The next point; None while nothing has completed to build upon."""

    def _start_afresh(self) -> None:
        """Sets up the state that is not pickled, as it can be rebuilt from the trials."""
        self._lock = threading.Lock()
        self._readers: weakref.WeakKeyDictionary[Study, StudyReader] = weakref.WeakKeyDictionary()
        self._derived: weakref.WeakKeyDictionary[History, dict[str, Any]] = (
            weakref.WeakKeyDictionary()
        )
        self._warned: weakref.WeakSet[Study] = weakref.WeakSet()
        self._refusals: weakref.WeakKeyDictionary[Study, Refusals] = weakref.WeakKeyDictionary()
        self._last_turn: tuple[tuple[Any, ...], int | None] | None = None
        self._predictions: weakref.WeakKeyDictionary[Study, dict[int, float]] = (
            weakref.WeakKeyDictionary()
        )

    def _derive(self, history: History, what: str, make: Callable[[], Derived]) -> Derived:
        """Makes something of a history once, for as long as trials are only added to it."""
        derived = self._derived.setdefault(history, {})
        if what not in derived:
            derived[what] = make()
        found: Derived = derived[what]
        return found

    def _effects(self, history: History, settings: LayerwiseSettings) -> EffectBook:
        """What the trials say of the choices of each layer."""
        return self._derive(history, "effects", lambda: EffectBook(history, settings))

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_readers"], state["_derived"], state["_warned"]
        del state["_predictions"], state["_refusals"], state["_last_turn"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start_afresh()

    def prediction(self, study: Study, trial: FrozenTrial) -> float | None:
        """The value that the sampler expects of a running trial, on the scale of the study's.

        None where there are several objectives, where it expects nothing in particular, and once
        the trial has finished.
        """
        return self._predictions.get(study, {}).get(trial.number)

    def _predict(self, study: Study, trial: FrozenTrial, history: History, score: float) -> None:
        """Keeps the score that is expected of a proposal, for :meth:`prediction`.

        With several objectives a score is no value of the study's, and is not kept.
        """
        if len(study.directions) > 1 or self._scalarization is not None:
            return
        completed = ~np.isnan(history.values).any(axis=1)
        numbers = history.number_column[completed]
        scale = float(first_scale(history.values[completed], numbers)[0])
        sign = -1.0 if study.directions[0] == StudyDirection.MAXIMIZE else 1.0
        self._predictions.setdefault(study, {})[trial.number] = sign * scale * score

    def refuse(self, study: Study, trial: FrozenTrial) -> None:
        """Takes notice that what was proposed for a running trial is known, though no trial has it.

        It is not proposed again, and the trial gets something else when it is sampled again.
        """
        self._refusals.setdefault(study, Refusals()).add(trial)

    def check_layers(self, layers: Collection[str]) -> None:
        """Checks that ``layer_order`` names existing layers only.

        Raises:
            ValueError: if it does not.
        """
        unknown = [
            name for name in self._layer_order or () if name not in {*layers, NETWORK_SCOPE}
        ]
        if unknown:
            known = sorted(name for name in layers if not is_reserved(name))
            close = get_close_matches(unknown[0], known, n=1)
            raise ValueError(
                f"`layer_order` names {unknown[0]!r}, which is no layer of the space"
                f"{f' (did you mean {close[0]!r}?)' if close else ''}; layers are"
                f" {', '.join(known)}."
            )

    def check_objectives(self, count: int) -> None:
        """Checks that ``scalarization`` fits the number of objectives.

        Raises:
            ValueError: if it does not.
        """
        given = self._scalarization
        if given is not None and not callable(given) and len(given) != count:
            raise ValueError(
                f"`scalarization` must have one weight per objective, but it has {len(given)}"
                f" for {count}."
            )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:  # noqa: ARG002 - Optuna's
        self.check_objectives(len(study.directions))

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,  # noqa: ARG002 - part of Optuna's interface
        values: Sequence[float] | None,  # noqa: ARG002
    ) -> None:
        self._predictions.get(study, {}).pop(trial.number, None)
        if (refusals := self._refusals.get(study)) is not None:
            refusals.forget(trial.number)

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,
    ) -> dict[str, BaseDistribution]:
        with self._lock:
            reader = self._reader(study)
            is_first = not reader.has_space
            reader.read(study, trial.number)
            common = reader.common_space
            space = reader.layered_space(common, self._layer_order)
        if is_first and space is not None:
            self.check_layers({layer_of(name) for name in common})
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
        refusals = self._refusals.get(study)
        turn = () if refusals is None else refusals.turn(trial.number)
        random = np.random.default_rng((self._seed, trial.number, *turn))
        with self._lock:
            reader = self._reader(study)
            space = reader.layered_space(search_space, self._layer_order)
            if space is None:
                self._warn_once(study)
                return {name: random_value(random, d) for name, d in search_space.items()}
            history = reader.history(space, study, trial.number)
            if refusals is not None:
                refusals.tell(history)
            point = self._propose(study, trial, history, random)
        if point is None:
            return {
                name: self._first_value(study, trial, name, distribution)
                for name, distribution in search_space.items()
            }
        return space.decode(point)

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
        turn = self._turn(study, trial) if name in opening.baseline else None
        if turn is None:
            return random_value(random, distribution)
        if turn == 0 or name not in opening.changed(turn):
            return opening.baseline[name]
        return other_value(random, distribution, opening.baseline[name])

    def _turn(self, study: Study, trial: FrozenTrial) -> int | None:
        """As of the opening; it is the same for all parameters of a trial, and asked once."""
        asked = weakref.ref(study), trial.number, trial.datetime_start
        known = self._last_turn
        if known is None or known[0] != asked:
            known = self._last_turn = asked, self._opening.turn(study, trial)
        return known[1]

    def _reader(self, study: Study) -> StudyReader:
        if study not in self._readers:
            self._readers[study] = StudyReader(is_noisy=self._noise > 0)
        return self._readers[study]

    def _warn_once(self, study: Study) -> None:
        if study not in self._warned:
            self._warned.add(study)
            warnings.warn(
                f"No parameter name has the form layer/parameter, so `{type(self).__name__}` has"
                " no layers to walk and samples at random.",
                stacklevel=2,
            )
