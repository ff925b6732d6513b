"""Rows of Optuna's database tables as trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from npu_tune._optuna_compat import DistributionTexts, SharedParameters
from npu_tune.tuning.ledger.rdb_take import (
    Taker,
    damage,
    take_intermediate_values,
    take_lean_user_attributes,
    take_system_attributes,
    take_user_attributes,
    take_values,
)
from npu_tune.tuning.ledger.rdb_values import from_utc

_first = itemgetter(0)


class RowReader:
    """Makes trials of rows; what they have in common is there once.

    Args:
        texts: of distributions.
        lean: as of :func:`npu_tune.tuning.ledger.open_ledger`.
    """

    def __init__(self, texts: DistributionTexts, *, lean: bool = False) -> None:
        self._texts = texts
        self._lean = lean
        self._parameters = SharedParameters({}, texts)

    def whole(
        self, found: dict[int, FrozenTrial], details: Callable[[str], Iterable[Any]]
    ) -> list[FrozenTrial]:
        """Trials with what belongs to them.

        Args:
            found: by their key in the database, without it.
            details: the rows of a table, in order, trial by trial; the key comes first in each.

        Raises:
            StorageError: if a trial's rows make no sense; names the trial.
        """
        for table, take in self._takers().items():
            # Row by row: all at once would take many times the memory of the trials.
            for trial_id, rows in groupby(details(table), _first):
                if trial_id in found:
                    with damage(found[trial_id], table):
                        take(found[trial_id], list(rows))
        return list(found.values())

    def _takers(self) -> Mapping[str, Taker]:
        """By table, what takes its rows of a trial in."""
        return {
            "trial_values": take_values,
            # There is a row per parameter, which are most of all.
            **({} if self._lean else {"trial_params": self._take_params}),
            "trial_intermediate_values": take_intermediate_values,
            "trial_user_attributes": (
                take_lean_user_attributes if self._lean else take_user_attributes
            ),
            "trial_system_attributes": take_system_attributes,
        }

    def _take_params(self, trial: FrozenTrial, rows: Sequence[Any]) -> None:
        texts = {name: text for _, name, _, text in rows}
        if self._parameters.texts != texts:
            self._parameters = SharedParameters(texts, self._texts)
        trial.params = self._parameters.read({name: float(value) for _, name, value, _ in rows})
        trial.distributions = self._parameters.distributions


def without_details(
    trial_id: int, number: int, state: TrialState | str, start: datetime, end: datetime
) -> FrozenTrial:
    """A trial as its own row has it."""
    return FrozenTrial(
        number=number,
        trial_id=trial_id,
        state=TrialState[state] if isinstance(state, str) else state,
        value=None,
        datetime_start=from_utc(start),
        datetime_complete=from_utc(end),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
