"""What a study knows, as plain values: one record per trial, one result per study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from npu_tune.errors import InfeasibleError
from npu_tune.pareto import nondominated
from npu_tune.space import Configuration
from npu_tune.targets import Metric


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One finished trial.

    Args:
        number: its number in the ledger, and so in any Optuna tool that opens it.
        configuration: what was proposed.
        metrics: figure by metric name; empty where the trial failed.
        cost: the weighted sum of metric / baseline metric (lower is better); None where failed.
        violations: by limit, how far a metric is beyond it (> 0 means violated), in its unit.
        failure: None, or the failure's class (``illegal``, ``compiler-error``, ``crash``,
            ``timeout``, ``inaccurate``, ``infrastructure``).
        message: what the failure said.
        origin: ``baseline``, ``start: <label>`` or ``sampler``.
        duplicate_of: the number of the trial with the same effective configuration, whose
            answer this one repeats without an evaluation; None for a trial that was evaluated.
        seconds: what the evaluation took.
        profile: per layer, as in :class:`npu_tune.targets.Evaluation`.
        notes: what the target said about this configuration.
    """

    number: int
    configuration: Configuration
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    message: str = ""
    origin: str = "sampler"
    duplicate_of: int | None = None
    seconds: float = 0.0
    profile: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """True where the trial was evaluated and every limit is met."""
        return self.failure is None and all(v <= 0 for v in self.violations.values())


@dataclass(frozen=True)
class StudyResult:
    """A study as it stands, finished or still running.

    Args:
        name: the study's name.
        model: name of the network.
        model_sha256: of the model file.
        target: the target's name.
        target_fingerprint: everything else an evaluation depends on.
        metrics: the figures each trial reports.
        objective: the metrics that are optimised, with their weights.
        limits: upper bound by metric name.
        default: the baseline's configuration.
        trials: finished, failed and duplicate trials in ledger order.
        references: yardsticks that are no trials, by label: figure by metric name.
        evaluations_planned: the budget.
        directions: ``maximize`` by the name of a metric of which more is better.
        stopped: why the study's last run ended (``evaluations``, ``wall time``, ``interrupted``,
            ``search space exhausted``); None while it runs or where it was killed.
        baseline_again: the metrics of the baseline evaluated once more at the end; None where
            the study did not come to its end.
    """

    name: str
    model: str
    model_sha256: str
    target: str
    target_fingerprint: Mapping[str, str]
    metrics: tuple[Metric, ...]
    objective: Mapping[str, float]
    limits: Mapping[str, float]
    default: Configuration
    trials: tuple[TrialRecord, ...]
    references: Mapping[str, Mapping[str, float]]
    evaluations_planned: int | None
    directions: Mapping[str, str] = field(default_factory=dict)
    stopped: str | None = None
    baseline_again: Mapping[str, float] | None = None

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """The first evaluation of the default configuration."""
        return next((trial for trial in self.trials if trial.origin == "baseline"), None)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The feasible trial of the lowest cost; the earliest of equals."""
        feasible = [t for t in self.trials if t.feasible and t.cost is not None]
        return min(feasible, key=lambda t: (t.cost or 0.0, t.number), default=None)

    @cached_property
    def least_infeasible(self) -> TrialRecord | None:
        """The evaluated trial with the smallest relative violation of the limits."""
        evaluated = [t for t in self.trials if t.failure is None]
        return min(evaluated, key=self._relative_violation, default=None)

    def _relative_violation(self, trial: TrialRecord) -> tuple[float, int]:
        shares = (relative_violation(v, self.limits[k]) for k, v in trial.violations.items())
        return (sum(max(share, 0.0) for share in shares), trial.number)

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """The Pareto-optimal feasible trials, in the order of the objective's first metric."""
        feasible = sorted(
            (trial for trial in self.trials if trial.feasible),
            key=lambda trial: (self._losses(trial), trial.number),
        )
        if not feasible:
            return ()
        rows = np.array([self._losses(trial) for trial in feasible], dtype=float)
        return tuple(feasible[position] for position in nondominated(rows))

    def _losses(self, trial: TrialRecord) -> tuple[float, ...]:
        return losses(trial.metrics, self.objective, self.directions)


def losses(
    metrics: Mapping[str, float], objective: Mapping[str, float], directions: Mapping[str, str]
) -> tuple[float, ...]:
    """The objective's metrics as figures of which less is better."""
    return tuple(
        -metrics[name] if directions.get(name) == "maximize" else metrics[name]
        for name in objective
    )


def relative_violation(beyond: float, bound: float) -> float:
    """A violation as a share of its limit; as it is where the limit is 0."""
    return beyond / bound if bound else beyond


def require_feasible(result: StudyResult) -> TrialRecord:
    """The best trial of a study.

    Raises:
        InfeasibleError: if no evaluated configuration meets the limits; its data hold the
            least infeasible one, or nothing where every evaluation failed.
    """
    if result.best is not None:
        return result.best
    least = result.least_infeasible
    if least is None:
        raise InfeasibleError(
            "No evaluation of the study succeeded.", remedy="`npu-tune show` lists the failures."
        )
    missed = {name: beyond for name, beyond in least.violations.items() if beyond > 0}
    listed = ", ".join(
        f"{name} {least.metrics[name]:g} (limit {result.limits[name]:g})" for name in missed
    )
    raise InfeasibleError(
        f"No evaluated configuration meets the limits; trial {least.number} comes closest with "
        f"{listed}.",
        remedy="Raise the limit or the number of evaluations.",
        trial=least.number,
        metrics=dict(least.metrics),
        violations=missed,
        configuration=least.configuration.difference(result.default),
    )
