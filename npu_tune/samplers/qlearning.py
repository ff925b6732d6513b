"""Q-learning along the layers of a network, as an Optuna sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.base import LayeredSampler
from npu_tune.samplers.checks import check_count, check_fields, check_share
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import Point
from npu_tune.samplers.qtable import QTable, Rewards
from npu_tune.samplers.qvalues import DecisionValues
from npu_tune.samplers.ranking import Scalarization, emphasis
from npu_tune.samplers.steps import random_point
from npu_tune.samplers.walk import Walk


@dataclass(frozen=True)
class QLearningSettings:
    """Tuned numbers of :class:`~npu_tune.samplers.QLearningSampler`; the rest are its arguments."""

    attempts: int = 20
    """Number of walks that are tried, with one more random step each time, before a random
    point."""

    def __post_init__(self) -> None:
        check_fields(self, counts=("attempts",))


class QLearningSampler(LayeredSampler):
    """Walks the layers and learns what each choice is worth after the choice before it.

    Parameters are grouped by layer: the part of their name before the last ``/``. A state is a
    layer and the choice of the layer before, an action this layer's choice. A layer with more
    than ``choices_at_once`` choices is decided upon parameter by parameter: there a state is the
    parameter and the decision before it, and each gets an equal part of the layer's reward.

    The reward of a layer is what its part of the cost came down by against the first trial. The
    parts are those of the trial's profile; a trial without one has its cost spread evenly over
    the layers. An action never tried in a state counts as much as the first trial's; of equals
    the first trial's is taken. All finished trials are replayed for every proposal, until the
    table no longer changes.

    After QS-DNN: de Prado, Pazos and Benini, "Learning to infer: RL-based search for DNN
    primitive selection on heterogeneous embedded systems", DATE 2019, and arXiv:2006.05181. The
    reward against the first trial, the replay to the end and every default here are ours: what
    was published does not fix them.

    Args:
        epsilon: the share of decisions made at random at first.
        final_epsilon: the same once exploration is over; between, it falls by a constant factor.
        exploration: the share of ``evaluations`` until then.
        learning_rate: how far one observation moves an entry of the table.
        discount: how much what follows counts against the reward at once.
        choices_at_once: a layer with at most so many choices is one decision.
        evaluations: normally the study's budget. Trials that repeat another's answer do not count.
        failure_cost: what a failed trial costs more than the first one, relative to it; also per
            unit by which constraints are violated.
        profile_key: the user attribute under which trials carry their profile: rows by layer, or a
            table with ``columns`` and ``rows``.
        cost_column: of the profile, by which a trial's cost is shared out; the first column of a
            profile without it.
        layer_order: names of layers in the order of the walk; others follow in the study's order.
            By default ``network`` comes first and the layers as the study has them.
        baseline: parameters of the configuration to start from, used for the first trial.
        scalarization: for several objectives: weights, for values relative to those of the first
            completed trial, or a function of the values (as if all were minimised) to be
            minimised; None to weigh them equally and otherwise in turns.
        settings: tuned numbers of the search that are no arguments.
        seed: of the random choices; None for another one each time.
    """

    def __init__(
        self,
        *,
        epsilon: float = 0.5,
        final_epsilon: float = 0.02,
        exploration: float = 0.5,
        learning_rate: float = 0.5,
        discount: float = 0.9,
        choices_at_once: int = 64,
        evaluations: int = 1000,
        failure_cost: float = 2.0,
        profile_key: str = "profile",
        cost_column: str = "cycles",
        layer_order: Sequence[str] | None = None,
        baseline: Mapping[str, Any] | None = None,
        scalarization: Scalarization | None = None,
        settings: QLearningSettings = QLearningSettings(),
        seed: int | None = None,
    ) -> None:
        super().__init__(
            layer_order=layer_order, baseline=baseline, scalarization=scalarization, seed=seed
        )
        check_share("epsilon", epsilon, above=0.0, most=1.0)
        check_share("final_epsilon", final_epsilon, above=0.0, most=1.0)
        check_share("exploration", exploration, most=1.0)
        check_share("learning_rate", learning_rate, above=0.0, most=1.0)
        check_share("discount", discount, most=1.0)
        check_share("failure_cost", failure_cost)
        check_count("choices_at_once", choices_at_once)
        check_count("evaluations", evaluations)
        self._epsilons = (epsilon, final_epsilon)
        self._exploration = exploration * evaluations
        self._learning_rate = learning_rate
        self._discount = discount
        self._choices_at_once = choices_at_once
        self._rewards = Rewards(scalarization, profile_key, cost_column, failure_cost)
        self._settings = settings

    def _propose(
        self, study: Study, trial: FrozenTrial, history: History, random: np.random.Generator
    ) -> Point | None:
        table = self._derive(
            history,
            "table",
            lambda: QTable(
                Walk(history.space, self._choices_at_once),
                objectives=len(study.directions),
                rewards=self._rewards,
            ),
        )
        table.read(history, history.trials)
        if table.is_empty:
            return None
        worth = table.worth(
            self._weights(len(study.directions), trial.number),
            discount=self._discount,
            learning_rate=self._learning_rate,
        )
        epsilon = self._epsilon(table.evaluations)
        for attempt in range(self._settings.attempts if worth else 0):
            share = epsilon + attempt / len(worth)
            point = table.walk.point_of(_walk(random, worth, share, table.usual))
            if point not in history.taken:
                return point
        return random_point(random, history.space)

    def _epsilon(self, evaluations: int) -> float:
        start, end = self._epsilons
        if evaluations >= self._exploration:
            return end
        return float(start * (end / start) ** (evaluations / self._exploration))

    def _weights(self, objectives: int, turn: int) -> Floats:
        given = self._scalarization
        if callable(given) or objectives == 1:
            return np.ones(1)
        if given is not None:
            return np.asarray(given, dtype=np.float64)
        return np.ones(objectives) if turn % 2 == 0 else emphasis(turn, objectives)


def _walk(
    random: np.random.Generator,
    worth: Sequence[DecisionValues],
    epsilon: float,
    usual: Sequence[int],
) -> list[int]:
    """Decides step by step: at random with probability ``epsilon``, else by the actions' worth."""
    actions: list[int] = []
    before = 0
    for values, draw, first in zip(worth, random.random(len(worth)), usual, strict=True):
        if draw < epsilon:
            before = int(random.integers(values.follow.size))
        else:
            before = values.decide(random, before, first)
        actions.append(before)
    return actions
