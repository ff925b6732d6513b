"""A PostgreSQL server of one's own, on loopback, for as long as a test session."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from servers import NoServerError, Server, free_port, run_program, unprivileged_user

_SERVER_USER = "postgres"


def binaries() -> Path:
    """The folder with ``initdb`` and ``pg_ctl``, of the newest installed version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise NoServerError("PostgreSQL is not installed: apt-get install -y postgresql")


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """Starts a server on a free port of 127.0.0.1 and gives its URL up to the database's name.

    Raises:
        NoServerError: if PostgreSQL is not installed.
    """
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="npu-tune-postgres-"))
    try:
        user = unprivileged_user(folder, _SERVER_USER)
        data = folder / "data"
        run_program(user, [programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N"])
        port = free_port()
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        )
        control = [programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
        server = Server(f"postgresql://tester@127.0.0.1:{port}")
        server.start = lambda: run_program(user, [*control, "-o", options, "start"])
        server.stop = lambda: run_program(user, [*control, "-m", "immediate", "stop"])
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
