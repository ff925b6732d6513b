"""A database of a Redis server with its journal as it is, damaged records included."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import redis

from npu_tune.closing import Closing
from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.outage import outage
from npu_tune.tuning.ledger.redis_claim import RedisClaim, is_claimed
from npu_tune.tuning.ledger.redis_ledger import (
    LAST_KEY,
    SNAPSHOT_KEY,
    claim_key,
    record_key,
    redis_options,
)


class RedisStore(Closing):
    """The records of a journal, to be examined and replaced.

    Args:
        url: with the password.
        place: without it, for messages.
    """

    def __init__(self, url: str, place: str) -> None:
        self._url, self._place = url, place
        self._client = redis.Redis.from_url(url, **redis_options())

    def claimed_studies(self) -> list[str]:
        """The names of the studies that somebody writes."""
        start = claim_key("")
        with self._errors():
            keys = [key.decode() for key in self._client.scan_iter(f"{start}*")]
            return [key[len(start) :] for key in keys if is_claimed(self._client, key)]

    def claim(self, name: str) -> RedisClaim:
        """Keeps writers of a study away. Raises StorageError where there is one."""
        with self._errors():
            claim = RedisClaim(self._url, claim_key(name), redis_options())
            if not claim.acquire():
                claim.release()
                raise StorageError(f"Another process is writing the study {name!r}.")
        return claim

    def records(self) -> list[bytes | None]:
        """All records; None for one that is not there."""
        with self._errors():
            last: Any = self._client.get(LAST_KEY)
            count = 0 if last is None else int(last) + 1
            found: list[bytes | None] = []
            for start in range(0, count, 500):
                numbers = range(start, min(start + 500, count))
                answer: Any = self._client.mget([record_key(number) for number in numbers])
                found += answer
        return found

    def replace(self, before: int, records: Sequence[bytes]) -> None:
        """Puts other records into the place of all, in one transaction.

        Args:
            before: how many there were.
            records: from now on.
        """
        with self._errors(), self._client.pipeline(transaction=True) as pipeline:
            for number, record in enumerate(records):
                pipeline.set(record_key(number), record)
            for number in range(len(records), before):
                pipeline.delete(record_key(number))
            pipeline.set(LAST_KEY, len(records) - 1)
            pipeline.delete(SNAPSHOT_KEY)  # Optuna made it of the records before
            pipeline.execute()

    def close(self) -> None:
        self._client.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise outage(self._place, error) from error
