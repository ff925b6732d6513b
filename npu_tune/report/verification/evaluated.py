"""Evaluates trials of a study once more."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from npu_tune.evaluation import evaluate, quiet
from npu_tune.report.opening import open_study_problem
from npu_tune.report.verification.metrics import compare_metrics, problem_changes, require_model
from npu_tune.report.verification.outcome import STUDY, MetricCheck, Verification
from npu_tune.targets import Target
from npu_tune.tuning import StudyResult, TrialRecord, require_feasible
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.reading import read_content


def verify_study(
    folder: Path,
    *,
    model: Path | None,
    sample: int | None,
    seed: int,
    target: Target | None,
    tell: Callable[[str], None],
) -> Verification:
    """Evaluates the best of a study, or trials drawn from it, and compares with the ledger.

    Args:
        folder: of the study.
        model: the file of its model, instead of the one in the folder.
        sample: how many trials are drawn; None for the best alone.
        seed: of the draw.
        target: instead of the one that the study's file names.
        tell: is told what is done next.

    Raises:
        NpuTuneError: if the study, its model or its target are not there.
    """
    study = read_study_folder(folder)
    result = read_content(study, lean=True).result()
    chosen = _chosen(result, sample, seed)
    if model is not None:
        own = study.model.model_copy(update={"path": str(model)})
        study = study.model_copy(update={"model": own})
    checks: list[MetricCheck] = []
    failures: dict[int, str] = {}
    tell(f"Opening {result.model} for {result.target}")
    with open_study_problem(study, result, target, same=False) as problem:
        require_model(problem, result)
        for place, trial in enumerate(chosen, 1):
            tell(f"Evaluating trial {trial.number} once more ({place} of {len(chosen)})")
            with quiet():
                outcome = evaluate(problem, trial.configuration)
            if outcome.evaluation is None:
                failures[trial.number] = str(outcome.error)
                continue
            now = outcome.evaluation.metrics
            checks += compare_metrics(result, trial.number, trial.metrics, now)
        changes = tuple(problem_changes(problem, result))
    return Verification(
        folder,
        STUDY,
        study=result.name,
        trials=tuple(trial.number for trial in chosen),
        versions=changes,
        metrics=tuple(checks),
        failures=failures,
    )


def _chosen(result: StudyResult, sample: int | None, seed: int) -> list[TrialRecord]:
    if sample is None:
        return [require_feasible(result)]
    trials = [trial for trial in result.distinct if trial.duplicate_of is None]
    drawn = random.Random(seed).sample(trials, min(sample, len(trials)))  # noqa: S311 -- no secret
    return sorted(drawn, key=lambda trial: trial.number)
