"""Takes in the trials that other drivers have finished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from optuna.trial import FrozenTrial

from npu_tune.space import Configuration
from npu_tune.tuning.attributes import ELAPSED, KEY, as_duplicate, named, plain_record
from npu_tune.tuning.known import KnownTrials
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import SharedPairs
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.trial import TrialRecord


class TrialReader:
    """Makes records of others' trials one by one, where evaluations repeat exactly.

    Args:
        objective: makes costs and violations.
        default: configurations are kept as their difference from it.
        known: learns of them.
        meter: counts them.
        records: gets them.
    """

    def __init__(
        self,
        objective: Objective,
        default: Configuration,
        known: KnownTrials,
        meter: ProgressMeter,
        records: list[TrialRecord],
    ) -> None:
        self._objective = objective
        self._default = default
        self._known, self._meter, self._records = known, meter, records
        self._shared = SharedPairs()

    def take(self, trial: FrozenTrial, baseline: Mapping[str, float] | None) -> TrialRecord:
        """The record of a trial, weighed against the baseline.

        Raises:
            StorageError: if its attributes are damaged; names the trial.
        """
        record = self._read(trial, baseline)
        self._known.learn(trial.user_attrs[KEY], record)
        self._meter.count(record)
        self._meter.catch_up(trial.user_attrs.get(ELAPSED, 0.0))
        self._records.append(record)
        return record

    def _read(self, trial: FrozenTrial, baseline: Mapping[str, float] | None) -> TrialRecord:
        with named(trial):
            record = plain_record(trial, self._default, self._shared)
        original = self._known.find(trial.user_attrs[KEY])
        if "duplicate_of" in trial.user_attrs and original is not None:
            return as_duplicate(record, original)
        if not record.metrics:
            return record
        return replace(
            record,
            cost=self._objective.cost(record.metrics, baseline) if baseline else None,
            violations=self._objective.violations(record.metrics),
        )
