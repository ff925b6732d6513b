"""The program of the worker processes.

One is started by :class:`npu_tune.evaluation.pool.process_worker.WorkerProcess` behind a guard and
talks over a socket, because whatever the compiler prints goes to the standard streams.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path

from npu_tune.errors import NpuTuneError, plain_error, sentence_of
from npu_tune.evaluation.evaluate import is_scarcity
from npu_tune.evaluation.memory import (
    data_limit,
    has_kept_much,
    held_bytes,
    limit_memory,
    load_error,
)
from npu_tune.evaluation.pool.binding import Binding, BoundProblem
from npu_tune.evaluation.pool.messages import (
    Answered,
    Bind,
    Ready,
    Refused,
    Unfit,
    Unsendable,
)
from npu_tune.evaluation.pool.slate import Slate

_STDERR = 2


def main() -> None:
    """Does what comes over the socket until the other side closes it."""
    connection, descriptor = Connection(int(sys.argv[1])), int(sys.argv[2])
    for limit in sys.argv[3:]:
        limit_memory(int(limit))
    slate = Slate(descriptor)
    os.close(descriptor)
    socket = os.fstat(connection.fileno())
    # The other side may be gone at any time; then there is nobody left to tell.
    with contextlib.suppress(EOFError, OSError), _closing(connection), BoundProblem() as bound:
        binding, held = None, 0
        while True:
            message = connection.recv()
            _keep_temporary_folder()
            if isinstance(message, Bind):
                binding = Binding(message.digest, payload=_read_all(recv_handle(connection)))
                answer = pickle.dumps(_bind(binding, bound))
                held = held_bytes()
            elif binding is not None:
                _forget_noise()
                answer = _answer(message.run(bound.get(binding), slate.note))
            if not _is_socket(connection.fileno(), socket):
                sys.exit("An evaluation has closed the connection of its worker.")
            connection.send_bytes(answer)
            if has_kept_much(held):
                break  # what comes next has the memory of a fresh worker


@contextlib.contextmanager
def _closing(connection: Connection) -> Iterator[None]:
    """Closes a connection; that an evaluation has closed it hides nothing that happens inside."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            connection.close()


def _is_socket(descriptor: int, socket: os.stat_result) -> bool:
    """False where a descriptor is closed, or has come to mean another file."""
    try:
        return os.path.samestat(os.fstat(descriptor), socket)
    except OSError:
        return False


def _answer(answer: object) -> bytes:
    try:
        return pickle.dumps(Answered(answer), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - what is in it may raise anything
        return pickle.dumps(Unsendable(sentence_of(error)))


def _read_all(descriptor: int) -> bytes:
    """Reads a file that other workers read too, with whom it shares its offset."""
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _bind(binding: Binding, bound: BoundProblem) -> Ready | Refused | Unfit:
    try:
        bound.get(binding)
    except NpuTuneError as error:
        return Refused(binding.digest, plain_error(error))
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the parent must hear of it
        limit = data_limit()
        if isinstance(error, MemoryError) and limit is not None:
            return Refused(binding.digest, load_error(limit))
        return Unfit(sentence_of(error), scarce=is_scarcity(error))
    return Ready()


def _keep_temporary_folder() -> None:
    """Makes it again where something that cleans up has removed it: studies take long."""
    with contextlib.suppress(OSError):
        Path(os.environ["TMPDIR"]).mkdir(mode=0o700, exist_ok=True)


def _forget_noise() -> None:
    """Empties the file behind stderr, so that a crash shows its own last words only."""
    with contextlib.suppress(OSError):
        os.ftruncate(_STDERR, 0)
        os.lseek(_STDERR, 0, os.SEEK_SET)
