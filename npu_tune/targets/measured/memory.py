"""The peak memory of this process, by what Linux counts of it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""Sets the peak to what is resident now (proc(5), clear_refs)."""


class PeakMemory:
    """Peaks above what the process held when this was made.

    Whatever the process has freed before and not given back would hide the first growth, so that
    it is given back beforehand. Pages of files are left out: those of a library's code come back
    one by one after a fork, and are no part of what a network needs.
    """

    def __init__(self) -> None:
        give_back()
        self._before, self._files_before = _resident("VmRSS"), _resident("RssFile")
        self.restart()

    def restart(self) -> None:
        """Forgets the peak so far, where that is permitted; else it is that of the whole life.

        The life of a process begins with its fork, so that this is a little too much at worst.
        """
        with contextlib.suppress(OSError):
            _CLEAR.write_text(_RESET_PEAK, encoding="ascii")

    def read(self) -> int:
        """Bytes of the peak since the last restart, above what was held at first."""
        files = _resident("RssFile") - self._files_before
        return max(_resident("VmHWM") - self._before - max(files, 0), 0)


def give_back() -> None:
    """Gives what was freed back to the operating system, as far as the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


def _resident(field: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{_STATUS} has no {field}")
