"""What is left of programs that were killed."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from npu_tune.processes.guard import _family, _look

PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def adopted_orphans() -> Iterator[Callable[[], list[str]]]:
    """Makes this process the parent of everything that its programs leave behind.

    Yields:
        A function that lists the programs of all that run now and did not before.
    """

    def running() -> set[int]:
        return {process.pid for process in _family(os.getpid())}

    def left() -> list[str]:
        commands = []
        for pid in running() - before:
            with contextlib.suppress(OSError):
                commands.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        return commands

    prctl = ctypes.CDLL(None).prctl
    before = running()
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield left
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        _collect(but=before)


def _collect(but: set[int]) -> None:
    """Lets go of dead orphans."""
    for entry in Path("/proc").iterdir():
        process = _look(int(entry.name)) if entry.name.isdecimal() else None
        if process is None or process.pid in but or process.parent != os.getpid():
            continue
        if process.state == "Z":
            os.waitpid(process.pid, os.WNOHANG)
