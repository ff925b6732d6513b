"""Processes, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from pathlib import Path

SHARED_TMPDIR = "NPU_TUNE_SHARED_TMPDIR"
"""Variable of a worker's environment: the temporary folder of the program that started it."""


def shared_temporary_folder() -> Path:
    """Where programs of this machine meet; a worker's own temporary folder ends with it."""
    return Path(os.environ.get(SHARED_TMPDIR) or tempfile.gettempdir())


def describe_exit(status: int) -> str:
    """What an exit status says, such as ``killed by SIGSEGV``."""
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
