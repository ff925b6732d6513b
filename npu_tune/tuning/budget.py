"""How much a study may evaluate."""

from __future__ import annotations

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
