"""What a searcher proposes, and what it knows: the part of a searcher that knows no Ray."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import EvaluationError, UsageError
from npu_tune.space import Configuration, from_params, to_params
from npu_tune.targets import Problem
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import pack_attributes

DUPLICATES_IN_A_ROW = 200
"""So many proposals without a new configuration end a search; while trials run, it only waits for
them. A study waits for 1,000, but does not keep anybody else waiting meanwhile."""

KEY = "key"
DUPLICATE = "duplicate_of"


class Pause(Enum):
    """Why there is no proposal."""

    WAITING = "waiting"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True)
class Known:
    """How a configuration came out, as the sampler was told.

    Args:
        number: of its trial in the search.
        values: of the objectives; None where it failed.
        constraints: by name; at most 0 is feasible.
    """

    number: int
    values: tuple[float, ...] | None = None
    constraints: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Open:
    """A configuration that is being evaluated.

    Args:
        trial: in the search.
        configuration: the effective one.
        key: of it.
    """

    trial: FrozenTrial
    configuration: Configuration
    key: str


class Proposals:
    """Asks a sampler for configurations, leaves out what is known, and tells it what came of them.

    What a sampler proposes again is answered with what is known; what it proposes again while it
    is being evaluated, with what will be. Neither goes out a second time.

    Args:
        problem: what is searched.
        objective: what is optimised, each metric by itself.
        search: the sampler's study.
        first: configurations to propose first.
    """

    def __init__(
        self,
        problem: Problem,
        objective: Objective,
        search: SearchStudy,
        first: Iterator[Configuration],
    ) -> None:
        self._problem = problem
        self._objective = objective
        self._search = search
        self._first = first
        self._known: dict[str, Known] = {}
        self._open: dict[str, Open] = {}
        self._failed: dict[str, Configuration] = {}
        self._is_stuck = False
        self._followers: defaultdict[str, list[FrozenTrial]] = defaultdict(list)

    @property
    def search(self) -> SearchStudy:
        """The sampler's study, with all trials."""
        return self._search

    def propose(self, name: str) -> Configuration | Pause:
        """A new configuration, which is being evaluated from now on.

        Args:
            name: by which its outcome is told.
        """
        if name in self._open:
            return self._open[name].configuration
        # Where nothing new came of asking, only another outcome may change that.
        for _ in range(0 if self._is_stuck else DUPLICATES_IN_A_ROW):
            proposal = self._ask()
            if self._is_new(proposal):
                self._open[name] = proposal
                return proposal.configuration
        self._is_stuck = True
        return Pause.WAITING if self._open else Pause.EXHAUSTED

    def finish(
        self, name: str, metrics: Mapping[str, Any], profile: Mapping[str, Any] | None = None
    ) -> None:
        """Tells the outcome of an evaluation.

        Args:
            name: of the proposal, which may have failed before; other names are passed over.
            metrics: what was reported; nothing usable where it failed.
            profile: packed.
        """
        self._is_stuck = False
        proposal = self._open.pop(name, None)
        if proposal is None:
            failed = self._failed.pop(name, None)
            if failed is not None:
                self._known.pop(self._problem.key(failed), None)
                self.learn(failed, metrics, profile)
            return
        known = self._tell(proposal.trial, metrics, {KEY: proposal.key, **_attributes(profile)})
        self._known[proposal.key] = known
        if known.values is None:
            self._failed[name] = proposal.configuration
        for follower in self._followers.pop(proposal.key, ()):
            self._repeat(follower, proposal.key, known)

    def drop(self, name: str) -> None:
        """Gives a proposal up that was never evaluated; it may come again."""
        self._is_stuck = False
        proposal = self._open.pop(name, None)
        if proposal is not None:
            for trial in (proposal.trial, *self._followers.pop(proposal.key, ())):
                self._search.tell(trial, None)

    def learn(
        self,
        configuration: Configuration,
        metrics: Mapping[str, Any],
        profile: Mapping[str, Any] | None = None,
    ) -> None:
        """Takes over an outcome from elsewhere."""
        key = self._problem.key(configuration)
        if key in self._known or any(key == each.key for each in self._open.values()):
            return
        space = self._problem.space
        proposal = self._enqueued(to_params(space, space.effective(configuration)))
        self._open[key] = proposal
        self.finish(key, metrics, profile)

    def state(self) -> dict[str, Any]:
        """Everything that another instance needs to go on; picklable."""
        trials = self._search.study.get_trials(deepcopy=False)
        return {
            "trials": {t.number: t for t in trials if t.state.is_finished()},
            "running": {number: (name, params) for number, name, params in self._running()},
            "failed": self._failed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where :meth:`state` was taken; only before anything was proposed."""
        self._failed = dict(state["failed"])
        trials, running = state["trials"], state["running"]
        # Every trial gets the number it had, from which samplers draw.
        for number in sorted([*trials, *running]):
            if number in trials:
                self._take_over(trials[number])
                continue
            name, params = running[number]
            proposal = self._enqueued(params)
            if name is None:
                self._followers[proposal.key].append(proposal.trial)
            else:
                self._open[name] = proposal

    def _take_over(self, trial: FrozenTrial) -> None:
        self._search.add([trial])
        key = trial.user_attrs.get(KEY)
        if key is not None and DUPLICATE not in trial.user_attrs:
            values = None if trial.values is None else tuple(trial.values)
            self._known[key] = Known(trial.number, values, trial.constraints)

    def _running(self) -> Iterator[tuple[int, str | None, Mapping[str, Any]]]:
        """Number, name and parameters of what is being evaluated; those that follow have no name."""
        for name, each in self._open.items():
            yield each.trial.number, name, each.trial.params
        for followers in self._followers.values():
            for trial in followers:
                yield trial.number, None, trial.params

    def _ask(self) -> Open:
        for configuration in self._first:
            effective = self._problem.space.effective(configuration)
            key = self._problem.keys.key_of_effective(effective)
            if key in self._known or any(key == each.key for each in self._open.values()):
                continue
            try:
                return self._enqueued(to_params(self._problem.space, effective))
            except ValueError:  # there is less to choose than the target thinks
                continue
        return self._proposal(self._search.ask())

    def _enqueued(self, params: Mapping[str, Any]) -> Open:
        self._search.enqueue(params)
        return self._proposal(self._search.ask())

    def _proposal(self, trial: FrozenTrial) -> Open:
        space = self._problem.space
        configuration = space.effective(from_params(space, trial.params))
        return Open(trial, configuration, self._problem.keys.key_of_effective(configuration))

    def _is_new(self, proposal: Open) -> bool:
        """False for what needs no evaluation, of which the sampler is told."""
        key = proposal.key
        known = self._known.get(key)
        if known is not None:
            self._repeat(proposal.trial, key, known)
            return False
        if any(key == each.key for each in self._open.values()):
            self._followers[key].append(proposal.trial)
            return False
        try:
            self._problem.space.check(proposal.configuration)
        except EvaluationError:
            self._known[key] = self._tell(proposal.trial, {}, {KEY: key})
            return False
        return True

    def _tell(
        self, trial: FrozenTrial, metrics: Mapping[str, Any], attributes: Mapping[str, Any]
    ) -> Known:
        objective = self._objective
        known = Known(trial.number)
        if all(_is_finite(metrics.get(name)) for name in objective.weights):
            bounded = [*objective.limits, *objective.floors]
            missing = next((name for name in bounded if name not in metrics), None)
            if missing is not None:
                raise UsageError(
                    f"The limit of {missing!r} cannot be kept: a trial's result came without it.",
                    remedy="Ray Tune's Repeater hands on the mean of one metric alone; repeat "
                    "measurements with `trainable(..., samples=3)` instead.",
                    value=missing,
                )
            values = tuple(objective.values(metrics, {}))
            known = Known(trial.number, values, objective.constraints(metrics))
        self._search.tell(
            trial, known.values, user_attrs=attributes, constraints=known.constraints
        )
        return known

    def _repeat(self, trial: FrozenTrial, key: str, known: Known) -> None:
        attributes = {KEY: key, DUPLICATE: known.number}
        self._search.tell(
            trial, known.values, user_attrs=attributes, constraints=known.constraints
        )


def _attributes(profile: Mapping[str, Any] | None) -> dict[str, Any]:
    return pack_attributes({"profile": profile}) if profile else {}


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
