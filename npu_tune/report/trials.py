"""Every trial of a study as a table: metrics and changes in columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.files import storage_errors, whole_file
from npu_tune.numerals import format_cost
from npu_tune.report.documents import Document, metric_document, trial_document
from npu_tune.report.numbers import cost_error, metric_value
from npu_tune.report.origin import FileOrigin, write_beside
from npu_tune.report.tables import table
from npu_tune.tuning.records import StudyResult, TrialRecord

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS_SHOWN = 50


def trials_frame(result: StudyResult) -> pd.DataFrame:
    """One row per trial, with a column per metric, and one per knob that any trial has changed."""
    changed = _changed_knobs(result)
    frame = result.to_dataframe().drop(columns="changes", errors="ignore")
    for name in changed:
        frame[name] = [trial.configuration[name] for trial in result.trials]
    return frame


def trials_document(result: StudyResult, *, folder: Path) -> Document:
    """Every trial as in other documents, and the metrics that they report."""
    return {
        "study": {"name": result.name, "folder": str(folder)},
        "metrics": [metric_document(metric) for metric in result.metrics],
        "trials": [
            {
                **trial_document(result, trial),
                "failure": trial.failure,
                "message": trial.message,
                "duplicate_of": trial.duplicate_of,
            }
            for trial in result.trials
        ],
    }


def trials_text(result: StudyResult) -> str:
    """The last trials with the objective's metrics, for a look in the terminal."""
    shown = result.trials[-MOST_ROWS_SHOWN:]
    objective = [metric for metric in result.metrics if metric.name in result.objective.weights]
    header = ["trial", "origin", *(metric.name for metric in objective), "cost", "changes"]
    rows = [
        [
            str(trial.number),
            trial.origin,
            *(_cell(result, trial, metric.name) for metric in objective),
            _outcome(result, trial),
            str(trial.changes(result.default)),
        ]
        for trial in shown
    ]
    left_out = len(result.trials) - len(shown)
    more = (
        f"\n{left_out} earlier trials are left out; --csv FILE has all of them."
        if left_out
        else ""
    )
    return table(header, rows, left=2, wrapped=(1,)) + more


def write_trials(result: StudyResult, path: Path, *, as_parquet: bool, origin: FileOrigin) -> None:
    """Writes :func:`trials_frame` as CSV or Parquet, and where the file comes from.

    Parquet holds that itself; pandas reads it as ``attrs``. Beside a CSV file it stands in one of
    its own, as remarks in it would be taken for rows.

    Args:
        result: of the study.
        path: of the file.
        as_parquet: rather than CSV.
        origin: of the file.

    Raises:
        StorageError: if it cannot be written.
    """
    frame = trials_frame(result)
    with storage_errors("The file", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            if as_parquet:
                typed = _of_one_type(frame)
                typed.attrs = {"npu-tune": origin.to_dict()}
                typed.to_parquet(partial, index=False)
            else:
                frame.to_csv(partial, index=False)
        if not as_parquet:
            write_beside(path, origin)


def _changed_knobs(result: StudyResult) -> list[str]:
    """Names of the knobs that stand at their default in some trials only, in the space's order."""
    changed = {
        name for trial in result.trials for name in trial.configuration.difference(result.default)
    }
    return [name for name in result.default if name in changed]


def _of_one_type(frame: pd.DataFrame) -> pd.DataFrame:
    """With text in place of values of several types, which a Parquet column cannot hold."""

    def is_mixed(column: Any) -> bool:
        return len({type(value) for value in column if value is not None}) > 1

    mixed = [name for name in frame if frame[name].dtype == object and is_mixed(frame[name])]
    return frame.astype(dict.fromkeys(mixed, str))


def _cell(result: StudyResult, trial: TrialRecord, name: str) -> str:
    return metric_value(result, trial, name) if name in trial.metrics else "-"


def _outcome(result: StudyResult, trial: TrialRecord) -> str:
    """The cost, or why there is none."""
    if trial.failure is not None:
        return trial.failure
    if trial.duplicate_of is not None:
        return f"as {trial.duplicate_of}"
    cost = format_cost(trial.cost, error=cost_error(result, trial))
    return cost if trial.feasible or trial.cost is None else f"{cost} (misses a limit)"
