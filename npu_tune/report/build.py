"""Builds one trial of a study for deployment."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from npu_tune.errors import NpuTuneWarning, StudyMismatchError
from npu_tune.files import storage_errors
from npu_tune.network import load_network
from npu_tune.report.pick import pick_trial
from npu_tune.targets import Artifact, Problem, Target, load_target
from npu_tune.tuning import StudyResult, TrialRecord, open_problem, read_study
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.identity import require_same_problem
from npu_tune.tuning.samples import differences_beyond_noise


@dataclass(frozen=True)
class BuiltTrial:
    """What was built.

    Args:
        result: the study.
        trial: the one that was picked.
        artifact: files, and their exact metrics.
    """

    result: StudyResult
    trial: TrialRecord
    artifact: Artifact


def build_trial(folder: Path, pick: str, out: Path, *, target: Target | None = None) -> BuiltTrial:
    """Builds one trial of a study; warns where its metrics are not those of the trial.

    Args:
        folder: of the study.
        pick: as of :func:`npu_tune.report.pick_trial`.
        out: the folder to write into.
        target: instead of the one that the study's file names.

    Raises:
        UsageError: if there is no such study or trial.
        StudyMismatchError: if model, compiler or target are not what they were.
        EvaluationError: if the trial does not compile.
        StorageError: if the folder cannot be written.
    """
    result = read_study(folder)
    trial = pick_trial(result, pick)
    with _open(folder, result, target) as problem, storage_errors("The folder", out):
        out.mkdir(parents=True, exist_ok=True)
        artifact = problem.build(trial.configuration, out)
    warn_of_difference(result, trial, artifact.evaluation.metrics)
    return BuiltTrial(result, trial, artifact)


def _open(folder: Path, result: StudyResult, target: Target | None) -> Problem:
    """The study's problem, provided that it is still what it was; the caller closes it."""
    study = read_study_folder(folder)
    target = target or load_target(study.target.name, study.target.options)
    # The copy in the folder is called model; what is deployed carries the network's own name.
    network = replace(load_network(study.model.path), name=result.model)
    problem = open_problem(study.model, target, network=network)
    try:
        require_same_problem(result.name, result.identity, problem.identity)
    except StudyMismatchError:
        problem.close()
        raise
    return problem


def warn_of_difference(
    result: StudyResult, trial: TrialRecord, metrics: Mapping[str, float]
) -> None:
    """Warns where a build has other metrics than its trial, beyond what noise explains.

    Args:
        result: the study.
        trial: that was built.
        metrics: of the build.
    """
    expected = {metric.name: metric.spread for metric in result.metrics}
    spread = {} if result.deterministic else {**expected, **result.spread}
    if differing := differences_beyond_noise(metrics, trial.metrics, spread=spread):
        warnings.warn(
            f"The build differs from what trial {trial.number} reported in "
            f"{', '.join(sorted(differing))}.",
            NpuTuneWarning,
            stacklevel=2,
        )
