"""A MariaDB server of one's own, on loopback, for as long as a test session."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymysql
from servers import Daemon, NoServerError, Server, free_port, run_program, unprivileged_user

_SERVER_USER = "mysql"


@contextlib.contextmanager
def mariadb_server() -> Iterator[Server]:
    """Starts a server on a free port of 127.0.0.1 and gives its URL up to the database's name.

    Raises:
        NoServerError: if MariaDB is not installed.
    """
    server, install = (_program(name) for name in ("mariadbd", "mariadb-install-db"))
    folder = Path(tempfile.mkdtemp(prefix="npu-tune-mariadb-"))
    try:
        user = unprivileged_user(folder, _SERVER_USER)
        data, port = folder / "data", free_port()
        quick = ["--no-defaults", f"--datadir={data}"]
        run_program(
            user,
            [install, *quick, "--auth-root-authentication-method=normal", "--skip-test-db"],
        )
        command = [
            server,
            *quick,
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--socket={folder}/socket",
            f"--pid-file={folder}/pid",
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=1",
        ]

        def is_ready() -> bool:
            try:
                pymysql.connect(
                    host="127.0.0.1", port=port, user="root", connect_timeout=1
                ).close()
            except pymysql.MySQLError:
                return False
            return True

        daemon = Daemon(command, user, is_ready)
        with daemon.serving(f"mysql://root@127.0.0.1:{port}") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin") or shutil.which(name)
    if found is None:
        raise NoServerError("MariaDB is not installed: apt-get install -y mariadb-server")
    return found
