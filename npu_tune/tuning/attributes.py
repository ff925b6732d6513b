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

from npu_tune.errors import StorageError
from npu_tune.space import Configuration
from npu_tune.targets import Problem
from npu_tune.targets.profiles import pack_profile
from npu_tune.tuning.changes import changes_text
from npu_tune.tuning.ledger.shared import PROPOSAL
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.packed import (
    MEANINGLESS,
    LazyProfile,
    SharedPairs,
    TrialMetrics,
    pack_attributes,
)
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


@contextlib.contextmanager
def named(trial: FrozenTrial) -> Iterator[None]:
    """Names a trial whose attributes make no sense."""
    try:
        yield
    except MEANINGLESS as error:
        raise damaged_trial(trial, error) from error


def damaged_trial(trial: FrozenTrial, error: Exception) -> StorageError:
    """The error for a trial whose attributes make no sense, as one of MEANINGLESS says."""
    return StorageError(
        f"The trial {trial.number} does not hold what npu-tune wrote: {error!r}.",
        remedy="Restore the study's storage from a backup, or take the trial out.",
        trial=trial.number,
    )


def plain_record(
    trial: FrozenTrial,
    default: Configuration,
    shared: SharedPairs,
    *,
    metrics: Mapping[str, float] | None = None,
    cost: float | None = None,
    violations: Mapping[str, float] = MappingProxyType({}),
) -> TrialRecord:
    """What the attributes say by themselves, and what is worked out of them.

    Args:
        trial: whose attributes they are.
        default: configurations are kept as their difference from it.
        shared: what configurations have in common.
        metrics: None for those among the attributes.
        cost: of the record.
        violations: of the record.
    """
    attributes = trial.user_attrs
    profile = attributes.get("profile")
    return TrialRecord(
        number=trial.number,
        configuration=shared.changed(default, attributes.get("configuration", {})),
        metrics=trial_metrics(attributes) if metrics is None else metrics,
        cost=cost,
        violations=violations,
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
