"""The onnxruntime package, which keeps to itself what it is used for."""

from __future__ import annotations

import os
from typing import Any

from npu_tune.errors import MissingExtraError

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}
"""Of the environment. Otherwise onnxruntime, from 1.31 on, writes a database of its use into the
home folder while it is imported, and starts threads that send it."""


def import_onnxruntime(purpose: str, *, extra: str) -> Any:
    """Imports onnxruntime.

    Args:
        purpose: what needs it, as the subject of a sentence.
        extra: of this package, that brings it.

    Raises:
        MissingExtraError: if it is not installed.
    """
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)
    try:
        import onnxruntime  # noqa: PLC0415 - an optional dependency, slow to import
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs onnxruntime, which is not installed.",
            remedy=f"Install it with: pip install 'npu-tune[{extra}]'",
        ) from error
    return onnxruntime
