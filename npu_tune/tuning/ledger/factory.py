"""Opens the ledger that a path or URL names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npu_tune.tuning.ledger.address import check_address, journal_path, parse_url
from npu_tune.tuning.ledger.base import Ledger
from npu_tune.tuning.ledger.journal import JournalLedger
from npu_tune.tuning.ledger.server_address import REDIS, missing_driver, server_kind


def open_ledger(
    place: str | Path,
    *,
    name: str,
    directions: Sequence[str] = (),
    metric_names: Sequence[str] = (),
    create: bool = True,
    join: bool = True,
    read_only: bool = False,
    lean: bool = False,
    join_wait_s: float = 0.0,
) -> Ledger:
    """Opens a study's ledger, and makes it where there is none.

    Args:
        place: the path of a journal file, or a URL: ``journal://path``, ``sqlite:///path``,
            ``postgresql://user:password@host/database``, ``mysql://user:password@host/database``,
            ``redis://:password@host:6379/0``.
        name: of the study; empty, for reading only, for the only one of the storage.
        directions: ``minimize`` or ``maximize`` per objective; may be empty where the study
            exists.
        metric_names: of the objectives, shown by Optuna's tools; used when the study is made.
        create: make the study where there is none.
        join: make it also where the storage holds other studies.
        read_only: for looking at a study, also while another process writes it.
        lean: for reading only: leave out of trials, wherever that saves time, their parameters
            with the distributions and the times when they began and ended, which most that is
            said of a study does without; and keep large attributes as they are, uncompressed.
        join_wait_s: how long to wait for others at work to let this writer in; 0 to be alone.

    Raises:
        StorageError: if the storage cannot be read or written, is damaged, has no such study
            (and none is to be made), or has another writer.
        StudyMismatchError: if the study has other objectives, or is not to join those that are
            there.
        MissingExtraError: if the database's driver is not installed.
        UsageError: if it names no storage, or one this package does not know; or if none of several
            studies is named.
    """
    options: dict[str, Any] = {
        "name": name,
        "directions": directions,
        "metric_names": metric_names,
        "create": create,
        "join": join,
        "read_only": read_only,
        "lean": lean,
    }
    text = str(place)
    check_address(text)
    path = journal_path(text)
    if path is not None:
        return JournalLedger(path, join_wait_s=join_wait_s, **options)
    if server_kind(text) is REDIS:
        return _open_redis(text, options)
    from npu_tune.tuning.ledger.rdb import RdbLedger  # noqa: PLC0415 - SQLAlchemy is slow

    return RdbLedger(parse_url(text), join_wait_s=join_wait_s, **options)


def _open_redis(text: str, options: dict[str, Any]) -> Ledger:
    url = parse_url(text)
    place = url.render_as_string(hide_password=True)
    try:
        from npu_tune.tuning.ledger.redis_ledger import RedisLedger  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise missing_driver(text, place, error.name) from error
    return RedisLedger(url.render_as_string(hide_password=False), place, **options)
