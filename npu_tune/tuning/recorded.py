"""The records behind a ledger's trials, weighed against the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from optuna.trial import FrozenTrial

from npu_tune.errors import WorkerLostError
from npu_tune.space import Configuration
from npu_tune.tuning.attributes import (
    KEY,
    as_duplicate,
    damaged_trial,
    own_trials,
    plain_record,
    trial_metrics,
)
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import MEANINGLESS, SharedPairs
from npu_tune.tuning.samples import NearbyReference
from npu_tune.tuning.trial import REFERENCE_ORIGINS, TrialRecord


def trial_records(
    trials: Iterable[FrozenTrial],
    *,
    default: Configuration,
    objective: Objective,
    deterministic: bool = True,
    filled_in: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> list[TrialRecord]:
    """The records behind a ledger's trials, in order; see :func:`own_trials`.

    Args:
        trials: of the ledger.
        default: configurations are kept as their difference from it.
        objective: makes costs and violations.
        deterministic: False where costs are taken against nearby evaluations of the baseline.
        filled_in: by key, metrics that were worked out after the trial.

    Raises:
        StorageError: if a trial's attributes are damaged; names the trial.
    """
    reader = _RecordMaker(default, objective, filled_in, deterministic=deterministic)
    records = []
    for trial in own_trials(trials):
        try:
            records.append(reader.make(trial))
        except MEANINGLESS as error:
            raise damaged_trial(trial, error) from error
    return records


class _RecordMaker:
    """Makes records of trials, in their order."""

    def __init__(
        self,
        default: Configuration,
        objective: Objective,
        filled_in: Mapping[str, Mapping[str, float]],
        *,
        deterministic: bool,
    ) -> None:
        self._default = default
        self._objective = objective
        self._filled_in = filled_in
        self._shared = SharedPairs()
        self._reference = NearbyReference(deterministic=deterministic)
        self._by_key: dict[str, TrialRecord] = {}
        # By configuration rather than by number, since numbers move when a damaged line is taken
        # out of a journal; and rather than by key, since a study of an earlier version has other
        # keys.
        self._evaluated: dict[Configuration, TrialRecord] = {}
        # Hashing a configuration takes long, and most studies have few duplicates or none.
        self._unhashed: list[TrialRecord] = []

    def make(self, trial: FrozenTrial) -> TrialRecord:
        attributes = trial.user_attrs
        key = attributes[KEY]
        if "duplicate_of" in attributes:
            own = plain_record(trial, self._default, self._shared)
            original = self._original(own.configuration, key)
            if original is not None:
                return as_duplicate(own, original)
        metrics = trial_metrics(attributes)
        if key in self._filled_in and metrics:
            metrics = {**metrics, **self._filled_in[key]}
        record = self._weighed(trial, metrics)
        if record.failure != WorkerLostError.failure:
            self._by_key.setdefault(key, record)
            self._unhashed.append(record)
        return record

    def _weighed(self, trial: FrozenTrial, metrics: Mapping[str, float]) -> TrialRecord:
        if not metrics:
            return plain_record(trial, self._default, self._shared, metrics=metrics)
        if trial.user_attrs.get("origin") in REFERENCE_ORIGINS:
            plain = plain_record(trial, self._default, self._shared, metrics=metrics)
            self._reference.learn(plain)
        baseline = self._reference.metrics
        return plain_record(
            trial,
            self._default,
            self._shared,
            metrics=metrics,
            cost=self._objective.cost(metrics, baseline) if baseline else None,
            violations=self._objective.violations(metrics),
        )

    def _original(self, configuration: Configuration, key: str) -> TrialRecord | None:
        """The trial whose outcome a duplicate repeats; None where it is not there any more."""
        for record in self._unhashed:
            self._evaluated.setdefault(record.configuration, record)
        self._unhashed.clear()
        return self._evaluated.get(configuration) or self._by_key.get(key)
