"""Recorded rows of what the vendor offers: kept as CSV, made again on request, the best of them."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

LEAST_DB = 30.0

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """The rows that are kept; none before the first time."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def fewest_cycles(rows: Iterable[Row], network: str) -> Row | None:
    """The row of the fewest cycles of a network that keeps 30 dB; None where none does."""
    own = (row for row in rows if row["network"] == network and not row["failure"])
    allowed = [row for row in own if float(row["snr_db"]) >= LEAST_DB]
    return min(allowed, key=lambda row: float(row["cycles"]), default=None)


def make_again_on_request(
    description: str, path: Path, columns: Sequence[str], rows_of: Callable[[str], Iterable[Row]]
) -> None:
    """Makes the rows of the networks that the command line names, and keeps those of others.

    Args:
        description: of the program; its first line is the help's.
        path: of the kept rows.
        columns: of them.
        rows_of: makes those of a network.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--again", nargs="+", metavar="NETWORK", default=[])
    again = parser.parse_args().again
    if not again:
        return
    rows = [row for row in read_rows(path) if row["network"] not in again]
    for name in again:
        rows += rows_of(name)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
