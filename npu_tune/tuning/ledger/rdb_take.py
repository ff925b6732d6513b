"""What the rows of a trial in Optuna's database tables amount to."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import without_constraint_list
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.rdb_values import number_of
from npu_tune.tuning.packed import PROFILE, PROFILE_FIELDS, PackedTable, pack_attributes

Taker: TypeAlias = Callable[[FrozenTrial, Sequence[Any]], None]
"""Takes the rows of a trial in one table in."""

_PROFILE_BEGINS = '{"columns": ['


@contextlib.contextmanager
def damage(trial: FrozenTrial, table: str) -> Iterator[None]:
    """Names a trial whose rows in a table make no sense."""
    try:
        yield
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise StorageError(
            f"The trial {trial.number} is damaged in the database's table {table}: {error}.",
            remedy="Restore the database from a backup, or delete the trial.",
            trial=trial.number,
        ) from error


def take_values(trial: FrozenTrial, rows: Sequence[Any]) -> None:
    """The values of the objectives."""
    trial.values = [
        number_of(value, kind) for _, _, value, kind in sorted(rows, key=itemgetter(1))
    ]


def take_intermediate_values(trial: FrozenTrial, rows: Sequence[Any]) -> None:
    """The values by step, which trials of people may have."""
    trial.intermediate_values = {step: number_of(value, kind) for _, step, value, kind in rows}


def take_user_attributes(trial: FrozenTrial, rows: Sequence[Any]) -> None:
    """The user attributes, large ones packed."""
    trial.user_attrs = pack_attributes({key: json.loads(text) for _, key, text in rows})


def take_lean_user_attributes(trial: FrozenTrial, rows: Sequence[Any]) -> None:
    """The same in a fraction of the time: parsed together, and a profile kept as its text."""
    names = [sys.intern(key) for _, key, _ in rows]
    texts = [text for _, _, text in rows]
    profile = None
    if PROFILE in names:
        place = names.index(PROFILE)
        if texts[place].startswith(_PROFILE_BEGINS):
            profile = PackedTable(texts[place].encode(), PROFILE_FIELDS, is_compressed=False)
            texts[place] = "null"
    try:
        values = json.loads(f"[{','.join(texts)}]")
    except ValueError:
        values = []
    if len(values) != len(texts):  # one of them is damaged
        values = [json.loads(text) for text in texts]
    trial.user_attrs = dict(zip(names, values, strict=True))
    if profile is not None:
        trial.user_attrs[PROFILE] = profile


def take_system_attributes(trial: FrozenTrial, rows: Sequence[Any]) -> None:
    """What Optuna and its tools keep of a trial."""
    trial.system_attrs = without_constraint_list({key: json.loads(text) for _, key, text in rows})
