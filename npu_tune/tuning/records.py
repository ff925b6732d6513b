"""What a study knows, as plain values: one record per trial, one result per study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import InfeasibleError
from npu_tune.pareto import nondominated
from npu_tune.space import Configuration
from npu_tune.targets import Confidence, Goal, Identity, Metric, ProfileSchema, goal_of
from npu_tune.targets.oracle import Bound, Gap, gap
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.polish import Polished, best_trial, polished
from npu_tune.tuning.samples import likely_spread, merge_repeats, metric_spread
from npu_tune.tuning.settings import SearchSettings
from npu_tune.tuning.stretches import Stretch, searches
from npu_tune.tuning.trial import BASELINE, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

_MAXIMIZE = Goal.MAXIMIZE

__all__ = ["StudyResult", "TrialRecord", "losses", "require_feasible"]


@dataclass(frozen=True)
class StudyResult:
    """A study as it stands, finished or still running.

    Args:
        name: the study's name.
        model: name of the network.
        identity: what the problem is.
        metrics: what each trial reports.
        objective: what is optimised, with weights, directions and limits.
        default: the baseline's configuration.
        trials: finished, failed and duplicate trials in ledger order.
        references: yardsticks that are no trials, by label: value by metric name.
        evaluations_planned: the budget.
        confidence: in the metrics, for this network; None where nothing is stated.
        notes: on the network on this target, for people.
        stretches: the runs of the study, in order; empty in a study of an earlier version.
        profile: what the columns of the trials' profiles mean.
        deterministic: False where evaluations of one configuration differ.
        stopped: why the study's last run ended (``evaluations``, ``wall time``, ``interrupted``,
            ``search space exhausted``, ``polished``, ``callback``); None while it runs or where it was killed.
        baseline_again: the metrics of the baseline evaluated once more at the end; None where
            the study did not come to its end.
        bound: what no configuration falls below, with what the best chooses for the whole
            network; None where the target cannot tell, or before the study came to its end.
    """

    name: str
    model: str
    identity: Identity
    metrics: tuple[Metric, ...]
    objective: Objective
    default: Configuration
    trials: tuple[TrialRecord, ...]
    references: Mapping[str, Mapping[str, float]]
    evaluations_planned: int | None
    confidence: Confidence | None = None
    notes: tuple[str, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    profile: ProfileSchema = field(default_factory=ProfileSchema)
    deterministic: bool = True
    stopped: str | None = None
    baseline_again: Mapping[str, float] | None = None
    bound: Bound | None = None

    @property
    def target(self) -> str:
        """The target's name."""
        return self.identity.target

    @property
    def searches(self) -> tuple[SearchSettings, ...]:
        """By which sampler, options and seed trials were proposed, in order."""
        return searches(self.stretches)

    @cached_property
    def goals(self) -> Mapping[str, str]:
        """Which way each metric gets better: as the objective says, else as the target does."""
        stated = {metric.name: str(goal_of(metric)) for metric in self.metrics}
        return {**stated, **self.objective.directions}

    @cached_property
    def distinct(self) -> tuple[TrialRecord, ...]:
        """What was evaluated, in order: where evaluations differ, one record per configuration."""
        if self.deterministic:
            return tuple(t for t in self.trials if t.failure is None)
        return merge_repeats(self.trials, self.objective)

    @cached_property
    def spread(self) -> Mapping[str, float]:
        """Relative standard deviation of one evaluation by metric; empty if they do not differ."""
        return {} if self.deterministic else metric_spread(self.trials)

    @cached_property
    def likely_spread(self) -> Mapping[str, float]:
        """The same, or what the target expects where that is more."""
        return {} if self.deterministic else likely_spread(self.metrics, self.spread)

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """The default configuration."""
        first = next((trial for trial in self.trials if trial.origin == BASELINE), None)
        if first is None or self.deterministic:
            return first
        return next((t for t in self.distinct if t.number == first.number), first)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The feasible configuration of the lowest cost; of equals that with the fewest changes.

        Where evaluations differ: the one that was chosen and then confirmed, or before that the
        one whose cost is lowest at the upper end of its confidence interval.
        """
        if self.deterministic:
            return best_trial(self.distinct, self.default)
        feasible = [t for t in self.distinct if t.feasible and t.cost is not None]
        confirmed = [trial for trial in feasible if trial.confirmed]
        return min(confirmed or feasible, key=_at_worst, default=None)

    @cached_property
    def polished(self) -> Polished | None:
        """What the latest polishing came to; None where there was none."""
        return polished(self.trials, self.default) if self.deterministic else None

    @cached_property
    def ties(self) -> tuple[TrialRecord, ...]:
        """Feasible configurations whose cost cannot be told from the best one's, by the noise."""
        if self.deterministic or self.best is None:
            return ()
        _, most = self.best.cost_interval or (math.inf, math.inf)
        if not math.isfinite(most):  # nothing was repeated yet
            return ()
        others = (t for t in self.distinct if t.feasible and t.number != self.best.number)
        return tuple(t for t in others if t.cost_interval and t.cost_interval[0] <= most)

    @cached_property
    def least_infeasible(self) -> TrialRecord | None:
        """The evaluated trial with the smallest relative violation of the limits."""
        return min(self.distinct, key=self._relative_violation, default=None)

    @property
    def shown(self) -> tuple[TrialRecord, ...]:
        """Whose metrics a report states: the best, or what comes closest to it, and the front."""
        best = self.best or self.least_infeasible
        chosen = self.front if best is None else (best, *self.front)
        return tuple({trial.number: trial for trial in chosen}.values())

    @cached_property
    def gap(self) -> Gap | None:
        """How far the best is from the bound; None where that leaves out what is optimised."""
        best, baseline, bound = self.best, self.baseline, self.bound
        weights = self.objective.weights
        if best is None or baseline is None or bound is None:
            return None
        is_covered = bound.metrics.keys() >= weights.keys()
        if not is_covered or Goal.MAXIMIZE in self.objective.directions.values():
            return None
        return gap(bound, best.metrics, weights=weights, baseline=baseline.metrics)

    def _relative_violation(self, trial: TrialRecord) -> tuple[float, int]:
        shares = self.objective.constraints(trial.metrics).values()
        return (sum(max(share, 0.0) for share in shares), trial.number)

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """The Pareto-optimal feasible trials, in the order of the objective's first metric."""
        ranked = [(self.losses(t.metrics), t) for t in self.distinct if t.feasible]
        if not ranked:
            return ()
        ranked.sort(key=lambda each: (each[0], each[1].number))
        rows = np.array([self._losses_at_worst(*each) for each in ranked], dtype=float)
        positions = nondominated(rows).tolist()
        if not self.deterministic:
            return tuple(ranked[position][1] for position in positions)
        return tuple(self._simplest(ranked, position) for position in positions)

    def _simplest(
        self, ranked: Sequence[tuple[tuple[float, ...], TrialRecord]], first: int
    ) -> TrialRecord:
        """Of the trials with the same losses, which stand together, that with the fewest changes."""
        wanted = ranked[first][0]
        equals = takewhile(lambda each: each[0] == wanted, islice(ranked, first, None))
        return min(
            (trial for _, trial in equals), key=lambda t: (t.changes(self.default), t.number)
        )

    def _losses_at_worst(self, losses: tuple[float, ...], trial: TrialRecord) -> tuple[float, ...]:
        """The losses; where evaluations differ, a standard error of the mean worse.

        Otherwise a single lucky evaluation would push what was evaluated often off the front.
        """
        if self.deterministic:
            return losses
        shares = (self.spread.get(name, 0.0) for name in self.objective.weights)
        return tuple(
            loss + abs(loss) * share / trial.samples**0.5
            for loss, share in zip(losses, shares, strict=True)
        )

    def losses(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The objective's metrics as numbers of which less is better."""
        return losses(metrics, self.objective.weights, self.goals)

    def to_dataframe(self) -> pd.DataFrame:
        """One row per trial: number, origin, metrics, cost, feasibility, failure, changes."""
        import pandas as pd  # noqa: PLC0415 - slow to import

        return pd.DataFrame([self._row(trial) for trial in self.trials])

    def _row(self, trial: TrialRecord) -> dict[str, Any]:
        return {
            "trial": trial.number,
            "origin": trial.origin,
            **{metric.name: trial.metrics.get(metric.name) for metric in self.metrics},
            "cost": trial.cost,
            "feasible": trial.feasible,
            "failure": trial.failure,
            "message": trial.message,
            "duplicate_of": trial.duplicate_of,
            "sample": trial.sample,
            "seconds": trial.seconds,
            "changes": trial.configuration.difference(self.default),
        }


def losses(
    metrics: Mapping[str, float], names: Mapping[str, object], goals: Mapping[str, str]
) -> tuple[float, ...]:
    """Some metrics as numbers of which less is better.

    Args:
        metrics: of an evaluation.
        names: of the metrics, in order.
        goals: ``maximize`` by the name of a metric of which more is better.
    """
    # Of a list, as this is done for each trial of large studies.
    return tuple([-metrics[n] if goals.get(n) == _MAXIMIZE else metrics[n] for n in names])


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
        f"{name} {least.metrics[name]:g} (limit {missed_bound(result, least, name):g})"
        for name in missed
    )
    raise InfeasibleError(
        f"No evaluated configuration meets the limits; trial {least.number} comes closest with "
        f"{listed}.",
        remedy="Relax the limit or raise the number of evaluations.",
        trial=least.number,
        metrics=dict(least.metrics),
        violations=missed,
        configuration=least.configuration.difference(result.default),
    )


def missed_bound(result: StudyResult, trial: TrialRecord, name: str) -> float:
    """The limit of a metric that a trial does not meet."""
    most = result.objective.limits.get(name)
    if most is not None and trial.metrics[name] > most:
        return most
    return result.objective.floors[name]


def _at_worst(trial: TrialRecord) -> tuple[float, float, int]:
    upper = trial.cost_interval[1] if trial.cost_interval else 0.0
    return (upper, trial.cost or 0.0, trial.number)
