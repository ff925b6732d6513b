"""Why the best is better: what each change brings, where the time goes, what lies in memory."""

from __future__ import annotations

from npu_tune.report.explain import ChangeGain, Explanation, LayerCost, cost_in_words
from npu_tune.report.sections.cells import change_cell, number_cell, value_text
from npu_tune.report.sections.model import Cell, Passage, ReportTable, said
from npu_tune.targets import Goal
from npu_tune.tuning.changes import values_text

_MOST_FALLEN = 3


def changes_section(explanation: Explanation) -> Passage:
    """What the changes bring, together and each by itself."""
    gains, cost = explanation.gains, explanation.trial.cost or 0.0
    if not gains:
        return Passage(
            "changes", "What each change brings", ("Nothing differs from the default.",)
        )
    singles = explanation.trial.changes(explanation.result.default)
    leading = [f"{gain.label} ({_points(gain)})" for gain in explanation.leading]
    unknown, measured = explanation.unknown_gains, not explanation.result.deterministic
    sentences = said(
        f"What matters most: {', '.join(leading)}." if leading else "",
        f"{singles} changes from the default bring the cost to {cost:.4f}. Each row takes back some "
        "and leaves the others.",
        f"{unknown} rows were never asked; `npu-tune report` with a longer --evaluate asks for those "
        "too."
        if unknown and not measured and not explanation.shortfall
        else "",
        "What the study did not measure is not measured for a report." if measured else "",
        explanation.shortfall,
    )
    columns = ("taken back", "default", "chosen", "cost without", "brings", "with it falls")
    rows = tuple(_change_row(gain) for gain in gains)
    return Passage("changes", "What each change brings", sentences, ReportTable(columns, rows))


def layers_section(explanation: Explanation) -> Passage:
    """Where the time goes."""
    rows, schema = explanation.layers, explanation.result.profile
    if not rows:
        return Passage("layers", "Where the time goes", ("The target does not tell.",))
    whole = cost_in_words(schema)
    has_causes = any(row.cause_before or row.cause_after for row in rows)
    columns = (
        "layer", "before", "after", "change", "share", *(["bounded by"] if has_causes else []),
        "changes",
    )  # fmt: skip
    table = ReportTable(
        columns,
        tuple(_layer_row(row, has_causes=has_causes) for row in rows),
        tuple(row.layer for row in rows),
    )
    unit = f", in {schema.unit}" if schema.unit else ""
    return Passage("layers", f"Where {whole} goes{unit}", explanation.advice, table)


def memory_section(explanation: Explanation) -> Passage | None:
    """What lies in memory, and what makes the peak."""
    before, after = explanation.memory_before, explanation.memory_after
    if before is None or after is None:
        return None
    pools = tuple(dict.fromkeys((*before.pools, *after.pools)))
    rows = []
    for pool in pools:
        was, now = before.used_bytes(pool), after.used_bytes(pool)
        capacity = after.capacities.get(pool)
        rows.append(
            (
                Cell(pool),
                number_cell(was, "bytes"),
                number_cell(now, "bytes"),
                change_cell(was, now, Goal.MINIMIZE),
                number_cell(capacity, "bytes"),
            )
        )
    table = ReportTable(("pool", "before", "after", "change", "size"), tuple(rows))
    return Passage(
        "memory", "Memory over time", tuple(peak.sentence for peak in explanation.peaks), table
    )


def _change_row(gain: ChangeGain) -> tuple[Cell, ...]:
    without = "not asked" if gain.cost_without is None else f"{gain.cost_without:.4f}"
    if gain.obstacle:
        without = gain.obstacle
    fallen = ", ".join(gain.also[:_MOST_FALLEN])
    more = len(gain.also) - _MOST_FALLEN
    return (
        Cell(gain.label, layer=gain.layer),
        Cell(value_text(gain.before)),
        Cell(value_text(gain.after)),
        Cell(without, gain.cost_without),
        Cell(_points(gain), gain.gain, tone="better" if (gain.gain or 0.0) > 0 else ""),
        Cell(fallen + (f" and {more} more" if more > 0 else "")),
    )


def _points(gain: ChangeGain) -> str:
    """A gain as points of cost, of which the default has 100."""
    return "-" if gain.gain is None else f"{100 * gain.gain:.2f}"


def _layer_row(row: LayerCost, *, has_causes: bool) -> tuple[Cell, ...]:
    causes = dict.fromkeys(filter(None, (row.cause_before, row.cause_after)))
    return (
        Cell(row.layer),
        number_cell(row.before, ""),
        number_cell(row.after, ""),
        change_cell(row.before, row.after, Goal.MINIMIZE),
        Cell(f"{row.share_after:.1%}", row.share_after),
        *([Cell(" -> ".join(causes))] if has_causes else []),
        Cell(values_text(row.changes)),
    )
