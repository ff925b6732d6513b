"""How an evaluation ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from npu_tune.errors import EvaluationError
from npu_tune.targets import Evaluation


@dataclass(frozen=True, slots=True)
class Outcome:
    """An evaluation, or the failure in its place.

    Args:
        evaluation: what the target reported; None where it failed.
        error: why it failed; None where it did not.
        seconds: what it took; 0 where it was known already.
        cached: True where it was found in a store, and not evaluated.
    """

    evaluation: Evaluation | None
    error: EvaluationError | None
    seconds: float = 0.0
    cached: bool = field(default=False, compare=False)

    @classmethod
    def failed(cls, error: EvaluationError, *, seconds: float = 0.0) -> Outcome:
        """The outcome of an evaluation that failed."""
        return cls(None, error, seconds)
