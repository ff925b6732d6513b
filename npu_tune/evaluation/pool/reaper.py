"""Ends the workers of a process that was killed.

A worker may be deep in a compiler, which may have started programs of its own, when its parent
is killed with SIGKILL. So a small process of its own waits for the parent's end, however that
comes to pass, and then ends the workers' process groups. This file is also its program, and
imports Python's own modules only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys


class Reaper:
    """Registers the process groups that must not outlive this process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # It leaves at once and lives on as nobody's child; see `main`.
        self._process.wait()

    def watch(self, group: int) -> None:
        """Ends this group when this process ends."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Stops watching a group that has ended; its number may come to mean another one."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """Ends the groups still watched, and the process that watched them, soon."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            # Without the reaper the workers still end as soon as they have answered.
            with contextlib.suppress(OSError):
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


def main() -> None:
    """Waits for the end of the parent, which is the end of standard input.

    It forks first, because Ray kills the children of a worker that ends, and their children not.
    """
    if os.fork() != 0:
        return
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
