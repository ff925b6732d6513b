"""Writes the tables, figures and the summary of a comparison."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from npu_tune.compare.analysis.analysis import Analysis
from npu_tune.compare.output.figures import figure_writers
from npu_tune.compare.output.summary import summary_text
from npu_tune.errors import UsageError
from npu_tune.files import storage_errors
from npu_tune.validation import known_remedy

SUMMARY, ORIGIN = "summary.md", "origin.json"
FIGURES = "figures"


def write_output(
    analysis: Analysis, folder: Path, *, only: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Writes tables, figures, the summary and where all of them come from.

    The same analysis gives the same bytes.

    Args:
        analysis: of the comparison.
        folder: where to write; figures go into ``figures`` in it.
        only: names of files, such as ``summary.md``; everything if empty.

    Returns:
        Paths of the files that were written.

    Raises:
        UsageError: if there is no file of such a name.
        StorageError: if the folder cannot be written.
        MissingExtraError: if matplotlib is not installed.
    """
    writers = _writers(analysis, folder)
    by_name = {path.name: path for path in writers}
    for name in only:
        if name not in by_name:
            raise UsageError(
                f"A comparison has no file {name!r}.",
                remedy=known_remedy(name, by_name),
                value=name,
            )
    chosen = [by_name[name] for name in dict.fromkeys(only or by_name)]
    with storage_errors("The comparison's folder", folder):
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for path in chosen:
            writers[path](path)
        origin = folder / ORIGIN
        origin.write_text(json.dumps(_origin(analysis, folder, writers), indent=2) + "\n")
    return (*chosen, origin)


def _writers(analysis: Analysis, folder: Path) -> Mapping[Path, Callable[[Path], object]]:
    tables = {
        "table.csv.gz": analysis.table,
        "medians.csv": analysis.medians,
        "arrivals.csv": analysis.arrivals,
        "pairs.csv": analysis.pairs,
        "overall.csv": analysis.overall,
    }
    figures = figure_writers(analysis)
    return {
        folder / "table.parquet": partial(analysis.table.to_parquet, compression="zstd"),
        **{folder / name: partial(_write_csv, table) for name, table in tables.items()},
        **{folder / FIGURES / name: draw for name, draw in figures.items()},
        folder / SUMMARY: partial(_write_summary, analysis),
    }


def _origin(analysis: Analysis, folder: Path, files: Iterable[Path]) -> dict[str, Any]:
    """What the tables and figures are made of, and the command that makes them again."""
    name = analysis.result.comparison.name
    return {
        "comparison": name,
        "command": f"npu-tune compare {shlex.quote(name)}.toml --replay results.parquet",
        "files": sorted(path.relative_to(folder).as_posix() for path in files),
    }


def _write_summary(analysis: Analysis, path: Path) -> None:
    path.write_text(summary_text(analysis), encoding="utf-8")


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    # The time in a gzip file would make equal tables differ.
    packed = {"method": "gzip", "mtime": 1, "compresslevel": 6} if path.suffix == ".gz" else None
    table.to_csv(path, index=False, compression=packed)
