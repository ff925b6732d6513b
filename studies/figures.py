"""Fills the tables of a study's page from its recorded comparisons.

    python studies/figures.py studies/samplers

Every comparison file that the page names is replayed from the recording in the folder beside it,
without a compiler, and what stands in README.md between `<!-- FILE: TABLE -->` and
`<!-- /FILE: TABLE -->` is replaced by that table.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from study_tables import TABLES

from npu_tune.compare import Analysis, analyse, load_comparison, run_comparison
from npu_tune.errors import NpuTuneError, UsageError

RESULTS = "results.parquet"
MARKER = re.compile(r"<!-- (\S+): (\S+) -->\n(.*?)<!-- /\1: \2 -->", re.DOTALL)


def replayed(file: Path) -> Analysis:
    """What a comparison's recording says."""
    with tempfile.TemporaryDirectory() as folder:
        comparison = load_comparison(file)
        moved = comparison.relocate(replay=comparison.folder / RESULTS, folder=Path(folder))
        return analyse(run_comparison(moved))


def filled(page: str, found: Callable[[str], Analysis]) -> str:
    """A page with its tables made anew.

    Args:
        page: Markdown with markers.
        found: what the comparison of a file name says.

    Raises:
        UsageError: if the page asks for a table that there is none of.
    """

    def fresh(match: re.Match[str]) -> str:
        file, name, _ = match.groups()
        if name not in TABLES:
            raise UsageError(
                f"There is no table {name!r}.", remedy=f"Choose among {', '.join(TABLES)}."
            )
        return f"<!-- {file}: {name} -->\n{TABLES[name](found(file))}\n<!-- /{file}: {name} -->"

    return MARKER.sub(fresh, page)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of comparison files and README.md")
    folder: Path = parser.parse_args(given).study
    known: dict[str, Analysis] = {}

    def found(file: str) -> Analysis:
        if file not in known:
            known[file] = replayed(folder / f"{file}.toml")
        return known[file]

    try:
        path = folder / "README.md"
        path.write_text(filled(path.read_text(encoding="utf-8"), found), encoding="utf-8")
    except NpuTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{path}: the tables of {', '.join(known) or 'no comparison'} were made anew.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
