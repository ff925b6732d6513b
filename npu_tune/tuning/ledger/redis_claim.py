"""A writer's claim on a study in Redis: a key that expires, and is kept alive meanwhile."""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import Any

import redis

from npu_tune.tuning.ledger.lock import forget, keep_from_children

EXPIRY_MS = 30_000
"""A claim whose owner's machine is gone ends after so long; a process that ends frees it at once."""

_BEAT_EVERY_S = EXPIRY_MS / 3000

_RENEW = """
local holder = redis.call('get', KEYS[1])
if holder == ARGV[1] or (not holder and ARGV[3] == 'take') then
    redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return 1
end
return 0
"""
_REMOVE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"

_CLIENT_PREFIX = "npu-tune-"


class RedisClaim:
    """Keeps other writers of a study away until it is released or its process ends.

    Two things tell that an owner lives: the key, which a thread keeps from expiring, and the
    connections that bear the claim's name, which the server sees end with their process. The thread does nothing else; every record is written under the condition that the
    claim still holds (see :class:`~npu_tune.tuning.ledger.redis_ledger.RedisLedger`).

    Args:
        url: of the server.
        key: that stands for the study.
        options: of the connection.

    Attributes:
        token: what the key holds while the claim is this one's.
    """

    def __init__(self, url: str, key: str, options: dict[str, Any]) -> None:
        self.token = uuid.uuid4().hex
        self._key = key
        self._client = self.client(url, options)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="npu-tune-claim", daemon=True)

    def client(self, url: str, options: dict[str, Any]) -> redis.Redis:
        """A client with one connection, by which the server knows the owner to be alive."""
        named = {"single_connection_client": True, "client_name": _CLIENT_PREFIX + self.token}
        return redis.Redis.from_url(url, **named, **options)

    def acquire(self) -> bool:
        """Claims the study; False where somebody else has it, who lives."""
        for _ in range(2):
            if self._renew("take"):
                self._thread.start()
                return True
            holder = self._client.get(self._key)
            if is_connected(self._client, holder):
                return False
            if holder is not None:
                self._client.eval(_REMOVE, 1, self._key, holder)
        return False

    def release(self) -> None:
        """Lets other writers in; may be called again."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(redis.RedisError, OSError):
            self._client.eval(_REMOVE, 1, self._key, self.token)
        forget(self)
        self._client.close()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_EVERY_S):
            with contextlib.suppress(redis.RedisError, OSError):
                self._renew("keep")

    def _renew(self, how: str) -> bool:
        answer = self._client.eval(_RENEW, 1, self._key, self.token, EXPIRY_MS, how)
        hide_from_children(self, self._client)
        return bool(answer)


def hide_from_children(owner: object, client: redis.Redis) -> None:
    """Makes forked workers let go of a client's one connection, and so of a killed parent's claim.

    Call it again once it may have been made anew.
    """
    connection: Any = client.connection
    keep_from_children(owner, connection._sock.fileno())  # noqa: SLF001 - it is told nowhere else


def is_claimed(client: redis.Redis, key: str) -> bool:
    """Whether somebody who lives has claimed what a key stands for."""
    holder = client.get(key)
    return holder is not None and is_connected(client, holder)


def is_connected(client: redis.Redis, holder: Any) -> bool:
    """Whether the owner of a claim is connected to the server; True where it does not tell."""
    if holder is None:
        return False
    name = _CLIENT_PREFIX + holder.decode()
    try:
        return any(each.get("name") == name for each in client.client_list())
    except redis.ResponseError:  # the user may not ask
        return True
