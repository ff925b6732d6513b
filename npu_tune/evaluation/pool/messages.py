"""What a process and its worker say to one another, and the line that carries it."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from typing import IO, Any

from npu_tune.errors import ExecutorError, NpuTuneError, sentence_of

STALL_S = 5.0
"""For a worker to go on with a message that it has begun to send."""

TAKE_S = 120.0
"""For a worker to take what is sent to it; it takes nothing while it binds a problem."""

MOST_BYTES = 2**30
"""Of a message from a worker; what claims to be longer is none."""


@dataclass(frozen=True)
class Bind:
    """Asks a worker to bind a target and a network, which every later task is about.

    An open file with the payload follows over the socket.
    """

    digest: str


@dataclass(frozen=True)
class Ready:
    """Answers :class:`Bind`: the problem is bound."""


@dataclass(frozen=True)
class Unfit:
    """Answers :class:`Bind` where the target or the network cannot be had here.

    Args:
        reason: why.
        scarce: True where the machine has run out of something, and another try may go well.
    """

    reason: str
    scarce: bool = False


@dataclass(frozen=True)
class Refused:
    """Answers :class:`Bind` where the target says what is wrong with the problem."""

    digest: str
    error: NpuTuneError


@dataclass(frozen=True)
class Answered:
    """The answer to a task."""

    answer: Any


@dataclass(frozen=True)
class Unsendable:
    """Answers a task whose answer cannot be pickled."""

    reason: str


NO_ANSWER = "something else was in the place of its answer"


class BrokenLineError(Exception):
    """The worker's end of the line is closed, stuck, or in the hands of somebody else."""


class ClosedLineError(BrokenLineError):
    """The worker's end of the line is closed: it has ended, or soon will."""


class Line:
    """One end of a socket to a worker, which keeps nobody waiting for a worker that is stuck."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        for option, limit_s in ((socket.SO_RCVTIMEO, STALL_S), (socket.SO_SNDTIMEO, TAKE_S)):
            # As struct timeval, see socket(7).
            limit = struct.pack("@ll", int(limit_s), round(limit_s % 1 * 1e6))
            self._ours.setsockopt(socket.SOL_SOCKET, option, limit)
        self.connection = Connection(os.dup(self._ours.fileno()))

    def lend(self) -> int:
        """Descriptor of the other end, for the worker to inherit."""
        return self._theirs.fileno()

    def keep(self) -> None:
        """Closes the other end here, once the worker has it."""
        self._theirs.close()

    def send(self, message: bytes) -> None:
        """Sends a pickled message; whoever reads the answer notices where that went wrong."""
        with self._ended_by_errors():
            self.connection.send_bytes(message)

    def send_file(self, file: IO[bytes], pid: int) -> None:
        """Sends an open file: a large one as a message would block until the worker reads it."""
        with self._ended_by_errors():
            send_handle(self.connection, file.fileno(), pid)

    def receive(self) -> Any:
        """The next message, once there is something to be read.

        Raises:
            BrokenLineError: if there is none, with the reason.
        """
        try:
            return pickle.loads(self.connection.recv_bytes(MOST_BYTES))  # noqa: S301 - our worker's
        except (EOFError, ConnectionError) as error:
            raise ClosedLineError("it had closed its connection") from error
        except BlockingIOError as error:
            raise BrokenLineError("it had got stuck in an answer") from error
        except Exception as error:
            raise BrokenLineError(NO_ANSWER) from error

    def close(self) -> None:
        """Hangs up."""
        self._theirs.close()
        self._ours.close()
        self.connection.close()

    @contextlib.contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """Hangs up on both sides where a message may have been sent in part."""
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):
                self._ours.shutdown(socket.SHUT_RDWR)


def pickled(value: Any, what: str) -> bytes:
    """A value as bytes for another process.

    Args:
        value: anything.
        what: it is called in the message.

    Raises:
        ExecutorError: if it cannot be pickled.
    """
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # what is in it may raise anything
        raise not_picklable(what, error) from error


def not_picklable(what: str, error: Exception) -> ExecutorError:
    """The error of something that cannot be sent to a worker."""
    return ExecutorError(
        f"{what} cannot be sent to another process: {sentence_of(error)}.",
        remedy="Make it a picklable value, or use the inline executor.",
    )
