"""Builds one trial of a study for deployment."""

from __future__ import annotations

import filecmp
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from npu_tune.errors import NpuTuneError, NpuTuneWarning, StudyMismatchError, UsageError
from npu_tune.evaluation import quiet
from npu_tune.files import storage_errors
from npu_tune.network import load_network
from npu_tune.report.pick import pick_trial
from npu_tune.targets import Artifact, Problem, Target, load_target, missing_metrics
from npu_tune.tuning import StudyResult, TrialRecord, open_problem, read_study
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.identity import require_same_problem
from npu_tune.tuning.samples import differences_beyond_noise
from npu_tune.validation import key_name


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
    result = read_study(folder)
    trial = pick_trial(result, pick)
    with open_study_problem(folder, result, target) as problem, storage_errors("The folder", out):
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".export-", dir=out) as staged:
            built = problem.build(trial.configuration, Path(staged))
            files = _put(built.files, Path(staged), out, force=force)
        artifact = replace(built, files=files)
    exact = artifact.evaluation.metrics
    warn_of_difference(result, trial, exact)
    return BuiltTrial(result, _filled_in(trial, exact), artifact)


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
        with open_study_problem(folder, result, None) as problem, quiet():
            filled = _filled_in(best, problem.evaluate(best.configuration).metrics)
    except NpuTuneError:
        return result
    return replace(result, trials=tuple(filled if t is best else t for t in result.trials))


def _filled_in(trial: TrialRecord, metrics: Mapping[str, float]) -> TrialRecord:
    return replace(trial, metrics={**metrics, **trial.metrics})


def open_study_problem(folder: Path, result: StudyResult, target: Target | None = None) -> Problem:
    """The study's problem, provided that it is still what it was; the caller closes it.

    Raises:
        NpuTuneError: if model, compiler or target are not there, or not what they were.
    """
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


def _put(files: Mapping[str, Path], staged: Path, out: Path, *, force: bool) -> Mapping[str, Path]:
    """Moves everything that was built to where it is wanted, or nothing; paths by role."""
    made = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    other = next((path for path in made if _holds_other(out / path, staged / path)), None)
    if other is not None and not force:
        raise UsageError(
            f"{out / other} is there already and holds another export.",
            remedy=f"Name another folder with {key_name('export.out', 'the argument `out`')}, or "
            f"overwrite it with {key_name('export.force', '`force=True`')}.",
            file=str(out / other),
        )
    for path in made:
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (staged / path).replace(out / path)
    return {
        role: out / path.relative_to(staged) if path.is_relative_to(staged) else path
        for role, path in files.items()
    }


def _holds_other(present: Path, new: Path) -> bool:
    return present.exists() and not (
        present.is_file() and filecmp.cmp(present, new, shallow=False)
    )


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
