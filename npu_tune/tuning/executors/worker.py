"""The program of the processes that evaluate.

One is started by :class:`npu_tune.tuning.executors.process.WorkerProcess` in a session of its own
and talks over a socket, because whatever the compiler prints goes to the standard streams. It
ends, together with everything it started, when its parent does, however that came to pass.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from npu_tune.network import Network
from npu_tune.space import Configuration
from npu_tune.targets import Target
from npu_tune.tuning.executors.evaluate import evaluate

_PR_SET_PDEATHSIG = 1
"""From ``<linux/prctl.h>``."""

STDERR = 2

Job = tuple[int, Configuration]


@dataclass(frozen=True)
class Ready:
    """A worker's first message: it has its network and can evaluate."""


@dataclass(frozen=True)
class Unfit:
    """A worker's first message where it cannot start."""

    reason: str


def main() -> None:
    """Evaluates what comes over the socket until it is closed."""
    connection, payload = Connection(int(sys.argv[1])), int(sys.argv[2])
    _die_with_parent(int(sys.argv[3]))
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
    try:
        target, network = _load(payload)
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the parent must hear of it
        connection.send(Unfit(f"{type(error).__name__}: {error}"))
        return
    connection.send(Ready())
    while True:
        ticket, configuration = jobs.get()
        _forget_noise()
        connection.send(evaluate(target, network, ticket, configuration))


def _receive(connection: Connection, jobs: queue.SimpleQueue[Job]) -> None:
    """Takes jobs even while one is evaluated, so as to notice at once that the parent is gone."""
    try:
        while True:
            jobs.put(connection.recv())
    except (EOFError, OSError):
        os.killpg(0, signal.SIGKILL)


def _die_with_parent(parent: int) -> None:
    """Has the kernel end this process with its parent, even in code that keeps the GIL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)


def _load(payload: int) -> tuple[Target, Network]:
    # Workers share the open file, and with it the offset: it is read without moving that.
    text = os.pread(payload, os.fstat(payload).st_size, 0)
    os.close(payload)
    path, blob = pickle.loads(text)  # noqa: S301 - the parent's own
    sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
    loaded: tuple[Any, Any] = pickle.loads(blob)  # noqa: S301 - the parent's own
    return loaded


def _forget_noise() -> None:
    """Empties the file behind stderr, so that a crash shows its own last words only."""
    with contextlib.suppress(OSError):
        os.ftruncate(STDERR, 0)
        os.lseek(STDERR, 0, os.SEEK_SET)
