"""How much a study may evaluate."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """When a study ends.

    Args:
        evaluations: configurations evaluated, in all runs of the study; None for any number.
            Failed ones count, even those refused without a compilation: otherwise a study whose
            every proposal is illegal would never end.
        duplicates_in_a_row: proposals without a new configuration among them.
    """

    evaluations: int | None
    duplicates_in_a_row: int

    @property
    def most(self) -> float:
        """Evaluations that there may be; infinity for any number."""
        return math.inf if self.evaluations is None else self.evaluations

    def left(self, started: int) -> int | None:
        """Evaluations that may still be started after so many; None for any number."""
        return None if self.evaluations is None else max(self.evaluations - started, 0)
