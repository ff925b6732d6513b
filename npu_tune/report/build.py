"""Builds one trial of a study for deployment."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from npu_tune.errors import NpuTuneError, NpuTuneWarning
from npu_tune.evaluation import quiet
from npu_tune.files import storage_errors
from npu_tune.report.export.contents import write_contents
from npu_tune.report.export.place import put_in_place
from npu_tune.report.opening import open_study_problem
from npu_tune.report.pick import pick_trial
from npu_tune.targets import Artifact, Problem, Target, missing_metrics
from npu_tune.tuning import StudyResult, TrialRecord
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import no_empty_folder, read_study_folder
from npu_tune.tuning.reading import StudyContent, read_content
from npu_tune.tuning.samples import differences_beyond_noise
from npu_tune.versions import installed_versions


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


@dataclass(frozen=True)
class PickedTrial:
    """A trial to be built, with the study that it is of.

    Args:
        study: as its folder has it.
        content: what the study's ledger held.
        result: made of it.
        trial: the one that was picked.
    """

    study: StudyFile
    content: StudyContent
    result: StudyResult
    trial: TrialRecord

    @classmethod
    def of(cls, study: StudyFile, content: StudyContent, pick: str) -> PickedTrial:
        """Picks a trial as :func:`npu_tune.report.pick_trial` does, which says what it raises."""
        result = content.result()
        return cls(study, content, result, pick_trial(result, pick))


def build_trial(
    folder: Path, pick: str, out: Path, *, target: Target | None = None, force: bool = False
) -> BuiltTrial:
    """Builds one trial of a study; warns where its metrics are not those of the trial.

    Args:
        folder: of the study.
        pick: as of :func:`npu_tune.report.pick_trial`.
        out: the folder to write into.
        target: instead of the one that the study's file names.
        force: overwrite what an export of something else has put there.

    Raises:
        UsageError: if there is no such study or trial, or if files would be overwritten that
            hold something else.
        StudyMismatchError: if model, compiler or target are not what they were.
        EvaluationError: if the trial does not compile.
        StorageError: if the folder cannot be written.
    """
    study = read_study_folder(folder)
    picked = PickedTrial.of(study, read_content(study), pick)
    result, trial = picked.result, picked.trial
    with open_study_problem(study, result, target) as problem, storage_errors("The folder", out):
        with no_empty_folder(out):
            out.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".export-", dir=out) as name:
                staged = Path(name) / "new"
                built, files = stage_trial(staged, picked, problem, versions=installed_versions())
                put_in_place(staged, out, force=force)
        there = {role: out / path.relative_to(staged) for role, path in files.items()}
        artifact = replace(built, files=there)
    exact = artifact.evaluation.metrics
    warn_of_difference(result, trial, exact)
    return BuiltTrial(result, _filled_in(trial, exact), artifact)


def stage_trial(
    folder: Path,
    picked: PickedTrial,
    problem: Problem,
    *,
    versions: Mapping[str, str | None],
    stated: Mapping[str, float] | None = None,
) -> tuple[Artifact, dict[str, Path]]:
    """Builds a trial into a new folder, with everything that an export has.

    Args:
        folder: to write into.
        picked: what is built.
        problem: of the study.
        versions: by name, as the files state them.
        stated: metrics that the files state instead of those of this build.

    Returns:
        What was built, and every file by role.

    Raises:
        EvaluationError: if the trial does not compile.
        OSError: if the folder cannot be written.
    """
    built = problem.build(picked.trial.configuration, folder)
    shown = built
    if stated is not None:
        shown = replace(built, evaluation=replace(built.evaluation, metrics=stated))
    files = write_contents(
        folder,
        study=picked.study,
        content=picked.content,
        result=picked.result,
        trial=picked.trial,
        problem=problem,
        artifact=shown,
        versions=versions,
    )
    return built, files


def fill_in_best(folder: Path, result: StudyResult) -> StudyResult:
    """Works out the metrics on request that the best trial was evaluated without.

    A study does so itself when it ends. The result stays as it is where nothing is missing, or
    where model or target are not there to ask.

    Args:
        folder: of the study.
        result: the study.
    """
    best = result.best
    if best is None or not missing_metrics(result.metrics, best.metrics):
        return result
    try:
        with open_study_problem(read_study_folder(folder), result, None) as problem, quiet():
            filled = _filled_in(best, problem.evaluate(best.configuration).metrics)
    except NpuTuneError:
        return result
    return replace(result, trials=tuple(filled if t is best else t for t in result.trials))


def _filled_in(trial: TrialRecord, metrics: Mapping[str, float]) -> TrialRecord:
    return replace(trial, metrics={**metrics, **trial.metrics})


def warn_of_difference(
    result: StudyResult, trial: TrialRecord, metrics: Mapping[str, float]
) -> None:
    """Warns where a build has other metrics than its trial, beyond what noise explains.

    Args:
        result: the study.
        trial: that was built.
        metrics: of the build.
    """
    left_out = missing_metrics(result.metrics, trial.metrics)
    known = {name: value for name, value in metrics.items() if name not in left_out}
    if differing := differences_beyond_noise(known, trial.metrics, spread=result.likely_spread):
        warnings.warn(
            f"The build differs from what trial {trial.number} reported in "
            f"{', '.join(sorted(differing))}.",
            NpuTuneWarning,
            stacklevel=2,
        )
