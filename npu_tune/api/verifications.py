"""Exports and studies, made once more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.targets import Target

if TYPE_CHECKING:
    from npu_tune.report.verification.outcome import Verification


def verify(
    folder: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
    target: Target | None = None,
) -> Verification:
    """Makes once more what an exported folder or a study holds, and compares.

    Args:
        folder: of an export, whose trial is built once more, or of a study, of which trials are
            evaluated once more.
        model: the file of its model, where that is not in the folder.
        sample: of a study, how many trials are drawn; the best alone if None.
        seed: of the draw.
        target: that the study was tuned for, where it was given as a value.

    Returns:
        What was found; its ``same`` says whether all came out as it was. An ``error`` says why an
        export could not be built once more.

    Raises:
        UsageError: if the folder holds neither.
        NpuTuneError: if it cannot be read, or nothing of a study can be evaluated.
    """
    from npu_tune.report.verification.verify import (  # noqa: PLC0415 - brings Optuna
        verify_folder,
    )

    path = None if model is None else Path(model)
    return verify_folder(Path(folder), model=path, sample=sample, seed=seed, target=target)
