"""Trials and studies as user attributes of Optuna, and back.

Everything is plain JSON under short names, so that any Optuna tool shows it: each metric is an
attribute of its own, called as the metric is.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune.errors import StorageError, WorkerLostError
from npu_tune.space import Configuration
from npu_tune.targets import Confidence, Identity, Metric, Problem, ProfileSchema
from npu_tune.targets.oracle import Bound
from npu_tune.targets.profiles import pack_profile
from npu_tune.tuning.changes import changes_text
from npu_tune.tuning.ledger.shared import PROPOSAL
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import LazyProfile, SharedPairs, TrialMetrics, pack_attributes
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.samples import NearbyReference
from npu_tune.tuning.stretches import Stretch
from npu_tune.tuning.trial import SAMPLER, TrialRecord

KEY = "key"
ELAPSED = "elapsed_s"
DRIVER = "driver"

_METRICS = "metrics"
"""A table of the metrics whose name is taken; earlier versions wrote all of them there."""

_TAKEN = frozenset(
    {
        KEY,
        ELAPSED,
        DRIVER,
        PROPOSAL,
        _METRICS,
        "cached",
        "changes",
        "configuration",
        "duplicate_of",
        "failure",
        "message",
        "notes",
        "origin",
        "predicted",
        "profile",
        "sample",
        "seconds",
    }
)
"""The names of a trial's attributes that are no metrics."""


def trial_attributes(
    record: TrialRecord, *, default: Configuration, key: str, elapsed_s: float
) -> dict[str, Any]:
    """The user attributes of a finished trial, large ones packed; what is empty is left out.

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
        "changes": changes_text(record.configuration, default),
        "configuration": record.configuration.difference(default),
        "seconds": round(record.seconds, 6),
    }
    attributes |= {n: value for n, value in record.metrics.items() if n not in _TAKEN}
    optional: dict[str, Any] = {
        _METRICS: {n: value for n, value in record.metrics.items() if n in _TAKEN},
        "profile": pack_profile(record.profile),
        "notes": list(record.notes),
        "failure": record.failure,
        "message": record.message,
        "sample": record.sample,
        "cached": record.cached,
    }
    attributes |= {name: value for name, value in optional.items() if value}
    if record.predicted is not None:
        attributes["predicted"] = record.predicted
    if record.duplicate_of is not None:
        attributes["duplicate_of"] = record.duplicate_of
    return pack_attributes(attributes)


def trial_metrics(attributes: Mapping[str, Any]) -> Mapping[str, float]:
    """The metrics among a trial's attributes, also of those that an earlier version wrote."""
    own = TrialMetrics(attributes, _TAKEN)
    others = attributes.get(_METRICS)
    return {**others, **own} if others else own


