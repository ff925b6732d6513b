"""Studies as plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from npu_tune.numerals import format_cost, format_ratio, format_value
from npu_tune.report.documents import trial_counts
from npu_tune.report.explain import explain_from_records
from npu_tune.report.failures import failure_counts
from npu_tune.report.layers import LayerChange, layer_changes
from npu_tune.report.numbers import cost_error, metric_value, of_baseline
from npu_tune.report.optimum import bound_cells
from npu_tune.report.pick import knee
from npu_tune.report.polished import polished_line
from npu_tune.report.predictions import predictions_line
from npu_tune.report.references import Reference, compare_with_references, stated_metrics
from npu_tune.report.sections.text import section_text
from npu_tune.report.sections.why import changes_section, layers_section
from npu_tune.report.stretches import runs_line
from npu_tune.report.tables import UNBROKEN, filled, fits, table
from npu_tune.report.verdict import beats_line, cheaper_lines, in_return_line, ties_line
from npu_tune.targets import Goal, Metric
from npu_tune.tuning.changes import values_text
from npu_tune.tuning.records import StudyResult, TrialRecord, missed_bound
from npu_tune.tuning.settings import SearchSettings

MOST_FRONT_ROWS = 20
MOST_FAILURES_SHOWN = 5
MOST_ROWS_OF_WHY = 8


def study_text(result: StudyResult, *, layers: bool = True) -> str:
    """The whole report of ``npu-tune show``: best, references, front, layers, failures."""
    sections = [filled(_heading(result))]
    if result.best is not None:
        sections += [_comparison(result, result.best), _front(result)]
        if layers:
            sections += [*_why(result), layers_text(result, result.best)]
    elif result.least_infeasible is not None:
        sections.append(filled(_least_infeasible(result, result.least_infeasible)))
    else:
        sections.append("Nothing has been evaluated yet.")
    sections.append(filled(_failures(result)))
    return "\n\n".join(section for section in sections if section)


def layers_text(result: StudyResult, trial: TrialRecord) -> str:
    """A table of the layers in which ``trial`` differs from the baseline."""
    rows = [row for row in layer_changes(result, trial) if row.is_change]
    if not rows:
        return f"Trial {trial.number} changes nothing in any layer."
    column, unit = result.profile.cost, result.profile.unit
    body = [
        [
            row.layer,
            values_text(row.changes),
            *(_value(value, unit) for value in (row.cost_before, row.cost_after)),
            _layer_ratio(row),
        ]
        for row in rows
    ]
    cost = column if unit in ("", column) else f"{column} in {unit}"
    title = f"Layers that trial {trial.number} changes ({cost}, {_kind(result, column)})"
    header = ["layer", "default -> chosen", "before", "after", "ratio"]
    rows_text = table(header, body, left=2, wrapped=(0, 1))
    return f"{title}\n{rows_text}"


def _why(result: StudyResult) -> Iterator[str]:
    """What the trials alone say of why the best is better."""
    explanation = explain_from_records(result)
    if explanation is None:
        return
    known = tuple(gain for gain in explanation.gains if gain.gain is not None)
    if known:
        changes = changes_section(replace(explanation, gains=known))
        shown = ("taken back", "cost without", "brings")
        yield section_text(changes, columns=shown, most_rows=MOST_ROWS_OF_WHY)
    if explanation.layers:
        costly = sorted(explanation.layers, key=lambda row: -row.share_after)
        layers = layers_section(replace(explanation, layers=tuple(costly)))
        of_layers = ("layer", "before", "after", "share", "bounded by")
        yield section_text(layers, columns=of_layers, most_rows=MOST_ROWS_OF_WHY)


def _heading(result: StudyResult) -> str:
    counts = trial_counts(result)
    planned = "" if counts["planned"] is None else f" of {counts['planned']} planned"
    objective = ", ".join(
        f"{weight:g} x {name}{_more_is_better(result, name)}"
        for name, weight in result.objective.weights.items()
    )
    limits = ", ".join(_limits(result))
    trials = f"{counts['finished']} evaluated, {counts['failed']} failed"
    cached = f"; {counts['cached']} out of the cache" if counts["cached"] else ""
    lines = [
        f"Study {result.name}: {result.model} on {result.target}",
        f"{trials}{planned}; {counts['duplicates']} duplicates{cached}",
        f"Objective: {objective}, each against the baseline" + (f"; {limits}" if limits else ""),
    ]
    if len(result.searches) > 1:
        lines.append(f"Proposed by {', '.join(map(_proposer, result.searches))}")
    if line := runs_line(result):
        lines.append(line)
    return "\n".join(lines)


def _proposer(search: SearchSettings) -> str:
    options = "".join(f", {name} = {value!r}" for name, value in search.options.items())
    return f"{search.sampler} (seed {search.seed}{options}) from trial {search.first_trial} on"


def _limits(result: StudyResult) -> Iterator[str]:
    for sign, bounds in (("<=", result.objective.limits), (">=", result.objective.floors)):
        for name, bound in bounds.items():
            yield f"{name} {sign} {format_value(bound, _unit(result, name))}"


def _more_is_better(result: StudyResult, name: str) -> str:
    return " (more is better)" if result.goals.get(name) == Goal.MAXIMIZE else ""


def _comparison(result: StudyResult, best: TrialRecord) -> str:
    references = compare_with_references(result, best)
    shown = [metric for metric in result.metrics if metric.name in best.metrics]
    body = [
        [
            metric.name,
            str(metric.kind),
            metric_value(result, best, metric.name),
            of_baseline(result, best, metric.name),
            *bound_cells(result, metric.name),
            *(_reference_value(result, row, metric) for row in references),
        ]
        for metric in shown
    ]
    error = cost_error(result, best)
    costs = [format_cost(row.cost, error=error) for row in references]
    cost = format_cost(best.cost, error=error)
    body.append(["cost", "", cost, "", *bound_cells(result, "cost"), *costs])
    header = [
        "metric",
        "kind",
        f"best (trial{UNBROKEN}{best.number})",
        "of baseline",
        *(["above the bound"] if result.gap else []),
    ]
    labels, legend = [row.label for row in references], ""
    if not fits([*header, *labels], body):
        labels, legend = _numbered(labels)
    parts = [
        table([*header, *labels], body, left=2),
        legend,
        _cost_line(best),
        beats_line(references, stated_metrics(result)),
        in_return_line(result, best),
        ties_line(result),
        *cheaper_lines(references, best),
        polished_line(result),
        predictions_line(result),
        "" if result.confidence is None else result.confidence.sentence,
        *result.notes,
        *best.notes,
    ]
    own_table, *lines = [part for part in parts if part]
    return "\n".join([own_table, *map(filled, lines)])


def _numbered(labels: Sequence[str]) -> tuple[list[str], str]:
    """Labels as numbers where they are long, and what the numbers stand for."""
    numbers = {label: f"[{n}]" for n, label in enumerate((x for x in labels if len(x) > 11), 1)}
    legend = [f"{number} {label}" for label, number in numbers.items()]
    return [numbers.get(label, label) for label in labels], "\n".join(legend)


def _reference_value(result: StudyResult, row: Reference, metric: Metric) -> str:
    value, error = row.metrics.get(metric.name), result.likely_spread.get(metric.name, 0.0)
    return "-" if value is None else format_value(value, metric.unit, error=error)


def _front(result: StudyResult) -> str:
    chosen = knee(result)
    names = list(result.objective.weights)
    stated = [name for name in stated_metrics(result) if name not in names]
    shown = _thinned(result.front, chosen)
    body = [
        [
            str(trial.number),
            *(cell for name in names for cell in _against(result, trial, name)),
            *(metric_value(result, trial, name) for name in stated),
            format_cost(trial.cost, error=cost_error(result, trial)),
            *([] if result.deterministic else [str(trial.samples)]),
            _mark(result, trial, chosen),
        ]
        for trial in shown
    ]
    ratios = [*(cell for name in names for cell in (name, "ratio")), *stated]
    samples = [] if result.deterministic else ["evaluations"]
    text = table(["trial", *ratios, "cost", *samples, ""], body)
    left_out = len(result.front) - len(shown)
    more = f"\n({left_out} more; --json has them all)" if left_out else ""
    return f"Front ({len(result.front)} trials; ratios are to the baseline)\n{text}{more}"


def _thinned(front: Sequence[TrialRecord], keep: TrialRecord) -> list[TrialRecord]:
    """At most MOST_FRONT_ROWS trials, evenly spread, the ends and ``keep`` among them."""
    if len(front) <= MOST_FRONT_ROWS:
        return list(front)
    last = len(front) - 1
    kept = {round(i * last / (MOST_FRONT_ROWS - 2)) for i in range(MOST_FRONT_ROWS - 1)}
    return [trial for i, trial in enumerate(front) if i in kept or trial is keep]


def _mark(result: StudyResult, trial: TrialRecord, chosen: TrialRecord) -> str:
    marks = [
        word
        for word, marked in (
            ("best", result.best),
            ("knee", chosen),
            ("baseline", result.baseline),
        )
        if marked is trial
    ]
    return ", ".join(marks)


def _against(result: StudyResult, trial: TrialRecord, name: str) -> Iterator[str]:
    yield metric_value(result, trial, name)
    yield of_baseline(result, trial, name)


def _least_infeasible(result: StudyResult, trial: TrialRecord) -> str:
    lines = [f"No trial meets the limits; trial {trial.number} comes closest:"]
    for name, beyond in trial.violations.items():
        if beyond > 0:
            unit, value = _unit(result, name), trial.metrics[name]
            side = "above" if value > missed_bound(result, trial, name) else "below"
            lines.append(
                f"  {name} is {format_value(value, unit)}, {format_value(beyond, unit)} {side} "
                "the limit"
            )
    return "\n".join(lines)


def _failures(result: StudyResult) -> str:
    counts = failure_counts(result)
    if not counts:
        return ""
    lines = [f"Failures ({sum(each.trials for each in counts)} trials)"]
    lines += [
        f"  {each.trials} x {each.failure}, first in trial {each.first}: {each.message}"
        for each in counts[:MOST_FAILURES_SHOWN]
    ]
    if len(counts) > MOST_FAILURES_SHOWN:
        lines.append(
            f"  ({len(counts) - MOST_FAILURES_SHOWN} other messages; --json has them all)"
        )
    return "\n".join(lines)


def _metric(result: StudyResult, name: str) -> Metric | None:
    return next((metric for metric in result.metrics if metric.name == name), None)


def _unit(result: StudyResult, name: str) -> str:
    metric = _metric(result, name)
    return "" if metric is None else metric.unit


def _kind(result: StudyResult, column: str) -> str:
    """The kind of a profile's column: of the metric of that name, or else of what is optimised."""
    metric = _metric(result, column) or _metric(result, next(iter(result.objective.weights)))
    return "of unknown kind" if metric is None else str(metric.kind)


def _value(value: float | None, unit: str = "") -> str:
    return "-" if value is None else format_value(value, unit)


def _cost_line(trial: TrialRecord) -> str:
    """Where evaluations differ, the cost with its 99 % interval and what it rests on."""
    if trial.cost is None or trial.cost_interval is None:
        return ""
    low, high = trial.cost_interval
    interval = f"{low:.3f} to {high:.3f}" if math.isfinite(high) else "no interval yet"
    evaluations = "1 evaluation" if trial.samples == 1 else f"{trial.samples} evaluations"
    return f"Cost {trial.cost:.3f} ({interval}, {evaluations})."


def _layer_ratio(row: LayerChange) -> str:
    if row.cost_before is None or row.cost_after is None:
        return "-"
    return format_ratio(row.cost_after, row.cost_before)
