"""Ends of a command that are no mistake of a library's caller."""

from __future__ import annotations

from npu_tune.errors import NpuTuneError


class InterruptError(NpuTuneError):
    """A person pressed Ctrl-C."""

    exit_code = 130


class InternalError(NpuTuneError):
    """A mistake in npu-tune itself."""

    exit_code = 1
