"""A process that runs a module of this package at the other end of a connection."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection

ENDING_S = 5.0
"""For a process whose connection was closed to end."""


class Partner:
    """A process that reads the number of its socket from ``sys.argv``, and ends when that is closed.

    What is typed at a terminal is not for it, but for whoever started it.

    Args:
        module: has a function ``main``.
        environment: variables beside those of this process.

    Raises:
        OSError: if it cannot be started.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    f"from {module} import main; main()",
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={
                    **os.environ,
                    **(environment or {}),
                    "PYTHONPATH": os.pathsep.join(sys.path),
                },
            )
            self.connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def end(self) -> int:
        """Closes the connection, and kills a process that goes on; returns its exit status."""
        with contextlib.suppress(OSError):
            self.connection.close()
        try:
            return self._process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
