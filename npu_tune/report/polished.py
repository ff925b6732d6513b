"""What polishing took back, in words and as JSON."""

from __future__ import annotations

from typing import Any

from npu_tune.tuning.records import StudyResult


def polished_line(result: StudyResult) -> str:
    """One sentence on the changes that polishing took back; "" where there was none."""
    found = result.polished
    if found is None:
        return ""
    before, after = found.before, found.after
    spent = "1 evaluation" if found.evaluations == 1 else f"{found.evaluations} evaluations"
    return (
        f"Polished in {spent}: {found.changes_before} -> {found.changes_after} changes from the "
        f"default, cost {before.cost:.4f} -> {after.cost:.4f} (trial {before.number} -> "
        f"{after.number})."
    )


def polished_document(result: StudyResult) -> dict[str, Any] | None:
    """The same for programs; None where there was none."""
    found = result.polished
    if found is None:
        return None
    moments = {
        "before": (found.before, found.changes_before),
        "after": (found.after, found.changes_after),
    }
    return {
        "evaluations": found.evaluations,
        **{
            moment: {"trial": trial.number, "cost": trial.cost, "changes": changes}
            for moment, (trial, changes) in moments.items()
        },
    }
