"""Choices that every library has."""

from __future__ import annotations

from collections.abc import Sequence

from npu_tune.space import NETWORK_SCOPE, Knob

THREADS = f"{NETWORK_SCOPE}/threads"
PRECISION, RANGE = "precision", "range"


def thread_knobs(threads: Sequence[int]) -> list[Knob]:
    """The choice of threads, where there is any."""
    if len(threads) == 1:
        return []
    return [
        Knob(
            NETWORK_SCOPE,
            "threads",
            tuple(threads),
            threads[0],
            ordered=True,
            description="threads of an inference",
        )
    ]
