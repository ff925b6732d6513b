"""A PostgreSQL server of one's own, on loopback, for as long as a test session."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_SERVER_USER = "postgres"


class NoServerError(Exception):
    """PostgreSQL's programs are not there; says which package brings them."""


def binaries() -> Path:
    """The folder with ``initdb`` and ``pg_ctl``, of the newest installed version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise NoServerError("PostgreSQL is not installed: apt-get install -y postgresql")


class PostgresServer(str):
    """The URL of a server up to the database's name, with which the server may be restarted."""

    __slots__ = ("start", "stop")

    start: Callable[[], None]
    stop: Callable[[], None]


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Starts a server on a free port of 127.0.0.1 and gives its URL up to the database's name.

    Raises:
        NoServerError: if PostgreSQL is not installed.
    """
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="npu-tune-postgres-"))
    try:
        user = _unprivileged_user(folder)
        data = folder / "data"
        _run(user, [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N"])
        port = _free_port()
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        )
        control = [programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
        server = PostgresServer(f"postgresql://tester@127.0.0.1:{port}")
        server.start = lambda: _run(user, [*control, "-o", options, "start"])
        server.stop = lambda: _run(user, [*control, "-m", "immediate", "stop"])
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _version(initdb: Path) -> float:
    try:
        return float(initdb.parent.parent.name)
    except ValueError:
        return 0.0


def _unprivileged_user(folder: Path) -> str | None:
    """Whom the server runs as; it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(_SERVER_USER)
    except KeyError:
        raise NoServerError(
            f"the server cannot run as root and there is no user {_SERVER_USER}"
        ) from None
    os.chown(folder, account.pw_uid, account.pw_gid)
    return _SERVER_USER


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(user: str | None, command: list[object]) -> None:
    # The server keeps its parent's output open, so that goes nowhere instead of to a pipe.
    subprocess.run(
        [str(part) for part in command],
        check=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )
