"""Stands between this process and a program that it starts, so that nothing of it lives on.

A worker may be deep in a compiler when it is ended, crashes, or loses its parent to SIGKILL, and
the compiler may have started programs that have left their process group and their parent. A guard
is made their parent by Linux (``PR_SET_CHILD_SUBREAPER`` in prctl(2)) and so finds them all, whatever
they have done: it ends them as soon as the program has ended, or whoever asked for it has.

This file is also the guard's program, and imports Python's own modules only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

PATIENCE_S = 5.0
"""For processes to end that were sent SIGKILL; one that waits for a disk does so when it is done."""

LOOK_S = 1.0
"""How often a guard looks after its parent and its program where no signal wakes it."""

# Numbers of prctl(2), from linux/prctl.h.
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36


class Seen(NamedTuple):
    """A process as /proc showed it; its number may have come to mean another one since.

    Args:
        pid: its number.
        state: a letter; Z and X are dead.
        parent: number of its parent.
        session: number of its session, which stays that of the process that began it.
        started: clock ticks from the start of the machine to its own.
    """

    pid: int
    state: str
    parent: int
    session: int
    started: int


def end_family(root: int) -> None:
    """Ends all descendants of a process, the session that it began, and all descendants of that.

    Returns once they are dead; gives up after :data:`PATIENCE_S`. The process itself is left
    alone: as long as it has not been waited for, its number means no other process.

    Args:
        root: number of a process that has not been waited for.
    """
    deadline = time.monotonic() + PATIENCE_S
    while members := _family(root):
        for member in members:
            _kill(member)
        if root == os.getpid():
            _collect()
        if time.monotonic() > deadline:
            return
        time.sleep(0.002)


def _family(root: int) -> list[Seen]:
    """The living among the descendants of a process and of its session, without itself."""
    try:
        numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]  # noqa: PTH208
    except OSError:  # no /proc: what has left the group cannot be found
        with contextlib.suppress(OSError):
            os.killpg(root, signal.SIGKILL)
        return []
    seen = [process for number in numbers if (process := _look(number)) is not None]
    children: dict[int, list[int]] = {}
    for process in seen:
        children.setdefault(process.parent, []).append(process.pid)
    # Where the process has ended, its children are somebody else's, and only their session tells.
    found = {process.pid for process in seen if process.session == root}
    to_visit = [root, *found]
    while to_visit:
        offspring = children.get(to_visit.pop(), [])
        found.update(offspring)
        to_visit.extend(offspring)
    return [
        process
        for process in seen
        if process.pid in found and process.pid != root and process.state not in "ZX"
    ]


def _look(pid: int) -> Seen | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes a while to import
            content = file.read()
    except OSError:
        return None
    # Fields of proc_pid_stat(5) from the third on; the second, a name, may hold anything.
    fields = content[content.rindex(b")") + 2 :].split()
    return Seen(pid, fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def _kill(process: Seen) -> None:
    """Kills a process unless its number has come to mean another one."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    except OSError:  # an old kernel, or no descriptor left
        descriptor = -1
    # What the descriptor holds on to either is the one that was seen, or began later.
    now = _look(process.pid)
    with contextlib.suppress(OSError):
        if now is not None and now.started == process.started:
            if descriptor < 0:
                os.kill(process.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    if descriptor >= 0:
        os.close(descriptor)


def _collect() -> None:
    """Lets go of dead children."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Makes this process the parent of what its descendants leave behind, where there is such a thing."""
    with contextlib.suppress(AttributeError):  # not on Linux
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Has this process killed when the thread that has started it ends, where there is such a thing."""
    with contextlib.suppress(AttributeError):  # not on Linux
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _guard(parent: int, start: Callable[[], int], *, stop_s: float) -> int:
    """Starts a program, waits until it or the parent has ended, and ends what is left of it.

    Args:
        parent: number of the process that this one must not outlive.
        start: starts the program and returns its number.
        stop_s: how long the program may be stopped (SIGSTOP) before it is ended.

    Returns:
        The program's exit status as subprocess gives it; 0 where the parent has ended.
    """
    become_subreaper()
    # Sent when the thread that started this process ends: a reason to look, and no more.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGCHLD)
    child, status, stopped_at = start(), 0, None
    while os.getppid() == parent:
        pid, news = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if pid != child:
            if pid == 0:
                signal.sigtimedwait({signal.SIGCHLD}, LOOK_S)
        elif os.WIFSTOPPED(news):
            stopped_at = time.monotonic()
        elif os.WIFCONTINUED(news):
            stopped_at = None
        else:
            status = os.waitstatus_to_exitcode(news)
            break
        if stopped_at is not None and time.monotonic() - stopped_at > stop_s:
            os.kill(child, signal.SIGKILL)
    end_family(os.getpid())
    return status


def _fork(then: Callable[[], None], descriptors: list[int]) -> int:
    """Does something in a child; this process keeps none of the descriptors meant for it."""
    child = os.fork()
    if child == 0:
        try:
            then()
        finally:
            os._exit(127)
    for descriptor in descriptors:
        os.close(descriptor)
    return child


def _run(parent: int, command: list[str]) -> None:
    """Becomes the program, in a group of its own: what it does to its group is not for guards."""
    end_with_parent()
    if os.getppid() != parent:
        return
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.execv(command[0], command)  # noqa: S606 - there is no shell in it


def _leave(status: int, folder: str) -> None:
    """Ends as the program has ended, and takes its folder along."""
    if folder:
        import shutil  # noqa: PLC0415 - takes a while, and is not needed before

        shutil.rmtree(folder, ignore_errors=True)
    if status < 0:
        _prctl(_PR_SET_DUMPABLE, 0)  # there is nothing to be learnt from the core of a guard
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(max(status, 0))


def main() -> None:
    """Guards a program: parent, stop_s, folder, descriptors and the program from ``sys.argv``.

    There are two guards, one the child of the other, so that killing either leaves the other to
    end everything: Ray kills the children of a worker that ends, and their children not.
    """
    parent, stop_s, folder = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    descriptors, command = [int(word) for word in sys.argv[4].split(",") if word], sys.argv[5:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    outer = os.getpid()

    def guard_the_program() -> None:
        inner = os.getpid()
        status = _guard(
            outer, lambda: _fork(lambda: _run(inner, command), descriptors), stop_s=stop_s
        )
        _leave(status, folder)

    status = _guard(parent, lambda: _fork(guard_the_program, descriptors), stop_s=stop_s)
    _leave(status, folder)


if __name__ == "__main__":
    main()
