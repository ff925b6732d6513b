"""The measuring process as its problem sees it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

from npu_tune.closing import Closing
from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    EvaluationError,
    WorkerLostError,
)
from npu_tune.targets.measured.messages import (
    Answer,
    Candidate,
    Died,
    Job,
    Measurement,
    Refused,
    Setup,
    Waited,
)

ATTEMPTS = 2
"""A crash is not a verdict: it may be the machine's, but hardly twice in a row."""

_ENDING_S = 5.0

_ONE_THREAD = dict.fromkeys(
    ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_PROC_BIND"), "1"
) | {"OMP_PROC_BIND": "false"}


class MeasuringSession(Closing):
    """A process that measures candidates; it ends with this one, however that comes to pass.

    Args:
        setup: what stays the same.
    """

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def measure(self, candidate: Candidate, *, timed: bool = True) -> Measurement:
        """Measures a candidate, in a process of its own.

        Raises:
            CompilerError: if the library refuses it.
            CompilerCrashError: if it ends its process every time.
            WorkerLostError: if no core becomes free, or the process cannot be started.
        """
        job = Job(candidate, timed)
        how = ""
        for _ in range(ATTEMPTS):
            answer = self._ask(job)
            if isinstance(answer, Measurement):
                return answer
            if not isinstance(answer, Died):
                raise _error_of(answer)
            how = answer.how
        raise CompilerCrashError(f"The process that ran this configuration was {how}.")

    def close(self) -> None:
        """Ends the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            try:
                self._process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._connection = None

    def _ask(self, job: Job) -> Answer:
        connection = self._connection or self._start()
        try:
            connection.send(job)
            answer: Answer = connection.recv()
        except (EOFError, OSError) as error:
            process, self._process, self._connection = self._process, None, None
            with contextlib.suppress(OSError):
                connection.close()
            if process is not None:
                process.kill()
                process.wait()
            raise WorkerLostError(
                f"The measuring process has ended ({type(error).__name__}).",
                remedy="Is there enough memory for the network twice?",
            ) from error
        return answer

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-c",
                        "from npu_tune.targets.measured.worker import main; main()",
                        str(theirs.fileno()),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)},
                )
            except OSError as error:
                ours.close()
                raise WorkerLostError(
                    f"A measuring process cannot be started: {error.strerror or error}."
                ) from error
        self._connection = Connection(ours.detach())
        self._connection.send(self._setup)
        return self._connection


def _error_of(answer: Refused | Waited) -> EvaluationError:
    if isinstance(answer, Waited):
        return WorkerLostError(answer.said, remedy=answer.remedy)
    return CompilerError(f"The library refuses this configuration: {answer.said}")
