"""Worker processes: started in a group of their own, and ended with all that is in it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import IO

from npu_tune.errors import ExecutorError
from npu_tune.evaluation.pool.reaper import Reaper

ONE_THREAD = dict.fromkeys(
    (
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""Workers share the processors among themselves; each one's libraries must not do so again."""


def start_child(
    module: str, *descriptors: int, stderr: IO[bytes] | int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Starts the ``main`` of a module in a process of a session of its own.

    Args:
        module: its ``main`` reads the descriptors' numbers from ``sys.argv``.
        descriptors: of files and sockets that it inherits.
        stderr: where its last words go.

    Raises:
        ExecutorError: if it cannot be started.
    """
    try:
        return subprocess.Popen(
            [sys.executable, "-c", f"from {module} import main; main()", *map(str, descriptors)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=descriptors,
            start_new_session=True,
            env={**os.environ, **ONE_THREAD},
        )
    except OSError as error:
        raise ExecutorError(
            f"A worker process cannot be started: {error.strerror}.",
            remedy="Use fewer workers.",
        ) from error


def end_child(process: subprocess.Popen[bytes], reaper: Reaper) -> int:
    """Ends a process and everything in its group; returns its exit status.

    Args:
        process: its number may be another one's as soon as it has been waited for.
        reaper: has been watching it.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    reaper.forget(process.pid)
    return process.wait()


def describe_exit(status: int) -> str:
    """What an exit status says, such as ``killed by SIGSEGV``."""
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


def temporary_file(content: bytes = b"") -> IO[bytes]:
    """An open file without a name, which is gone once it is closed.

    Raises:
        ExecutorError: if it cannot be written.
    """
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(content)
        file.flush()
    except OSError as error:
        raise ExecutorError(
            f"What workers need cannot be written to a temporary folder: {error.strerror}.",
            remedy="Free some space there, or set TMPDIR to another folder.",
        ) from error
    return file
