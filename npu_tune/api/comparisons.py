"""Comparisons of samplers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npu_tune.compare import Analysis, ComparisonFile, ComparisonListener


def compare(
    comparison: str | os.PathLike[str] | Mapping[str, Any] | ComparisonFile,
    *,
    replay: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    listener: ComparisonListener | None = None,
) -> Analysis:
    """Compares samplers over networks, targets and seeds; the same call again resumes.

    Args:
        comparison: path of a comparison file (``docs/compare.md``), or what such a file says.
        replay: folder of a comparison, or its ``results.parquet``, whose runs are used.
        folder: where everything is written, instead of where the file says.
        listener: is told of every run that ends.

    Returns:
        Medians, arrivals and pairwise tests; ``to_dataframe()`` has a row per evaluation.
    """
    from npu_tune.compare import (  # noqa: PLC0415 - brings pandas and Arrow
        ComparisonFile,
        analyse,
        load_comparison,
        parse_comparison,
        run_comparison,
    )

    if isinstance(comparison, ComparisonFile):
        asked = comparison
    elif isinstance(comparison, Mapping):
        asked = parse_comparison(dict(comparison), base=Path.cwd())
    else:
        asked = load_comparison(Path(comparison))
    moved = asked.relocate(
        replay=None if replay is None else Path(replay),
        folder=None if folder is None else Path(folder),
    )
    return analyse(run_comparison(moved, listener=listener))
