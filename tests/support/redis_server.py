"""A Redis server of one's own, on loopback, for as long as a test session."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis
from servers import Daemon, NoServerError, Server, free_port, unprivileged_user

_SERVER_USER = "redis"


@contextlib.contextmanager
def redis_server() -> Iterator[Server]:
    """Starts a server on a free port of 127.0.0.1 and gives its URL up to the database's number.

    It writes every command to its disk before it answers, so that it can be killed and restarted.

    Raises:
        NoServerError: if Redis is not installed.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise NoServerError("Redis is not installed: apt-get install -y redis-server")
    folder = Path(tempfile.mkdtemp(prefix="npu-tune-redis-"))
    try:
        user = unprivileged_user(folder, _SERVER_USER)
        port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": port,
            "dir": folder,
            "databases": 512,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]

        def is_ready() -> bool:
            try:
                with redis.Redis(port=port, socket_timeout=1) as client:
                    return bool(client.ping())
            except redis.RedisError:
                return False

        daemon = Daemon([program, *words], user, is_ready)
        with daemon.serving(f"redis://127.0.0.1:{port}") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
