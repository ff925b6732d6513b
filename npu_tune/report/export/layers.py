"""``layers.csv``: every layer before and after, with what bounds it and what was changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from npu_tune.report.layer_figures import LayerFigures, layer_figures
from npu_tune.tuning.records import StudyResult, TrialRecord


def layers_csv(result: StudyResult, trial: TrialRecord) -> str:
    """One row per layer, in execution order, as CSV.

    Columns are ``layer``, ``changes`` (``knob: before -> after``, several by semicolons), and in
    pairs, ``..._before`` for the baseline and ``..._after`` for the trial: every column of the
    profile, the cost first; ``share``, of the cost of all layers; ``bound_by``, the part of the
    hardware that bounds the layer, where the target can tell. What a profile lacks is empty.

    Args:
        result: of the study.
        trial: what was built.
    """
    figures = layer_figures(result, trial)
    columns = _columns(result.profile.cost, figures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = [f"{name}_{when}" for name in columns for when in ("before", "after")]
    writer.writerow(["layer", "changes", *header])
    writer.writerows(_row(each, columns) for each in figures)
    return text.getvalue()


def _columns(cost: str, figures: Iterable[LayerFigures]) -> list[str]:
    """The columns of both profiles, the cost first, and what is worked out of them."""
    rows = [state.row for each in figures for state in (each.before, each.after)]
    found = dict.fromkeys(column for row in rows for column in row)
    return [
        *(name for name in dict.fromkeys([cost, *found]) if name in found),
        "share",
        "bound_by",
    ]


def _row(figures: LayerFigures, columns: Iterable[str]) -> list[str]:
    cells = [
        {
            **{name: _number(value) for name, value in state.row.items()},
            "share": "" if state.share is None else _number(round(state.share, 6)),
            "bound_by": state.bound_by,
        }
        for state in (figures.before, figures.after)
    ]
    changes = figures.change.changes.items()
    changed = "; ".join(f"{knob}: {before} -> {after}" for knob, (before, after) in changes)
    values = [cell.get(name, "") for name in columns for cell in cells]
    return [figures.change.layer, changed, *values]


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
