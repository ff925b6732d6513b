"""Outcomes as the bytes that a store keeps, and back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from npu_tune.errors import (
    FAILURES,
    CompilerCrashError,
    CompilerMemoryError,
    CompilerTimeoutError,
    EvaluationError,
    WorkerLostError,
)
from npu_tune.evaluation.outcome import Outcome
from npu_tune.space import Value
from npu_tune.targets import Evaluation
from npu_tune.targets.profiles import pack_profile, unpack_profile

_NOT_A_VERDICT = (WorkerLostError, CompilerCrashError, CompilerMemoryError, CompilerTimeoutError)
"""What may be the machine's fault counts in the search that saw it, never for others."""


@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """An outcome with all that a store keeps of it.

    Args:
        key: of the configuration.
        outcome: of its evaluation.
        sample: which evaluation of the configuration it is, from 0.
        changes: of the configuration against the default, by which it can be evaluated again.
    """

    key: str
    outcome: Outcome
    sample: int = 0
    changes: Mapping[str, Value] = field(default_factory=dict)


def is_verdict(outcome: Outcome) -> bool:
    """False for what says nothing about the configuration."""
    return not isinstance(outcome.error, _NOT_A_VERDICT)


def says_more(outcome: Outcome, known: Outcome) -> bool:
    """True where one evaluation has all metrics of another, and more."""
    if outcome.evaluation is None or known.evaluation is None:
        return False
    return outcome.evaluation.metrics.keys() > known.evaluation.metrics.keys()


def pack_outcome(row: StoredOutcome) -> bytes:
    """An outcome and its changes as compressed JSON."""
    error, evaluation = row.outcome.error, row.outcome.evaluation
    if error is not None or evaluation is None:
        error = error or EvaluationError("The target gave no answer.")
        document: list[Any] = [error.failure, error.message, error.remedy]
    else:
        document = [
            dict(evaluation.metrics),
            pack_profile(evaluation.profile),
            list(evaluation.notes),
            dict(evaluation.spread),
        ]
    whole = [dict(row.changes), *document]
    return zlib.compress(json.dumps(whole, separators=(",", ":")).encode(), 1)


def unpack_outcome(key: str, sample: int, blob: bytes) -> StoredOutcome:
    """The reverse of :func:`pack_outcome`.

    Raises:
        ValueError, LookupError, TypeError, zlib.error: if the bytes are no such thing.
    """
    changes, first, second, third, *rest = json.loads(zlib.decompress(blob))
    if isinstance(first, str):
        error = FAILURES.get(first, EvaluationError)(second, remedy=third)
        outcome = Outcome(None, error, cached=True)
    else:
        evaluation = Evaluation(first, unpack_profile(second), tuple(third), *rest)
        outcome = Outcome(evaluation, None, cached=True)
    return StoredOutcome(key, outcome, sample, changes)


def checksum(key: str, sample: int, machine: str, blob: bytes) -> int:
    """A CRC-32 of a whole row, so that a row under another's key is noticed as well."""
    return zlib.crc32(blob, zlib.crc32(f"{key} {sample} {machine}".encode()))
