"""What the changes of the best configuration bring: the cost without them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from npu_tune.errors import EvaluationError
from npu_tune.evaluation import quiet
from npu_tune.space import NETWORK_SCOPE, Value
from npu_tune.targets import Problem
from npu_tune.tuning.records import StudyResult, TrialRecord
from npu_tune.tuning.reverts import kinds_of_changes, layers_of_changes


@dataclass(frozen=True, slots=True)
class ChangeGain:
    """Changes of a configuration, and how the network does with these alone taken back.

    Args:
        label: the change as ``layer/knob``, or what several have in common.
        names: full names of the knobs.
        layer: that all of them belong to, or ``network``; "" where they belong to several.
        before: the default's value of a single change; None of several.
        after: the configuration's value of a single change; None of several.
        cost_without: the cost without; None where that is not known.
        gain: by how much they lower the cost; None where that is not known.
        metrics_without: the metrics without.
        also: full names of knobs that make no difference without these, and fall back with them.
        obstacle: why there is no cost without, such as that it does not compile; "" where
            there is one, or where it was not asked.
    """

    label: str
    names: tuple[str, ...]
    layer: str
    before: Value | None = None
    after: Value | None = None
    cost_without: float | None = None
    gain: float | None = None
    metrics_without: Mapping[str, float] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    obstacle: str = ""

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the network without them."""
        return self.gain is not None or bool(self.obstacle)

    @property
    def is_single(self) -> bool:
        """Whether it is one change."""
        return len(self.names) == 1


def change_gains(
    result: StudyResult,
    trial: TrialRecord,
    *,
    problem: Problem | None = None,
    most: int = 0,
) -> tuple[ChangeGain, ...]:
    """What the changes of a trial bring, the largest gain first, what is not known last.

    Asked are all changes of a kind, all of a layer, and each by itself. What the study has evaluated
    is taken from there. The rest is evaluated in this order, the layers that changed most first.

    Args:
        result: the study.
        trial: one of its feasible trials.
        problem: of the study; without it nothing is evaluated.
        most: evaluations at most.
    """
    question = _Question(result, trial, problem, most)
    found = [question.answer(label, names) for label, names in _groups(question)]
    return tuple(sorted(found, key=_order))


def leading_gains(gains: Iterable[ChangeGain], most: int) -> tuple[ChangeGain, ...]:
    """The largest gains of which none is part of another one.

    Args:
        gains: the largest first.
        most: how many.
    """
    chosen: list[ChangeGain] = []
    for gain in gains:
        own = {*gain.names}
        is_new = all(own.isdisjoint(other.names) for other in chosen)
        if is_new and gain.gain is not None and gain.gain > 0 and len(chosen) < most:
            chosen.append(gain)
    return tuple(chosen)


def _groups(question: _Question) -> Iterator[tuple[str, Sequence[str]]]:
    names = sorted(question.names, key=question.weight, reverse=True)
    yield from kinds_of_changes(names)
    yield from layers_of_changes(names)
    yield from ((name, [name]) for name in names)


class _Question:
    """How a trial does without some of its changes."""

    def __init__(
        self, result: StudyResult, trial: TrialRecord, problem: Problem | None, most: int
    ) -> None:
        self._left = most
        self._result = result
        self._trial = trial
        self._problem = problem
        self._known = {record.configuration: record.metrics for record in result.distinct}
        self._failed = {
            record.configuration: record.message
            for record in result.trials
            if record.failure is not None
        }
        self.names = tuple(trial.configuration.difference(result.default))

    def weight(self, name: str) -> float:
        """How much the cost of the layer of a knob changed; without end for the whole network."""
        layer, column = name.rpartition("/")[0], self._result.profile.cost
        if layer == NETWORK_SCOPE:
            return math.inf
        baseline = self._result.baseline
        before = {} if baseline is None else baseline.profile.get(layer, {})
        after = self._trial.profile.get(layer, {})
        return abs(after.get(column, 0.0) - before.get(column, 0.0))

    def answer(self, label: str, names: Sequence[str]) -> ChangeGain:
        default, chosen = self._result.default, self._trial.configuration
        layers = {name.rpartition("/")[0] for name in names}
        change = ChangeGain(label, tuple(names), layers.pop() if len(layers) == 1 else "")
        if len(names) == 1:
            change = replace(change, before=default.get(names[0]), after=chosen[names[0]])
        left = chosen.replace({name: default[name] for name in names})
        if self._problem is not None:
            left = self._problem.space.effective(left)
        fallen = sorted(left.difference(default).keys() ^ {*self.names} - {*names})
        change = replace(change, also=tuple(fallen))
        if left == chosen:
            return replace(change, obstacle="it is compiled to the same")
        if left in self._failed:
            return replace(change, obstacle=self._failed[left])
        metrics = self._known.get(left)
        if metrics is None and self._left > 0 and self._problem is not None:
            self._left -= 1
            try:
                with quiet():
                    metrics = self._problem.evaluate(left).metrics
            except EvaluationError as error:
                self._failed[left] = error.message
                return replace(change, obstacle=error.message)
            self._known[left] = metrics
        return change if metrics is None else self._with_cost(change, metrics)

    def _with_cost(self, change: ChangeGain, metrics: Mapping[str, float]) -> ChangeGain:
        result, trial, baseline = self._result, self._trial, self._result.baseline
        beyond = [name for name, by in result.objective.violations(metrics).items() if by > 0]
        obstacle = f"misses the limit of {' and '.join(beyond)}" if beyond else ""
        if baseline is None or trial.cost is None:
            return replace(change, metrics_without=metrics, obstacle=obstacle)
        cost = result.objective.cost(metrics, baseline.metrics)
        return replace(
            change,
            cost_without=cost,
            gain=cost - trial.cost,
            metrics_without=metrics,
            obstacle=obstacle,
        )


def _order(change: ChangeGain) -> tuple[bool, bool, float]:
    """Gains first, largest first; then what cannot be left out; then what nobody knows."""
    gain = change.gain
    return (not change.is_known, gain is None, -(gain or 0.0))
