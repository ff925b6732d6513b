"""Studies as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from npu_tune.report.documents import trial_counts
from npu_tune.report.layers import LayerChange, layer_changes
from npu_tune.report.pick import knee
from npu_tune.report.tables import format_figure, format_ratio, table
from npu_tune.report.yardsticks import Yardstick, compare_with_yardsticks, stated_metrics
from npu_tune.space import Value
from npu_tune.targets import Metric
from npu_tune.tuning.records import StudyResult, TrialRecord

MOST_FRONT_ROWS = 20
MOST_FAILURES_SHOWN = 5


def study_text(result: StudyResult, *, layers: bool = True) -> str:
    """The whole report of ``npu-tune show``: best, yardsticks, front, layers, failures."""
    sections = [_heading(result)]
    if result.best is not None:
        sections += [_comparison(result, result.best), _front(result)]
        if layers:
            sections.append(layers_text(result, result.best))
    elif result.least_infeasible is not None:
        sections.append(_least_infeasible(result, result.least_infeasible))
    else:
        sections.append("Nothing has been evaluated yet.")
    sections.append(_failures(result))
    return "\n\n".join(section for section in sections if section)


def layers_text(result: StudyResult, trial: TrialRecord) -> str:
    """A table of the layers in which ``trial`` differs from the baseline."""
    rows = [row for row in layer_changes(result, trial) if row.is_change]
    if not rows:
        return f"Trial {trial.number} changes nothing in any layer."
    body = [
        [
            row.layer,
            _describe_changes(row.changes),
            *(_figure(value) for value in (row.cycles_before, row.cycles_after)),
            _layer_ratio(row),
        ]
        for row in rows
    ]
    title = f"Layers that trial {trial.number} changes (cycles {_kind(result, 'cycles')})"
    header = ["layer", "default -> chosen", "before", "after", "ratio"]
    return f"{title}\n{table(header, body, left=2)}"


def beats_line(yardsticks: Sequence[Yardstick], metrics: Sequence[str]) -> str:
    """One sentence that says which yardsticks the best trial beats, and where it does not."""
    if not yardsticks:
        return ""
    beaten = [row.label for row in yardsticks if row.is_beaten]
    names = " and ".join(metrics)
    if len(beaten) == len(yardsticks):
        everyone = {1: "", 2: "both "}.get(len(beaten), f"all {len(beaten)}: ")
        return f"Beats {everyone}{_join(beaten)} (better or equal in {names})."
    sentences = [f"Beats {_join(beaten)}." if beaten else "Beats none of the yardsticks."]
    for row in yardsticks:
        if not row.is_beaten:
            reason = f"it is better in {' and '.join(row.lost_on)}" if row.lost_on else "equal"
            sentences.append(f"Does not beat {row.label}: {reason}.")
    return " ".join(sentences)


def _heading(result: StudyResult) -> str:
    counts = trial_counts(result)
    planned = "" if counts["planned"] is None else f" of {counts['planned']} planned"
    objective = ", ".join(f"{weight:g} x {name}" for name, weight in result.objective.items())
    limits = ", ".join(
        f"{name} <= {format_figure(bound, _metric(result, name))}"
        for name, bound in result.limits.items()
    )
    trials = f"{counts['finished']} evaluated, {counts['failed']} failed"
    lines = [
        f"Study {result.name}: {result.model} on {result.target}",
        f"{trials}{planned}; {counts['duplicates']} duplicates",
        f"Objective: {objective}, each against the baseline" + (f"; {limits}" if limits else ""),
    ]
    return "\n".join(lines)


def _comparison(result: StudyResult, best: TrialRecord) -> str:
    yardsticks = compare_with_yardsticks(result, best)
    shown = [metric for metric in result.metrics if metric.name in best.metrics]
    body = [
        [
            metric.name,
            str(metric.kind),
            _figure(best.metrics[metric.name], metric),
            _of_baseline(result, best, metric.name),
            *(_figure(row.metrics.get(metric.name), metric) for row in yardsticks),
        ]
        for metric in shown
    ]
    costs = ["-" if row.cost is None else f"{row.cost:.4f}" for row in yardsticks]
    body.append(["cost", "", "-" if best.cost is None else f"{best.cost:.4f}", "", *costs])
    header = [
        "metric",
        "kind",
        f"best (trial {best.number})",
        "of baseline",
        *(row.label for row in yardsticks),
    ]
    parts = [
        table(header, body, left=2),
        beats_line(yardsticks, stated_metrics(result)),
        *best.notes,
    ]
    return "\n".join(part for part in parts if part)


def _front(result: StudyResult) -> str:
    chosen = knee(result)
    names = dict.fromkeys([*result.objective, *stated_metrics(result)])
    shown = _thinned(result.front, chosen)
    body = [
        [
            str(trial.number),
            *(cell for name in names for cell in _against(result, trial, name)),
            "-" if trial.cost is None else f"{trial.cost:.4f}",
            _mark(result, trial, chosen),
        ]
        for trial in shown
    ]
    ratios = (cell for name in names for cell in (name, "of baseline"))
    text = table(["trial", *ratios, "cost", ""], body)
    left_out = len(result.front) - len(shown)
    more = f"\n({left_out} more; --json has them all)" if left_out else ""
    return f"Front ({len(result.front)} trials)\n{text}{more}"


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
    yield _figure(trial.metrics[name], _metric(result, name))
    yield _of_baseline(result, trial, name)


def _of_baseline(result: StudyResult, trial: TrialRecord, name: str) -> str:
    reference = {} if result.baseline is None else result.baseline.metrics
    return format_ratio(trial.metrics[name], reference.get(name, 0.0))


def _least_infeasible(result: StudyResult, trial: TrialRecord) -> str:
    lines = [f"No trial meets the limits; trial {trial.number} comes closest:"]
    for name, beyond in trial.violations.items():
        if beyond > 0:
            metric = _metric(result, name)
            lines.append(
                f"  {name} is {_figure(trial.metrics[name], metric)}, "
                f"{format_figure(beyond, metric)} above the limit"
            )
    return "\n".join(lines)


def _failures(result: StudyResult) -> str:
    failed = [t for t in result.trials if t.failure is not None and t.duplicate_of is None]
    if not failed:
        return ""
    counts = Counter((t.failure, t.message) for t in failed)
    first = {(t.failure, t.message): t.number for t in reversed(failed)}
    lines = [f"Failures ({len(failed)} trials)"]
    for kind, count in counts.most_common(MOST_FAILURES_SHOWN):
        failure, message = kind
        lines.append(f"  {count} x {failure}, first in trial {first[kind]}: {message}")
    if len(counts) > MOST_FAILURES_SHOWN:
        lines.append(
            f"  ({len(counts) - MOST_FAILURES_SHOWN} other messages; --json has them all)"
        )
    return "\n".join(lines)


def _metric(result: StudyResult, name: str) -> Metric | None:
    return next((metric for metric in result.metrics if metric.name == name), None)


def _kind(result: StudyResult, name: str) -> str:
    metric = _metric(result, name)
    return "of unknown kind" if metric is None else str(metric.kind)


def _figure(value: float | None, metric: Metric | None = None) -> str:
    return "-" if value is None else format_figure(value, metric)


def _layer_ratio(row: LayerChange) -> str:
    if row.cycles_before is None or row.cycles_after is None:
        return "-"
    return format_ratio(row.cycles_after, row.cycles_before)


def _describe_changes(changes: Mapping[str, tuple[Value | None, Value]]) -> str:
    return ", ".join(f"{knob} {before} -> {after}" for knob, (before, after) in changes.items())


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
