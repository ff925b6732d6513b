"""Sentences on how the best trial does against what there is to beat."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from npu_tune.numerals import format_value
from npu_tune.report.references import Reference
from npu_tune.targets import Goal
from npu_tune.tuning.records import StudyResult, TrialRecord

MOST_TIES_SHOWN = 8

_LEAST_SHARE = 0.005
"""Of a metric, below which nobody cares for its getting worse."""

_NOISE = 3.0
"""Standard deviations of one evaluation that a difference has to be beyond."""

_AS_FACTOR = 1.5


def beats_line(references: Sequence[Reference], metrics: Sequence[str]) -> str:
    """One sentence that says which references the best trial beats, and where it does not."""
    if not references:
        return ""
    beaten = [row.label for row in references if row.is_beaten]
    ties = [row.label for row in references if row.is_tie]
    names = " and ".join(metrics)
    if len(beaten) == len(references):
        everyone = {1: "", 2: "both "}.get(len(beaten), f"all {len(beaten)}: ")
        return f"Beats {everyone}{_join(beaten)} (better or equal in {names})."
    sentences = [f"Beats {_join(beaten)}."] if beaten else []
    if ties:
        sentences.append(f"Ties with {_join(ties)}: the difference in cost may be noise.")
    if not sentences:
        sentences = ["Beats no reference."]
    for row in references:
        if not row.is_beaten and not row.is_tie:
            reason = f"it is better in {' and '.join(row.lost_on)}" if row.lost_on else "equal"
            sentences.append(f"Does not beat {row.label}: {reason}.")
    return " ".join(sentences)


def in_return_line(result: StudyResult, best: TrialRecord) -> str:
    """One sentence on the metrics that got worse than the baseline's; "" where none did."""
    worse = worse_metrics(result, best)
    return (
        f"In return: {', '.join(f'{name} {by}' for name, by in worse.items())}." if worse else ""
    )


def worse_metrics(result: StudyResult, best: TrialRecord) -> dict[str, str]:
    """The metrics that got worse than the baseline's, and by how much, in words.

    What may be noise, or is less than half a percent, is left out, and so are metrics of which
    nobody says which way they get better.
    """
    baseline = {} if result.baseline is None else result.baseline.metrics
    worse = {}
    for metric in result.metrics:
        before, after = (found.get(metric.name) for found in (baseline, best.metrics))
        goal = result.objective.directions.get(metric.name, metric.goal)
        if before is None or after is None or goal is None:
            continue
        is_better = (after > before) == (goal == Goal.MAXIMIZE)
        least = max(_LEAST_SHARE, _NOISE * result.spread.get(metric.name, 0.0))
        if not is_better and abs(after - before) > least * abs(before):
            worse[metric.name] = _change(before, after, metric.unit)
    return worse


def _change(before: float, after: float, unit: str) -> str:
    """``1.78x``, ``+3.9 %`` or, from nothing, the value itself."""
    if not before or before * after < 0:
        return f"{format_value(before, unit)} to {format_value(after, unit)}"
    ratio = after / before
    return f"{ratio:.2f}x" if ratio >= _AS_FACTOR else f"{100 * (ratio - 1):+.1f} %"


def export_command(result: StudyResult, trial: TrialRecord, folder: Path) -> str:
    """The command that builds a trial of a study; the best one needs no number."""
    which = "" if trial is result.best else f" --pick {trial.number}"
    return f"npu-tune export {shlex.quote(str(folder))}{which} --out deploy"


def ties_line(result: StudyResult) -> str:
    """One sentence on the configurations that may be as good as the best; "" for none."""
    numbers = [str(trial.number) for trial in result.ties]
    if not numbers:
        return ""
    more = len(numbers) - MOST_TIES_SHOWN
    shown = ", ".join(numbers[:MOST_TIES_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"As good as the best within the noise: trial{'s' * (len(numbers) > 1)} {shown}."


def cheaper_lines(references: Sequence[Reference], best: TrialRecord) -> Iterator[str]:
    """A sentence for each reference whose cost, on the study's scale, is below the best trial's."""
    for row in references:
        if row.cost is None or best.cost is None or row.is_tie:
            continue
        if row.cost < best.cost:
            yield f"{row.label} costs less than the best trial: {row.cost:.4f}."


def _join(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
