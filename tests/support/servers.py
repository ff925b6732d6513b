"""What servers that tests start on loopback have in common."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pymysql
import pytest
import redis
from sqlalchemy import make_url

KINDS = [
    "journal",
    "sqlite",
    *(pytest.param(kind, marks=pytest.mark.server) for kind in ("postgresql", "mysql", "redis")),
]
"""Of storages, of which those on servers are marked so."""


class NoServerError(Exception):
    """A server's programs are not there; says which package brings them."""


class Server(str):
    """The URL of a server up to the database's name, with which the server may be restarted."""

    __slots__ = ("start", "stop")

    start: Callable[[], None]
    stop: Callable[[], None]


def unprivileged_user(folder: Path, name: str) -> str | None:
    """Whom a server runs as where this process is root; the folder becomes that user's.

    Raises:
        NoServerError: if there is no such user.
    """
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise NoServerError(f"the server cannot run as root and there is no user {name}") from None
    os.chown(folder, account.pw_uid, account.pw_gid)
    return name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_user(user: str | None) -> dict[str, object]:
    """The arguments of ``subprocess`` by which a server's programs run."""
    # The server keeps its parent's output open, so that goes nowhere instead of to a pipe.
    return {
        "user": user,
        "group": user,
        "extra_groups": [] if user else None,
        "cwd": "/",
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }


def run_program(user: str | None, command: Sequence[object]) -> None:
    subprocess.run([str(part) for part in command], check=True, timeout=120, **as_user(user))


class Daemon:
    """A server's process in the foreground, which can be ended and started again.

    Args:
        command: that runs it.
        user: whom it runs as; None for this one.
        is_ready: whether it answers.
    """

    def __init__(
        self, command: Sequence[object], user: str | None, is_ready: Callable[[], bool]
    ) -> None:
        self._command = [str(part) for part in command]
        self._user, self._is_ready = user, is_ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and returns once it answers."""
        self._process = subprocess.Popen(self._command, **as_user(self._user))
        while not self._is_ready():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self._command[0]} ended with {self._process.returncode}")

    def stop(self) -> None:
        """Kills it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def serving(self, url: str) -> Iterator[Server]:
        """Runs it for the time of a block, which gets its URL and may restart it."""
        server = Server(url)
        server.start, server.stop = self.start, self.stop
        try:
            self.start()
            yield server
        finally:
            self.stop()


def cut_connections(place: str) -> None:
    """Ends every other connection to a database on a server."""
    url = make_url(place)
    if place.startswith("redis:"):
        with redis.Redis.from_url(place) as client:
            client.client_kill_filter(skipme=True)
    elif place.startswith("mysql:"):
        with (
            pymysql.connect(host=url.host, port=url.port, user=url.username) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE db = %s", [url.database]
            )
            for (number,) in cursor.fetchall():
                cursor.execute(f"KILL {number}")
    else:
        with psycopg.connect(place, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
