"""Verifies a folder, whichever kind it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from npu_tune.errors import UsageError
from npu_tune.report.verification.evaluated import verify_study
from npu_tune.report.verification.exported import is_export, verify_export
from npu_tune.report.verification.outcome import Verification
from npu_tune.targets import Target
from npu_tune.tuning.folder import is_study_folder


def _tell_nobody(_: str) -> None:
    pass


def verify_folder(
    folder: Path,
    *,
    model: Path | None = None,
    sample: int | None = None,
    seed: int = 0,
    target: Target | None = None,
    tell: Callable[[str], None] = _tell_nobody,
) -> Verification:
    """Makes once more what a folder holds, and compares.

    Args:
        folder: of an export or a study.
        model: the file of its model, instead of the one in the folder.
        sample: of a study, how many trials are drawn; None for the best alone.
        seed: of the draw.
        target: instead of the one that the study's file names.
        tell: is told what is done next.

    Raises:
        UsageError: if it is neither.
        NpuTuneError: if it cannot be read, or nothing of a study can be evaluated.
    """
    if is_export(folder):
        if sample is not None:
            raise UsageError(
                f"{folder} holds an export, which is of one trial.",
                remedy="Draw trials of a study's folder.",
            )
        return verify_export(folder, model=model, target=target, tell=tell)
    if is_study_folder(folder):
        return verify_study(
            folder, model=model, sample=sample, seed=seed, target=target, tell=tell
        )
    if folder.is_file():
        raise UsageError(
            f"{folder} is a file.",
            remedy="Give the folder of its study, or the exported folder that it stands in.",
        )
    raise UsageError(
        f"There is neither an export nor a study in {folder}.",
        remedy="Give the folder that `npu-tune export --out` or `npu-tune tune --study` made.",
        folder=str(folder),
    )
