"""How a study stands, in a line and as a JSON document."""

from __future__ import annotations

from pathlib import Path

from npu_tune.report.documents import Document, trial_document
from npu_tune.report.tables import format_ratio, format_value
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.watching import State, StudyStatus


def best_line(result: StudyResult) -> str:
    """The best so far: trial, cost and what is optimised; "" where there is none."""
    best = result.best
    if best is None or best.cost is None:
        return ""
    units = {metric.name: metric.unit for metric in result.metrics}
    baseline = {} if result.baseline is None else result.baseline.metrics
    parts = [
        f"{name} {format_value(best.metrics[name], units.get(name, ''))} "
        f"({format_ratio(best.metrics[name], baseline.get(name, 0.0))})"
        for name in result.objective.weights
    ]
    return f"Best so far: trial {best.number}, cost {best.cost:.4f}: {', '.join(parts)}"


def status_document(status: StudyStatus, *, folder: Path) -> Document:
    """What ``watch`` prints."""
    result, progress = status.result, status.progress
    best, is_running = result.best, status.state is State.RUNNING
    return {
        "study": {"name": result.name, "folder": str(folder)},
        "state": str(status.state),
        "stopped": result.stopped,
        "phase": str(progress.phase) if is_running else None,
        "trials": {
            "finished": progress.finished,
            "failed": progress.failed,
            "duplicates": progress.duplicates,
            "planned": progress.planned,
        },
        "best": None if best is None else trial_document(result, best),
        "front_size": progress.front_size,
        "trials_per_second": progress.trials_per_second,
        "elapsed_s": progress.elapsed_s,
        "time_left_s": progress.time_left_s,
    }
