"""Injects every fault and prints what was lost; ``python tests/faults/matrix.py --help``.

Results are kept in a file as they come, so that the whole may run in portions, and the table is
made of all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS / "support"), str(_TESTS / "faults")]

from drivers import driver_faults  # noqa: E402 - the folder had to be found first
from kills import kill_faults  # noqa: E402
from machines import machine_faults  # noqa: E402
from outages import outage_faults  # noqa: E402
from tally import Fault, Tally  # noqa: E402
from workers import worker_faults  # noqa: E402

PAGE = _TESTS.parent / "docs" / "faults.md"
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"
_HEAD = "| injected | where | times | finished before | lost | evaluated again | left behind | also wrong |"


def faults() -> Iterator[Fault]:
    """All of the matrix."""
    yield from kill_faults()
    yield from driver_faults()
    yield from worker_faults()
    yield from outage_faults()
    yield from machine_faults()


def row(fault: Fault, tally: Tally) -> str:
    """A line of the table."""
    cells = [
        fault.what,
        fault.where,
        tally.injected,
        tally.finished,
        tally.lost,
        tally.again,
        len(tally.left),
        len(tally.wrong),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def table(tallies: Iterable[tuple[Fault, Tally]]) -> str:
    """The whole table as Markdown."""
    rule = "|---|---|" + "---:|" * (_HEAD.count("|") - 3)
    return "\n".join([_HEAD, rule, *(row(fault, tally) for fault, tally in tallies)])


def table_of(page: str) -> dict[str, list[int]]:
    """The rows that a page has, by the fault's name, as numbers."""
    lines = page.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {f"{what}, {where}": list(map(int, rest)) for what, where, *rest in cells}


def main() -> None:
    """Injects the faults that are asked for, keeps what came of them, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="faults whose name contains this pattern")
    parser.add_argument("--times", type=int, help="how often each is injected at most")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, default=Path("faults.json"), help="results so far")
    parser.add_argument("--again", action="store_true", help="also what the file has already")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    kept = json.loads(asked.keep.read_text()) if asked.keep.exists() else {}
    for fault in faults():
        if not re.search(asked.only, fault.name) or (fault.name in kept and not asked.again):
            continue
        times = min(fault.times, asked.times or fault.times)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="npu-tune-faults-") as folder:
            tally = fault.inject(Path(folder), times, asked.seed)
        kept[fault.name] = dataclasses.asdict(tally)
        asked.keep.write_text(json.dumps(kept, indent=1))
        print(row(fault, tally), f"{time.monotonic() - began:.0f} s", flush=True)
        for sentence in (*tally.left, *tally.wrong):
            print(f"    {sentence}", flush=True)
    found = [(fault, Tally(**kept[fault.name])) for fault in faults() if fault.name in kept]
    print(table(found))
    if asked.write:
        text = PAGE.read_text()
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}")
    sys.exit(not all(tally.is_clean for _, tally in found))


if __name__ == "__main__":
    main()
