"""Trials and studies as user attributes of Optuna, and back.

Everything is plain JSON under short names, so that any Optuna tool shows it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune.space import Configuration
from npu_tune.targets import Kind, Metric
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.records import StudyResult, TrialRecord

KEY = "key"
ELAPSED = "elapsed_s"

Profile = Mapping[str, Mapping[str, float]]


def trial_attributes(
    record: TrialRecord, *, default: Configuration, key: str, elapsed_s: float
) -> dict[str, Any]:
    """The user attributes of a finished trial; what is empty is left out.

    Args:
        record: the trial; its number is not among the attributes.
        default: configurations are kept as their difference from it.
        key: under which the evaluation is known.
        elapsed_s: how long the study has run, all its runs together.
    """
    attributes: dict[str, Any] = {
        KEY: key,
        ELAPSED: round(elapsed_s, 3),
        "origin": record.origin,
        "configuration": record.configuration.difference(default),
        "seconds": round(record.seconds, 6),
    }
    optional: dict[str, Any] = {
        "metrics": dict(record.metrics),
        "profile": pack_profile(record.profile),
        "notes": list(record.notes),
        "failure": record.failure,
        "message": record.message,
    }
    attributes |= {name: value for name, value in optional.items() if value}
    if record.duplicate_of is not None:
        attributes["duplicate_of"] = record.duplicate_of
    return attributes


def trial_records(
    trials: Iterable[FrozenTrial],
    *,
    default: Configuration,
    objective: Objective,
) -> list[TrialRecord]:
    """The records behind a ledger's trials, in order; see :func:`own_trials`."""
    records: list[TrialRecord] = []
    # By key rather than by number: numbers move when a damaged line is taken out of a journal.
    evaluated: dict[str, TrialRecord] = {}
    baseline: Mapping[str, float] | None = None
    for trial in own_trials(trials):
        attributes = trial.user_attrs
        metrics = attributes.get("metrics", {})
        if baseline is None and attributes.get("origin") == "baseline":
            baseline = metrics
        record = TrialRecord(
            number=trial.number,
            configuration=default.replace(attributes.get("configuration", {})),
            metrics=metrics,
            cost=objective.cost(metrics, baseline) if metrics and baseline else None,
            violations=objective.violations(metrics) if metrics else {},
            failure=attributes.get("failure"),
            message=attributes.get("message", ""),
            origin=attributes.get("origin", "sampler"),
            seconds=attributes.get("seconds", 0.0),
            profile=unpack_profile(attributes.get("profile", {})),
            notes=tuple(attributes.get("notes", ())),
        )
        original = evaluated.get(attributes[KEY])
        if "duplicate_of" in attributes and original is not None:
            record = as_duplicate(record, original)
        else:
            evaluated[attributes[KEY]] = record
        records.append(record)
    return records


def own_trials(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The finished trials that this package wrote; any Optuna tool may add others."""
    return [trial for trial in trials if trial.state.is_finished() and KEY in trial.user_attrs]


def as_duplicate(record: TrialRecord, original: TrialRecord) -> TrialRecord:
    """A record that repeats the original's answer, for another number and configuration."""
    return dataclasses.replace(
        original,
        number=record.number,
        configuration=record.configuration,
        origin=record.origin,
        duplicate_of=original.number,
        seconds=0.0,
    )


def pack_profile(profile: Profile) -> dict[str, Any]:
    """A profile as one table, so that the column names are not repeated for each layer."""
    if not profile:
        return {}
    columns = list(dict.fromkeys(column for row in profile.values() for column in row))
    return {
        "columns": columns,
        "rows": {layer: [_short(row.get(c)) for c in columns] for layer, row in profile.items()},
    }


def unpack_profile(packed: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The reverse of :func:`pack_profile`."""
    columns = packed.get("columns", ())
    return {
        layer: {c: float(v) for c, v in zip(columns, row, strict=True) if v is not None}
        for layer, row in packed.get("rows", {}).items()
    }


def _short(value: float | None) -> float | int | None:
    # Only floats have `is_integer` before Python 3.12, and a target may count in integers.
    return int(value) if value is not None and float(value).is_integer() else value


def study_attributes(
    *,
    model: str,
    metrics: Iterable[Metric],
    default: Configuration,
    references: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """What the ledger states about a study beside its identity, as JSON."""
    return {
        "model": model,
        "metrics": [dataclasses.asdict(metric) for metric in metrics],
        "default": dict(default),
        "references": {name: dict(row) for name, row in references.items()},
    }


def study_result(
    name: str,
    about: Mapping[str, Any],
    trials: Iterable[FrozenTrial],
    *,
    evaluations_planned: int | None,
    stopped: str | None,
    baseline_again: Mapping[str, float] | None,
) -> StudyResult:
    """The result behind a ledger's attributes and trials.

    Args:
        name: of the study.
        about: the study's identity and its :func:`study_attributes`.
        trials: of the ledger.
        evaluations_planned: the budget of the last run.
        stopped: why the last run ended.
        baseline_again: the baseline's metrics at the end.
    """
    default = Configuration.of(about["default"])
    objective = Objective(
        weights=about["objective"],
        directions=about["directions"],
        limits=about["limits"],
        pareto=about["mode"] == "pareto",
    )
    return StudyResult(
        name=name,
        model=about["model"],
        model_sha256=about["model_sha256"],
        target=about["target"],
        target_fingerprint=about["target_fingerprint"],
        metrics=tuple(
            Metric(**{**metric, "kind": Kind(metric["kind"])}) for metric in about["metrics"]
        ),
        objective=objective.weights,
        limits=objective.limits,
        default=default,
        trials=tuple(trial_records(trials, default=default, objective=objective)),
        references=about["references"],
        evaluations_planned=evaluations_planned,
        directions=objective.directions,
        stopped=stopped,
        baseline_again=baseline_again,
    )
