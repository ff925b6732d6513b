"""The process that runs somebody's programs one after the other, and ends what they leave behind.

One is started by :class:`npu_tune.processes.programs.ProgramRunner`. It is made the parent of every
process that its programs leave (``PR_SET_CHILD_SUBREAPER`` in prctl(2)), whatever they have done to
get away, so that nothing of one program disturbs the next. It ends with who started it.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

from npu_tune.processes.guard import become_subreaper, end_family, end_with_parent
from npu_tune.processes.programs import Program, ProgramEnd, Stopped

_LOOK_S = 0.05
"""How often what a program prints is looked at."""


def main() -> None:
    """Runs what comes over the socket until the other side closes it."""
    become_subreaper()
    connection = Connection(int(sys.argv[1]))
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(_run(connection.recv(), connection))
    end_family(os.getpid())


def _run(program: Program, connection: Connection) -> ProgramEnd:
    """Runs a program until it ends, takes too long, prints too much, or nobody waits for it."""
    started = time.perf_counter()
    with (
        program.input.open("rb") as given,
        program.output.open("wb") as output,
        program.errors.open("wb") as errors,
    ):
        try:
            process = subprocess.Popen(
                program.argv,
                cwd=program.folder,
                env=dict(program.environment),
                stdin=given,
                stdout=output,
                stderr=errors,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        except (OSError, ValueError) as error:  # a null byte is a ValueError
            said = error.strerror if isinstance(error, OSError) else str(error)
            return ProgramEnd(refused=said or str(error))
        stopped = _wait(process, program, (output, errors), connection)
        if stopped:
            end_family(os.getpid())
    status = process.wait()
    left = 0 if stopped else _end_children()
    return ProgramEnd(status, stopped, left, seconds=time.perf_counter() - started)


def _wait(
    process: subprocess.Popen[bytes],
    program: Program,
    printed: tuple[BinaryIO, BinaryIO],
    connection: Connection,
) -> Stopped:
    """Waits for a program; why it has to be ended, "" where it has ended by itself."""
    deadline = time.monotonic() + program.time_limit_s
    poll = select.poll()
    descriptor = _process_descriptor(process.pid)
    if descriptor is not None:
        poll.register(descriptor, select.POLLIN)
    poll.register(connection.fileno(), select.POLLHUP)
    look_s = _LOOK_S if descriptor is not None else 0.002
    try:
        while process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return "late"
            for number, _ in poll.poll(min(left, look_s) * 1000):
                if number == connection.fileno():
                    return "unwanted"
            if any(os.fstat(file.fileno()).st_size > program.most_bytes for file in printed):
                return "loud"
        return ""
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _process_descriptor(pid: int) -> int | None:
    """Becomes readable when the process has ended; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _end_children() -> int:
    """Ends what a program has left behind; returns how many processes that were."""
    left = [child for child in _children() if not _has_ended(child)]
    if left:
        end_family(os.getpid())
    return len(left)


def _children() -> list[int]:
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    except OSError:  # a kernel without the list; the guard of a worker ends what is left
        return []
    return [int(word) for word in listed.split()]


def _has_ended(child: int) -> bool:
    """True for a child that is dead, which is let go of."""
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True
