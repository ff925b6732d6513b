"""Everything a comparison writes for people: tables, figures and the summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from npu_tune.compare.analysis import Analysis
from npu_tune.compare.comparing import storage_errors
from npu_tune.compare.summary import summary_text

SUMMARY = "summary.md"


def write_output(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Writes tables, figures and the summary; the same analysis gives the same bytes.

    Returns:
        What was written.

    Raises:
        StorageError: if the folder cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    written = []
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in _writers(analysis).items():
            write(folder / name)
            written.append(folder / name)
    return tuple(written)


def _writers(analysis: Analysis) -> Mapping[str, Callable[[Path], object]]:
    tables = {
        "medians.csv": analysis.medians,
        "arrivals.csv": analysis.arrivals,
        "pairs.csv": analysis.pairs,
        "overall.csv": analysis.overall,
    }
    return {
        "table.parquet": lambda path: analysis.table.to_parquet(path, compression="zstd"),
        "table.csv.gz": lambda path: _write_csv(analysis.table, path),
        **{name: _writer(table) for name, table in tables.items()},
        SUMMARY: lambda path: path.write_text(summary_text(analysis), encoding="utf-8"),
    }


def _writer(table: pd.DataFrame) -> Callable[[Path], object]:
    return lambda path: _write_csv(table, path)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    # The time in a gzip file would make equal tables differ.
    packed = {"method": "gzip", "mtime": 1} if path.suffix == ".gz" else None
    table.to_csv(path, index=False, compression=packed)
