"""What Optuna's own tools show of a study beside its trials: a note, and what indices mean."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from npu_tune.numerals import format_ratio, format_value
from npu_tune.space import SearchSpace
from npu_tune.tuning.changes import changes_text
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.ledger import Ledger
from npu_tune.tuning.ledger.address import optuna_address
from npu_tune.tuning.records import StudyResult, TrialRecord

KNOB_VALUES = "knob_values"
"""The study attribute that says what the indices stand for which samplers see."""

_END = "*npu-tune writes what stands above this line. What you write below it stays.*"
_REPORT = "report.html"
_LONGEST_CHANGES = 800
"""Characters of the best trial's changes in a note."""


def knob_values(space: SearchSpace) -> dict[str, list[Any]]:
    """By parameter, the values that its numbers are indices into; ordered knobs have such."""
    return {knob.full_name: list(knob.values) for knob in space.knobs if knob.ordered}


def optuna_line(study: StudyFile) -> str:
    """One sentence that says how Optuna's dashboard opens a study, with its name there."""
    return f"`{_dashboard_command(study)}` shows its trials, as those of the study {study.name!r}."


def write_note(ledger: Ledger, study: StudyFile, result: StudyResult | None = None) -> None:
    """Writes the note that Optuna's dashboard shows; what a person wrote behind it stays.

    Args:
        ledger: of the study.
        study: whose note it is.
        result: what was found; None where the study has only begun.

    Raises:
        StorageError: if the ledger cannot be written.
    """
    before = ledger.note()
    _, mark, behind = before.partition(_END)
    kept = behind if mark else f"\n\n{before}" if before else "\n"
    ledger.set_note(f"{_note(study, result)}\n\n---\n{_END}{kept}")


def _note(study: StudyFile, result: StudyResult | None) -> str:
    if result is None:
        return "\n\n".join(
            ["The search has begun; what it finds stands here at its end.", _see(study)]
        )
    heading = f"## {result.model} on {result.target}"
    return "\n\n".join([heading, *_found(result), _see(study, result)])


def _found(result: StudyResult) -> Iterator[str]:
    """Verdict, metrics and changes, a paragraph each."""
    evaluations = sum(trial.duplicate_of is None for trial in result.trials)
    ended = f"after {evaluations:,} evaluations"
    if result.stopped not in {None, "evaluations"}:
        ended += f" ({result.stopped})"
    best, shown = result.best, result.best or result.least_infeasible
    if best is not None:
        yield (
            f"The best is **trial {best.number}**, with a cost of **{best.cost:.4f}** {ended}; the "
            "compiler's default costs 1."
        )
    elif shown is not None:
        yield f"Nothing meets the limits {ended}; trial {shown.number} comes closest."
    else:
        yield f"Nothing could be evaluated {ended}."
    if shown is not None:
        yield _metrics_table(result, shown)
        changes = changes_text(shown.configuration, result.default, longest=_LONGEST_CHANGES)
        yield f"It changes {changes}." if changes != "none" else "It is the default."


def _metrics_table(result: StudyResult, shown: TrialRecord) -> str:
    baseline: Mapping[str, float] = {} if result.baseline is None else result.baseline.metrics
    lines = ["| metric | default | here | of the default |", "| --- | ---: | ---: | ---: |"]
    units = {metric.name: metric.unit for metric in result.metrics}
    for name in result.objective.asked:
        before, after, unit = baseline.get(name), shown.metrics[name], units.get(name, "")
        was = "-" if before is None else format_value(before, unit)
        ratio = "-" if before is None else format_ratio(after, before)
        lines.append(f"| {name} | {was} | {format_value(after, unit)} | {ratio} |")
    return "\n".join(lines)


def _see(study: StudyFile, result: StudyResult | None = None) -> str:
    """The commands that show more, as a list."""
    folder = shlex.quote(str(study.folder))
    lines = [f"`npu-tune show {folder}` shows what changed in each layer"]
    if result is not None and result.best is not None:
        lines.append(f"`npu-tune export {folder} --out DIR` builds the best")
    if (study.folder / _REPORT).is_file():
        lines.append(f"`{study.folder / _REPORT}` is the report")
    return "\n".join(f"- {line}" for line in lines)


def _dashboard_command(study: StudyFile) -> str:
    return f"optuna-dashboard {shlex.quote(optuna_address(study.storage))}"
