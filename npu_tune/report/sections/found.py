"""What was found: the verdict, the front, how the search went, and what failed."""

from __future__ import annotations

from npu_tune.numerals import format_value
from npu_tune.report.documents import trial_counts
from npu_tune.report.failures import failure_counts
from npu_tune.report.optimum import bound_cells
from npu_tune.report.pick import knee
from npu_tune.report.polished import polished_line
from npu_tune.report.predictions import predictions_line
from npu_tune.report.references import compare_with_references, stated_metrics
from npu_tune.report.sections.cells import change_cell, number_cell, ratio_cell
from npu_tune.report.sections.model import Cell, Passage, ReportTable, said
from npu_tune.report.verdict import beats_line, cheaper_lines, in_return_line, ties_line
from npu_tune.targets import Goal
from npu_tune.tuning.records import StudyResult, TrialRecord


def verdict_section(result: StudyResult, trial: TrialRecord) -> Passage:
    """What a trial is like, against everything there is to beat."""
    baseline = result.baseline
    references = compare_with_references(result, trial)
    is_best = trial is result.best
    bounds = ["above the bound"] if result.gap and is_best else []
    columns = ("metric", "kind", "default", "chosen", "change", *bounds)
    rows = []
    for metric in result.metrics:
        if metric.name not in trial.metrics:
            continue
        after = trial.metrics[metric.name]
        before = None if baseline is None else baseline.metrics.get(metric.name)
        rows.append(
            (
                Cell(metric.name),
                Cell(str(metric.kind)),
                number_cell(before, metric.unit),
                number_cell(after, metric.unit),
                change_cell(before, after, result.goals.get(metric.name, "")),
                *(Cell(text) for text in bound_cells(result, metric.name) if is_best),
            )
        )
    cost = "-" if trial.cost is None else f"{trial.cost:.4f}"
    rows.append(
        (
            Cell("cost"),
            Cell(""),
            Cell("1.0000", 1.0),
            Cell(cost, trial.cost),
            change_cell(1.0, trial.cost, Goal.MINIMIZE),
            *(Cell(text) for text in bound_cells(result, "cost") if is_best),
        )
    )
    sentences = (
        _headline(result, trial),
        in_return_line(result, trial),
        beats_line(references, stated_metrics(result)),
        ties_line(result),
        *cheaper_lines(references, trial),
        polished_line(result),
        predictions_line(result),
        "" if result.confidence is None else result.confidence.sentence,
        *result.notes,
        *trial.notes,
    )
    return Passage("verdict", "Verdict", said(*sentences), ReportTable(columns, tuple(rows)))


def front_section(result: StudyResult) -> Passage | None:
    """The Pareto-optimal trials."""
    front = result.front
    if not front:
        return None
    chosen = knee(result)
    names = tuple(dict.fromkeys([*result.objective.weights, *stated_metrics(result)]))
    units = {metric.name: metric.unit for metric in result.metrics}
    baseline = {} if result.baseline is None else result.baseline.metrics
    rows = []
    for trial in front:
        marks = {"best": result.best, "knee": chosen, "baseline": result.baseline}
        metrics = [
            cell
            for name in names
            for cell in (
                number_cell(trial.metrics[name], units.get(name, "")),
                ratio_cell(trial.metrics[name], baseline.get(name, 0.0)),
            )
        ]
        rows.append(
            (
                Cell(str(trial.number), trial.number),
                *metrics,
                Cell("-" if trial.cost is None else f"{trial.cost:.4f}", trial.cost),
                Cell(", ".join(mark for mark, marked in marks.items() if marked is trial)),
            )
        )
    columns = ("trial", *(c for name in names for c in (name, "of default")), "cost", "")
    sentence = (
        "No trial is better than any of these in everything that is optimised. "
        "`npu-tune export --pick TRIAL` builds another one."
    )
    return Passage("front", "Front", (sentence,), ReportTable(columns, tuple(rows)))


def search_section(result: StudyResult) -> Passage:
    """How the search went."""
    counts = trial_counts(result)
    evaluated, failed = counts["finished"] + counts["failed"], counts["failed"]
    seconds = sum(trial.seconds for trial in result.trials if trial.duplicate_of is None)
    sentences = [f"{evaluated} evaluations, {failed} failed, in {seconds:,.0f} seconds of work."]
    if counts["cached"]:
        sentences.append(f"{counts['cached']} of them came out of the cache.")
    best = result.best
    if best is not None:
        sentences.append(f"The best is trial {best.number}, by {best.origin}.")
    return Passage("search", "The search", tuple(sentences))


def failures_section(result: StudyResult) -> Passage | None:
    """What failed, by what was said."""
    counts = failure_counts(result)
    if not counts:
        return None
    rows = tuple(
        (
            Cell(each.failure),
            Cell(str(each.trials), each.trials),
            Cell(str(each.first), each.first),
            Cell(each.message),
        )
        for each in counts
    )
    table = ReportTable(("failure", "trials", "first trial", "message"), rows)
    return Passage("failures", "Failures", (), table)


def _headline(result: StudyResult, best: TrialRecord) -> str:
    baseline = {} if result.baseline is None else result.baseline.metrics
    units = {metric.name: metric.unit for metric in result.metrics}
    parts = [
        f"{name} {format_value(baseline[name], units.get(name, ''))} -> "
        f"{format_value(best.metrics[name], units.get(name, ''))}"
        for name in result.objective.weights
        if name in baseline and name in best.metrics
    ]
    return f"{result.model} on {result.target}: {', '.join(parts)}."
