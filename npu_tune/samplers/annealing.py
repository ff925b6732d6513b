"""Simulated annealing over the layers of a network, as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any, Literal

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.samplers.base import LayeredSampler
from npu_tune.samplers.chains import Chains
from npu_tune.samplers.checks import check_count, check_share
from npu_tune.samplers.cooling import AnnealingSettings, Cooling
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace, Point
from npu_tune.samplers.ranking import Scalarization
from npu_tune.samplers.settings import StepSettings
from npu_tune.samplers.steps import align_layers, nudge, random_point, redraw_layer


@dataclass(frozen=True)
class Moves:
    """Relative frequency of each kind of move.

    Args:
        knob: one parameter of one layer; an ordered one mostly to a neighbour of its value.
        layer: all parameters of one layer anew.
        several: two or three times a parameter of any layer.
        along: one parameter of several neighbouring layers, to the same value.
    """

    knob: float = 0.6
    layer: float = 0.05
    several: float = 0.2
    along: float = 0.15

    def __post_init__(self) -> None:
        for name, share in zip(move_names(), astuple(self), strict=True):
            check_share(f"moves.{name}", share)
        if not any(astuple(self)):
            raise ValueError("`moves` must have a kind of move that is made at all.")

    def apply(
        self,
        random: np.random.Generator,
        space: LayeredSpace,
        point: Point,
        settings: StepSettings,
    ) -> Point:
        """Makes one move of a random kind."""
        shares = np.array(astuple(self))
        kind = move_names()[int(random.choice(len(shares), p=shares / shares.sum()))]
        if kind == "layer":
            return redraw_layer(random, space, point)
        if kind == "several":
            return nudge(random, space, point, settings, times=int(random.integers(2, 4)))
        along = align_layers(random, space, point, settings) if kind == "along" else None
        return along or nudge(random, space, point, settings)


def move_names() -> tuple[str, ...]:
    """Names of the kinds of moves."""
    return tuple(field.name for field in fields(Moves))


class SimulatedAnnealingSampler(LayeredSampler):
    """Changes a layer or a few at a time and accepts what is worse with falling probability.

    Parameters are grouped by layer: the part of their name before the last ``/``. A proposal is
    a move away from where its chain stands. When its trial has finished, the chain goes there if
    it is better, and if it is worse with the probability ``exp(-change / temperature)``. Which
    trials were accepted is not stored: it is found again by going through the trials in their
    order, with draws made from the seed and a trial's number.

    After Kirkpatrick, Gelatt and Vecchi (1983), "Optimization by simulated annealing"; the
    adaptive schedule follows the idea of Lam and Delosme (1988) that the share of accepted moves
    says how hot it should be.

    A feasible trial is better than an infeasible one, and of two infeasible ones the one that
    violates less. Several objectives are weighed by ``scalarization``; without it there are at
    least six chains, each with weights of its own.

    Args:
        chains: how many; a trial belongs to the chain of its number modulo this. More workers
            than chains is no harm: nobody waits, and proposals of one chain are made side by
            side from the same place.
        initial_temperature: as a share of the first trial's cost; None for a tenth of the median
            change of the cost that proposals have made so far.
        cooling: ``geometric`` or ``adaptive``.
        cooling_rate: the factor per evaluation of the geometric schedule; None for one that
            leaves a hundredth at ``evaluations``.
        acceptance: the share of worse proposals that the adaptive schedule accepts at first; it
            falls to a hundredth.
        evaluations: the horizon of the schedule, normally the study's budget. The schedule starts
            anew after it, from the best trial. Trials that repeat another's answer do not count.
        restarts: how often until then a chain goes back to the best trial.
        moves: the shares of the kinds of moves, see :class:`Moves`; a kind left out is not made.
        layer_order: names of layers in the order in which they are neighbours for moves along
            several layers; others follow in the study's order.
        baseline: parameters of the configuration to start from, used for the first trial.
        scalarization: for several objectives: weights, for values relative to those of the first
            completed trial, or a function of the values (as if all were minimised) to be
            minimised.
        noise: relative standard deviation of a trial's values. With noise, a worse proposal
            within it is accepted as an equal one is, and the mean over the trials of a point
            counts.
        settings: tuned numbers of the search.
        seed: of the random choices; None for another one each time.
    """

    def __init__(
        self,
        *,
        chains: int = 1,
        initial_temperature: float | None = None,
        cooling: Literal["geometric", "adaptive"] = "geometric",
        cooling_rate: float | None = None,
        acceptance: float = 0.15,
        evaluations: int = 1000,
        restarts: int = 2,
        moves: Mapping[str, float] | None = None,
        layer_order: Sequence[str] | None = None,
        baseline: Mapping[str, Any] | None = None,
        scalarization: Scalarization | None = None,
        noise: float = 0.0,
        settings: AnnealingSettings = AnnealingSettings(),  # noqa: B008 - a frozen value
        seed: int | None = None,
    ) -> None:
        super().__init__(
            layer_order=layer_order,
            baseline=baseline,
            scalarization=scalarization,
            noise=noise,
            seed=seed,
        )
        check_count("chains", chains)
        check_count("evaluations", evaluations)
        check_count("restarts", restarts, least=0)
        if initial_temperature is not None:
            check_share("initial_temperature", initial_temperature)
        if cooling_rate is not None:
            check_share("cooling_rate", cooling_rate, above=0.0, most=1.0)
        check_share("acceptance", acceptance, above=0.0, most=1.0)
        if cooling not in {"geometric", "adaptive"}:
            raise ValueError(f"`cooling` must be geometric or adaptive, but it is {cooling!r}.")
        unknown = set(moves or {}) - set(move_names())
        if unknown:
            raise ValueError(
                f"`moves` has no kind {min(unknown)!r}; kinds are {', '.join(move_names())}."
            )
        self._chains = chains
        self._cooling = Cooling(
            kind=cooling,
            initial_temperature=initial_temperature,
            cooling_rate=cooling_rate,
            acceptance=acceptance,
            evaluations=evaluations,
            restarts=restarts,
            settings=settings,
        )
        self._settings = settings
        self._moves = Moves(**{**dict.fromkeys(move_names(), 0.0), **moves}) if moves else Moves()

    def _propose(
        self, study: Study, trial: FrozenTrial, history: History, random: np.random.Generator
    ) -> Point | None:
        chains = self._derive(
            history,
            "chains",
            lambda: Chains(
                count=self._chains,
                cooling=self._cooling,
                objectives=len(study.directions),
                scalarization=self._scalarization,
                noise=self._noise,
                seed=self._seed,
            ),
        )
        point, space = chains.point(history, trial.number), history.space
        steps = self._settings.steps
        if point is None or not space.movable:
            return point
        for attempt in range(self._settings.attempts):
            proposal = self._moves.apply(random, space, point, steps)
            if attempt > 1:
                proposal = nudge(random, space, proposal, steps, times=attempt // 2)
            if proposal not in history.taken:
                return proposal
        return random_point(random, space)
