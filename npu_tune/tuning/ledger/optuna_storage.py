"""Optuna's own storage behind an address, for what only it should do."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

from npu_tune.tuning.ledger.address import journal_path, parse_url
from npu_tune.tuning.ledger.server_address import REDIS, server_kind


@contextlib.contextmanager
def open_optuna_storage(text: str) -> Iterator[BaseStorage]:
    """Opens what an address of good form names, as plain Optuna does."""
    path = journal_path(text)
    if path is not None:
        yield JournalStorage(JournalFileBackend(str(path)))
        return
    url = parse_url(text).render_as_string(hide_password=False)
    if server_kind(text) is REDIS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield JournalStorage(JournalRedisBackend(url))
        return
    storage = RDBStorage(url)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
