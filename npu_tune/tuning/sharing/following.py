"""The record behind a trial that another driver has finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from optuna.trial import FrozenTrial

from npu_tune.space import Configuration
from npu_tune.tuning.attributes import KEY, as_duplicate, named, plain_record
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import SharedPairs
from npu_tune.tuning.trial import TrialRecord


class TrialReader:
    """Makes records of others' trials one by one, where evaluations repeat exactly.

    Args:
        objective: makes costs and violations.
        default: configurations are kept as their difference from it.
        find: the trial that answers for a key, if any.
    """

    def __init__(
        self,
        objective: Objective,
        default: Configuration,
        find: Callable[[str], TrialRecord | None],
    ) -> None:
        self._objective = objective
        self._default = default
        self._find = find
        self._shared = SharedPairs()

    def read(self, trial: FrozenTrial, baseline: Mapping[str, float] | None) -> TrialRecord:
        """The record of a trial, weighed against the baseline.

        Raises:
            StorageError: if its attributes are damaged; names the trial.
        """
        with named(trial):
            record = plain_record(trial, self._default, self._shared)
        original = self._find(trial.user_attrs[KEY])
        if "duplicate_of" in trial.user_attrs and original is not None:
            return as_duplicate(record, original)
        if not record.metrics:
            return record
        return replace(
            record,
            cost=self._objective.cost(record.metrics, baseline) if baseline else None,
            violations=self._objective.violations(record.metrics),
        )
