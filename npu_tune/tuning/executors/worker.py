"""The program of the processes that evaluate.

One is started by :class:`npu_tune.tuning.executors.process.WorkerProcess` in a session of its own
and talks over a socket, because whatever the compiler prints goes to the standard streams.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection

from npu_tune.network import Network
from npu_tune.targets import Target
from npu_tune.tuning.executors.evaluate import evaluate
from npu_tune.tuning.executors.payload import unpack

_STDERR = 2


@dataclass(frozen=True)
class Ready:
    """A worker's first message: it has its network and can evaluate."""


@dataclass(frozen=True)
class Unfit:
    """A worker's first message where it cannot start."""

    reason: str


def main() -> None:
    """Evaluates what comes over the socket until the other side closes it."""
    connection, payload = Connection(int(sys.argv[1])), int(sys.argv[2])
    # The other side may be gone at any time; then there is nobody left to tell.
    with contextlib.suppress(EOFError, OSError), connection:
        try:
            target, network = _load(payload)
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the parent must hear of it
            connection.send(Unfit(f"{type(error).__name__}: {error}"))
            return
        connection.send(Ready())
        while True:
            ticket, configuration = connection.recv()
            _forget_noise()
            connection.send(evaluate(target, network, ticket, configuration))


def _load(payload: int) -> tuple[Target, Network]:
    # Workers share the open file, and with it the offset: it is read without moving that.
    text = os.pread(payload, os.fstat(payload).st_size, 0)
    os.close(payload)
    return unpack(text)


def _forget_noise() -> None:
    """Empties the file behind stderr, so that a crash shows its own last words only."""
    with contextlib.suppress(OSError):
        os.ftruncate(_STDERR, 0)
        os.lseek(_STDERR, 0, os.SEEK_SET)
