"""How a study stands, in a line and as a JSON document."""

from __future__ import annotations

from pathlib import Path

from npu_tune.numerals import format_cost
from npu_tune.report.documents import Document, trial_document
from npu_tune.report.numbers import cost_error, metric_value, of_baseline
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.watching import State, StudyStatus


def best_line(result: StudyResult) -> str:
    """The best so far: trial, cost and what is optimised; "" where there is none."""
    best = result.best
    if best is None or best.cost is None:
        return ""
    parts = [
        f"{name} {metric_value(result, best, name)} ({of_baseline(result, best, name)})"
        for name in result.objective.weights
    ]
    cost = format_cost(best.cost, error=cost_error(result, best))
    return f"Best so far: trial {best.number}, cost {cost}: {', '.join(parts)}"


def status_document(status: StudyStatus, *, folder: Path) -> Document:
    """What ``watch`` prints."""
    result, progress = status.result, status.progress
    best, is_running = result.best, status.state is State.RUNNING
    return {
        "study": {"name": result.name, "folder": str(folder)},
        "state": str(status.state),
        "stopped": result.stopped,
        "phase": str(progress.phase) if is_running else None,
        "drivers": progress.drivers,
        "trials": {
            "finished": progress.finished,
            "failed": progress.failed,
            "duplicates": progress.duplicates,
            "cached": progress.cached,
            "planned": progress.planned,
        },
        "best": None if best is None else trial_document(result, best),
        "front_size": progress.front_size,
        "trials_per_second": progress.trials_per_second,
        "elapsed_s": progress.elapsed_s,
        "time_left_s": progress.time_left_s,
    }
