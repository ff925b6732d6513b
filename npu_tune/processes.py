"""Processes, and how they end."""

from __future__ import annotations

import contextlib
import signal


def describe_exit(status: int) -> str:
    """What an exit status says, such as ``killed by SIGSEGV``."""
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
