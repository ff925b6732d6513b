"""Programs of somebody else, run one after the other, with an end to all that they start."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from npu_tune.closing import Closing

Stopped = Literal["", "late", "loud", "unwanted"]

_ENDING_S = 5.0


@dataclass(frozen=True)
class Program:
    """A program that is to be run.

    Args:
        argv: the program and its arguments; no shell reads them.
        folder: in which it runs.
        input: a file for its standard input.
        output: the file for its standard output.
        errors: the file for its standard error.
        time_limit_s: after which it is ended.
        most_bytes: of output, or of errors, beyond which it is ended.
        environment: all of its variables.
    """

    argv: tuple[str, ...]
    folder: Path
    input: Path
    output: Path
    errors: Path
    time_limit_s: float
    most_bytes: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class ProgramEnd:
    """How a program ended.

    Args:
        status: its exit status as :mod:`subprocess` gives it.
        stopped: why it was ended: it was ``late`` or too ``loud``, or nobody waited for it any
            more; "" where it has ended by itself.
        left: processes that it left behind, which were ended.
        refused: what the system says where it cannot be started; "" where it was.
        seconds: that it took.
    """

    status: int = 0
    stopped: Stopped = ""
    left: int = 0
    refused: str = ""
    seconds: float = 0.0


class ProgramRunner(Closing):
    """Runs programs in a process of its own, which is started for the first one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def run(self, program: Program) -> ProgramEnd:
        """Runs a program to its end, and ends everything that it leaves.

        Raises:
            EOFError, OSError: if the process that runs programs cannot be started, or has ended.
        """
        connection = self._connection or self._start()
        try:
            connection.send(program)
            end: ProgramEnd = connection.recv()
        except BaseException:  # an answer that nobody has taken would be taken for the next one
            self.close()
            raise
        return end

    def close(self) -> None:
        """Ends the process, and the program that it runs."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._connection = None

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        command = "from npu_tune.processes.runner import main; main()"
        with ours, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            self._connection = Connection(ours.detach())
        return self._connection
