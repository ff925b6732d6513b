"""The ledger in Redis: one record of Optuna's journal format per finished trial."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import redis
from optuna.trial import FrozenTrial
from redis.backoff import NoBackoff
from redis.retry import Retry

from npu_tune.errors import LostStorageError, StorageError
from npu_tune.tuning.ledger.journal_base import JournalBase
from npu_tune.tuning.ledger.journal_line import seal
from npu_tune.tuning.ledger.journal_records import RecordReader
from npu_tune.tuning.ledger.lock import forget
from npu_tune.tuning.ledger.outage import outage
from npu_tune.tuning.ledger.redis_claim import (
    EXPIRY_MS,
    RedisClaim,
    hide_from_children,
    is_claimed,
)
from npu_tune.tuning.ledger.shared import other_writer

LAST_KEY = ":log_number"
"""The key of the last record's number, as ``optuna.storages.journal.JournalRedisBackend`` has it."""

SNAPSHOT_KEY = ":snapshot"
"""Under which Optuna keeps what it has made of the records so far."""

_AT_ONCE = 500
"""Records that are asked for in one go."""

_WRITTEN, _OTHER_RECORDS, _OTHER_WRITER = 1, 0, -1

_APPEND = """
local holder = redis.call('get', KEYS[2])
if holder and holder ~= ARGV[1] then return -1 end
if (redis.call('get', KEYS[1]) or '-1') ~= ARGV[3] then return 0 end
redis.call('set', KEYS[3], ARGV[5])
redis.call('set', KEYS[1], ARGV[4])
redis.call('set', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Adds a record, if the claim holds and the last record is the one that was read last."""


def record_key(number: int) -> str:
    """The key of a record, numbered from 0, as Optuna has it."""
    return f":log:{number}"


def claim_key(name: str) -> str:
    """The key that stands for the writer of a study."""
    return f":npu-tune:writer:{name}"


def redis_options() -> dict[str, Any]:
    """How long a server may keep this process waiting; nothing is tried twice unasked."""
    return {
        "socket_connect_timeout": 5,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }


class RedisReader(RecordReader):
    """Follows the records in Redis; reads only what is new since it last looked.

    Args:
        client: of the server.
        place: as messages name it.
        lean: as of :class:`RecordReader`.
    """

    def __init__(self, client: redis.Redis, place: str, *, lean: bool = False) -> None:
        super().__init__(place, "Record", lean=lean)
        self._client = client

    def read(self) -> None:
        """Takes in all new records.

        Raises:
            LostStorageError: if there are fewer than there were.
            StorageError: if a record is damaged, or missing.
        """
        answer: Any = self._client.get(LAST_KEY)
        last = -1 if answer is None else int(answer)
        if last + 1 < self.count:
            raise LostStorageError(
                f"The study in {self._place} was cut short: {last + 1} records are left of "
                f"{self.count}.",
                place=self._place,
            )
        while self.count <= last:
            numbers = range(self.count, min(self.count + _AT_ONCE, last + 1))
            records: Any = self._client.mget([record_key(number) for number in numbers])
            found = self._ahead([record or b"" for record in records])
            for record, (_, ahead) in zip(records, found, strict=True):
                if record is None:
                    raise self.damage(b"", "it is not there")
                self._take(record, ahead)
                self.count += 1


class RedisLedger(JournalBase):
    """A study in a database of a Redis server, which Optuna's ``JournalRedisBackend`` opens too.

    The server adds a record, checks the writer's claim and counts in one step, so that a trial is
    there whole or not at all. How much the loss of the server's power may cost depends on its
    settings (``appendonly``). Every record has a checksum.

    Args:
        url: with the password, as the client takes it.
        place: without it, for messages.
        name: of the study.
        directions: of the objectives; empty to take what is stored.
        metric_names: of the objectives, for Optuna's tools; used when the study is made.
        create: make the study where there is none.
        join: make it also where the database holds other studies.
        read_only: neither claim nor write.
        lean: as of :func:`npu_tune.tuning.ledger.open_ledger`.
    """

    def __init__(
        self,
        url: str,
        place: str,
        *,
        name: str,
        directions: Sequence[str] = (),
        metric_names: Sequence[str] = (),
        create: bool = True,
        join: bool = True,
        read_only: bool = False,
        lean: bool = False,
    ) -> None:
        self.name, self.read_only, self._place = name, read_only, place
        self._claim: RedisClaim | None = None
        self._client: redis.Redis | None = None
        options = redis_options()
        with self._errors():  # a writer's client connects at once
            claim = None if read_only else RedisClaim(url, self._claim_key, options)
            client = claim.client(url, options) if claim else redis.Redis.from_url(url, **options)
        self._client = client
        self._reader: RedisReader = RedisReader(client, place, lean=lean)
        try:
            with self._errors():
                if claim is not None:
                    self._reader.read()  # what is damaged is not to be touched
                    if not claim.acquire():
                        claim.release()
                        raise self._claimed()
                    self._claim = claim
                create = create and not read_only
                self._find_study(directions, metric_names, create=create, join=join)
        except BaseException:
            self.close()
            raise

    def find(self, trial: FrozenTrial) -> int | None:
        times = (trial.datetime_start, trial.datetime_complete)
        for known in reversed(self.trials()):
            if (known.datetime_start, known.datetime_complete) == times:
                return known.number
        return None

    def has_writer(self) -> bool:
        with self._errors():
            return is_claimed(self._open(), self._claim_key)

    def check(self) -> None:
        with self._errors():
            last: Any = self._open().get(LAST_KEY)
            if int(last or -1) + 1 < self._reader.count:
                self._read()

    def close(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        forget(self)
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    @property
    def _claim_key(self) -> str:
        return claim_key(self.name)

    def _claimed(self) -> StorageError:
        return other_writer(f"{self.name!r} in {self._place}", name=self.name)

    def _read(self) -> None:
        self._open()
        with self._errors():
            self._reader.read()

    def _catch_up(self) -> None:
        self._read()
        if hasattr(self, "_study_id"):
            self._count = self._reader.replay.trial_count(self._study_id)

    def _write(self, line: bytes) -> None:
        client = self._open()
        if self._claim is None:
            raise StorageError(f"The study {self.name!r} is closed.")
        while True:
            self._read()
            number = self._reader.count
            record = seal(line, max(number, self._reader.next_number)).rstrip(b"\n")
            with self._errors():
                answer = client.eval(
                    _APPEND,
                    3,
                    LAST_KEY,
                    self._claim_key,
                    record_key(number),
                    self._claim.token,
                    EXPIRY_MS,
                    number - 1,
                    number,
                    record,
                )
                hide_from_children(self, client)
            if answer == _OTHER_WRITER:
                raise self._claimed()
            if answer == _WRITTEN:
                return

    def _open(self) -> redis.Redis:
        if self._client is None:
            raise StorageError(f"The study {self.name!r} is closed.")
        return self._client

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise outage(self._place, error) from error
