"""The greedy layer-wise search as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.samplers.base import LayeredSampler
from npu_tune.samplers.checks import check_count
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Point
from npu_tune.samplers.moves import Search
from npu_tune.samplers.plan import SweepPlan
from npu_tune.samplers.profile.lessons import LessonBook
from npu_tune.samplers.ranking import Scalarization, view
from npu_tune.samplers.settings import LayerwiseSettings


class LayerwiseSampler(LayeredSampler):
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

    Where trials have a profile (a user attribute: numbers per layer), it says which layers matter:
    these come first and get more of a short first sweep. Some of the first trials set one parameter
    alike in all layers, and what that does to a layer says which of its choices to try first.

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
        profile_key: the user attribute that holds a trial's profile; None to leave profiles alone
            and to visit the layers in order.
        noise: relative standard deviation of a trial's values. With noise, trials are ranked by
            the mean over all trials of the same point.
        settings: tuned numbers of the search.
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
        profile_key: str | None = "profile",
        noise: float = 0.0,
        settings: LayerwiseSettings = LayerwiseSettings(),  # noqa: B008 - a frozen value
        seed: int | None = None,
    ) -> None:
        super().__init__(
            layer_order=layer_order,
            baseline=baseline,
            scalarization=scalarization,
            noise=noise,
            seed=seed,
        )
        if not isinstance(profile_key, str | None):
            raise TypeError(f"`profile_key` must be a string or None, but it is {profile_key!r}.")
        self._settings = settings
        self._profile_key = profile_key
        check_count("beam_width", beam_width)
        check_count("candidates_per_layer", candidates_per_layer)
        check_count("sweeps", sweeps)
        self._beam_width = beam_width
        self._plan = SweepPlan(candidates_per_layer=candidates_per_layer, sweeps=sweeps)

    def _propose(
        self,
        study: Study,  # noqa: ARG002 - of all samplers
        trial: FrozenTrial,
        history: History,
        random: np.random.Generator,
    ) -> Point | None:
        seen = view(
            history,
            width=self._beam_width,
            scalarization=self._scalarization,
            turn=trial.number,
        )
        if seen is None:
            return None
        book = self._book(history)
        lessons = None if book is None else book.lessons(seen.scores)
        if book and lessons and random.random() < self._settings.sweep_share:
            sweep = book.next_sweep(history)
            if sweep is not None:
                return sweep
        effects = self._effects(history, self._settings)
        search = Search(history, seen, random, self._settings, effects, lessons)
        return self._plan.propose(search)

    def _book(self, history: History) -> LessonBook | None:
        """What profiles tell; None where they are left alone."""
        key = self._profile_key
        if key is None:
            return None
        book = self._derive(history, "lessons", lambda: LessonBook(history.space, key))
        book.read(history, history.trials)
        return book
