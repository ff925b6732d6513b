"""Turns what came out of an evaluation into a trial of the search and of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import EvaluationError
from npu_tune.evaluation import Outcome
from npu_tune.space import Configuration
from npu_tune.tuning.attributes import as_duplicate, trial_attributes, trial_metrics
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import LazyProfile, SharedPairs
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.samples import NearbyReference
from npu_tune.tuning.trial import TrialRecord


class TrialWriter(Protocol):
    """The part of a ledger that is needed here."""

    def append(self, trial: FrozenTrial) -> int:
        """Writes a finished trial; returns its number."""

    def tick(self) -> None:
        """Called about twice a second, also while nothing finishes."""


Marks = Callable[[int], Mapping[str, Any]]
"""Further attributes of a trial, by its number in the search."""


def no_marks(number: int) -> Mapping[str, Any]:  # noqa: ARG001 - of every trial
    """The further attributes of trials whose driver is alone."""
    return {}


@dataclass(frozen=True)
class Proposal:
    """A configuration that the sampler, or somebody else, wants to know about.

    Args:
        trial: running in the search.
        configuration: behind the trial's parameters.
        key: under which its evaluation is known.
        origin: as in :class:`npu_tune.tuning.TrialRecord`.
        sample: which evaluation of this configuration it is to be, from 0.
    """

    trial: FrozenTrial
    configuration: Configuration
    key: str
    origin: str
    sample: int = 0


class Recorder:
    """Finishes trials: tells the sampler, writes the ledger, keeps count.

    Args:
        search: where the trials run.
        ledger: gets every finished trial, each in one write.
        meter: keeps count.
        objective: what the sampler is told.
        default: configurations are written as their difference from it.
        deterministic: False where costs are taken against nearby evaluations of the baseline.

    Attributes:
        marks: gives further attributes of a trial, by its number in the search.
    """

    def __init__(
        self,
        search: SearchStudy,
        ledger: TrialWriter,
        meter: ProgressMeter,
        *,
        objective: Objective,
        default: Configuration,
        deterministic: bool = True,
    ) -> None:
        self._reference = NearbyReference(deterministic=deterministic)
        self._search = search
        self._ledger = ledger
        self._meter = meter
        self._objective = objective
        self._default = default
        self.marks: Marks = no_marks
        self._shared = SharedPairs()

    @property
    def baseline(self) -> Mapping[str, float] | None:
        """The metrics that all others are weighed against, as soon as they are known."""
        return self._reference.metrics

    def learn(self, earlier: TrialRecord) -> None:
        """Takes a trial of an earlier run into account."""
        self._reference.learn(earlier)

    def record(self, proposal: Proposal, outcome: Outcome) -> TrialRecord:
        """Finishes a trial with the outcome of its evaluation."""
        record = TrialRecord(
            number=proposal.trial.number,
            configuration=self._shared.share(proposal.configuration),
            origin=proposal.origin,
            seconds=outcome.seconds,
            sample=proposal.sample,
            cached=outcome.cached,
            # Where the sampler sees metrics, what it expects is no cost.
            predicted=None if self._objective.pareto else self._search.prediction(proposal.trial),
        )
        return self._write(proposal, self._with_outcome(record, outcome))

    def repeat(self, proposal: Proposal, original: TrialRecord) -> TrialRecord:
        """Finishes a trial with the outcome of the one it duplicates."""
        number = proposal.trial.number
        configuration = self._shared.share(proposal.configuration)
        own = TrialRecord(number=number, configuration=configuration, origin=proposal.origin)
        return self._write(proposal, as_duplicate(own, original))

    def _with_outcome(self, record: TrialRecord, outcome: Outcome) -> TrialRecord:
        error = outcome.error
        if outcome.evaluation is not None:
            evaluated = replace(
                record,
                metrics=outcome.evaluation.metrics,
                profile=outcome.evaluation.profile,
                notes=outcome.evaluation.notes,
            )
            try:
                return self._weighed(evaluated)
            except EvaluationError as unusable:
                error = unusable
        error = error or EvaluationError("The target gave no answer.")
        return replace(record, failure=error.failure, message=str(error))

    def _weighed(self, record: TrialRecord) -> TrialRecord:
        """The record with its cost and violations."""
        metrics = record.metrics
        self._objective.require_usable(metrics)
        self._reference.learn(record)
        if self.baseline is None:
            raise EvaluationError("There is no baseline to weigh it against.")
        cost = self._objective.cost(metrics, self.baseline)
        return replace(record, cost=cost, violations=self._objective.violations(metrics))

    def _write(self, proposal: Proposal, record: TrialRecord) -> TrialRecord:
        values, constraints = None, {}
        if record.failure is None and self.baseline is not None:
            values = self._objective.values(record.metrics, self.baseline)
            constraints = self._objective.constraints(record.metrics)
        # A duplicate's profile and notes are found with the trial it repeats.
        kept = record if record.duplicate_of is None else replace(record, profile={}, notes=())
        attributes = trial_attributes(
            kept, default=self._default, key=proposal.key, elapsed_s=self._meter.elapsed_s
        ) | dict(self.marks(record.number))
        told = self._search.tell(
            proposal.trial, values, user_attrs=attributes, constraints=constraints
        )
        number = self._ledger.append(told)
        # What trial and record have in common is there once.
        profile = LazyProfile(attributes["profile"]) if "profile" in attributes else record.profile
        record = replace(record, number=number, metrics=trial_metrics(attributes), profile=profile)
        self._meter.count(record)
        self._search.announce(told)
        return record