def trial_records(
    trials: Iterable[FrozenTrial],
    *,
    default: Configuration,
    objective: Objective,
    deterministic: bool = True,
    filled_in: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> list[TrialRecord]:
    """The records behind a ledger's trials, in order; see :func:`own_trials`.

    Args:
        trials: of the ledger.
        default: configurations are kept as their difference from it.
        objective: makes costs and violations.
        deterministic: False where costs are taken against nearby evaluations of the baseline.
        filled_in: by key, metrics that were worked out after the trial.

    Raises:
        StorageError: if a trial's attributes are damaged; names the trial.
    """
    records: list[TrialRecord] = []
    shared = SharedPairs()
    # By configuration rather than by number, since numbers move when a damaged line is taken out
    # of a journal; and rather than by key, since a study of an earlier version has other keys.
    evaluated: dict[Configuration, TrialRecord] = {}
    by_key: dict[str, TrialRecord] = {}
    reference = NearbyReference(deterministic=deterministic)
    for trial in own_trials(trials):
        with named(trial):
            record = plain_record(trial, default, shared)
            key = trial.user_attrs[KEY]
            if key in filled_in and record.metrics:
                record = dataclasses.replace(record, metrics={**record.metrics, **filled_in[key]})
            original = evaluated.get(record.configuration) or by_key.get(key)
            if "duplicate_of" in trial.user_attrs and original is not None:
                records.append(as_duplicate(record, original))
                continue
            reference.learn(record)
            baseline = reference.metrics
            if record.metrics:
                record = dataclasses.replace(
                    record,
                    cost=objective.cost(record.metrics, baseline) if baseline else None,
                    violations=objective.violations(record.metrics),
                )
            if record.failure != WorkerLostError.failure:
                evaluated.setdefault(record.configuration, record)
                by_key.setdefault(key, record)
            records.append(record)
    return records


@contextlib.contextmanager
def named(trial: FrozenTrial) -> Iterator[None]:
    """Names a trial whose attributes make no sense."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise StorageError(
            f"The trial {trial.number} does not hold what npu-tune wrote: {error!r}.",
            remedy="Restore the study's storage from a backup, or take the trial out.",
            trial=trial.number,
        ) from error


def plain_record(trial: FrozenTrial, default: Configuration, shared: SharedPairs) -> TrialRecord:
    """What the attributes say by themselves."""
    attributes = trial.user_attrs
    profile = attributes.get("profile")
    return TrialRecord(
        number=trial.number,
        configuration=shared.share(default.replace(attributes.get("configuration", {}))),
        metrics=trial_metrics(attributes),
        failure=attributes.get("failure"),
        message=attributes.get("message", ""),
        origin=attributes.get("origin", SAMPLER),
        seconds=attributes.get("seconds", 0.0),
        profile=LazyProfile(profile) if profile else {},
        notes=tuple(attributes.get("notes", ())),
        sample=attributes.get("sample", 0),
        predicted=attributes.get("predicted"),
        cached=attributes.get("cached", False),
    )


def own_trials(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The finished trials that this package wrote; any Optuna tool may add others."""
    return [trial for trial in trials if trial.state.is_finished() and KEY in trial.user_attrs]


def as_duplicate(record: TrialRecord, original: TrialRecord) -> TrialRecord:
    """A record that repeats the original's outcome, for another number and configuration."""
    return dataclasses.replace(
        original,
        number=record.number,
        configuration=record.configuration,
        origin=record.origin,
        duplicate_of=original.number,
        seconds=0.0,
        predicted=None,
        cached=False,
    )


def study_attributes(
    problem: Problem, *, references: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """What the ledger states about a study beside its identity, as JSON."""
    about: dict[str, Any] = {
        "model": problem.network.name,
        "metrics": [metric.to_dict() for metric in problem.metrics],
        "default": dict(problem.space.default),
        "references": {name: dict(row) for name, row in references.items()},
        "profile": dataclasses.asdict(problem.profile),
    }
    if problem.confidence is not None:
        about["confidence"] = problem.confidence.to_dict()
    if notes := problem.notes():
        about["notes"] = list(notes)
    return about if problem.deterministic else about | {"deterministic": False}


def objective_attributes(objective: Objective) -> dict[str, Any]:
    """The objective, as it stands in a study's identity."""
    document = {
        "objective": dict(objective.weights),
        "directions": {name: str(goal) for name, goal in objective.directions.items()},
        "mode": "pareto" if objective.pareto else "weighted",
        "limits": dict(objective.limits),
    }
    return document | ({"floors": dict(objective.floors)} if objective.floors else {})


def study_result(
    name: str,
    about: Mapping[str, Any],
    trials: Iterable[FrozenTrial],
    *,
    stretches: tuple[Stretch, ...] = (),
    evaluations_planned: int | None,
    stopped: str | None,
    baseline_again: Mapping[str, float] | None,
    rivals: Mapping[str, Mapping[str, float]],
    filled_in: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    bound: Bound | None = None,
) -> StudyResult:
    """The result behind a ledger's attributes and trials.

    Args:
        name: of the study.
        about: the study's identity, its :func:`objective_attributes` and :func:`study_attributes`.
        trials: of the ledger.
        stretches: the runs in which they were added.
        evaluations_planned: the budget of the last run.
        stopped: why the last run ended.
        baseline_again: the baseline's metrics at the end.
        rivals: references that were found at the end.
        filled_in: as of :func:`trial_records`.
        bound: what no configuration falls below.
    """
    default, deterministic = Configuration.of(about["default"]), about.get("deterministic", True)
    objective = Objective(
        weights=about["objective"],
        directions=about["directions"],
        limits=about["limits"],
        pareto=about["mode"] == "pareto",
        floors=about.get("floors", {}),
    )
    return StudyResult(
        name=name,
        model=about["model"],
        identity=Identity.from_dict(about),
        metrics=tuple(Metric.from_dict(metric) for metric in about["metrics"]),
        objective=objective,
        default=default,
        trials=tuple(
            trial_records(
                trials,
                default=default,
                objective=objective,
                deterministic=deterministic,
                filled_in=filled_in,
            )
        ),
        references={**about["references"], **rivals},
        confidence=Confidence.from_dict(about["confidence"]) if "confidence" in about else None,
        notes=tuple(about.get("notes", ())),
        stretches=stretches,
        evaluations_planned=evaluations_planned,
        profile=ProfileSchema(**about.get("profile", {})),
        deterministic=deterministic,
        stopped=stopped,
        baseline_again=baseline_again,
        bound=bound,
    )
