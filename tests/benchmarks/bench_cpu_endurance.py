"""What many evaluations on this machine's CPU leave behind: files, processes, memory.

    python tests/benchmarks/bench_cpu_endurance.py

Random configurations of a tiny network are evaluated one after another; open files, child processes,
temporary files, and the memory of the problem's process and of the measuring process are counted
after a tenth of the evaluations, by when caches are full, and after all. None may grow; memory
counts as grown from 4 MiB on, which a leak of 5 KiB an evaluation would reach in 1,000. Two kinds
of temporary files stay and are not counted: a lock per core, and onnxruntime's own `.ses`.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from cpu_problems import problem_of, target
from float_networks import FLOAT_NETWORKS

from npu_tune.errors import InaccurateOutputError
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.problem import MeasuredProblem
from npu_tune.testing import some_configurations

DISTINCT = 20
"""Configurations, again and again."""

MEMORY_TOLERANCE = {"own_memory": 4 << 20, "measuring_memory": 4 << 20}
"""Bytes; allocators keep some of what is freed."""


@dataclass(frozen=True)
class Held:
    """What is held at a time.

    Args:
        open_files: of this process and of the measuring process.
        processes: below this one.
        temporary_files: and folders.
        own_memory: bytes resident of this process.
        measuring_memory: bytes resident of the measuring process.
    """

    open_files: int
    processes: int
    temporary_files: int
    own_memory: int
    measuring_memory: int


def main() -> None:
    options = _options()
    print(f"{machine_name()}; one thread; {target().library}; {options.network}")
    with tempfile.TemporaryDirectory() as folder:
        # Its own, so that what other programs leave is not counted.
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        before, after, left = _held(options.network, options.evaluations, Path(folder))
    grown = _grown(before, after)
    print(f"| | after a tenth | after {options.evaluations} evaluations | once closed |")
    print("|---|---|---|---|")
    for name, value in asdict(before).items():
        print(f"| {name} | {value} | {asdict(after)[name]} | {asdict(left)[name]} |")
    print("grown: " + (", ".join(grown) or "nothing"))
    sys.exit(0 if not grown and not left.processes and not left.temporary_files else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", choices=FLOAT_NETWORKS, default="tiny")
    parser.add_argument("--evaluations", type=int, default=1000)
    return parser.parse_args()


def _held(network: str, evaluations: int, folder: Path) -> tuple[Held, Held, Held]:
    """What is held after some evaluations, after all, and once the problem is closed."""
    first = max(evaluations // 10, DISTINCT)
    with problem_of(network) as problem:
        configurations = cycle(some_configurations(problem.space, DISTINCT))
        for count in (first, evaluations - first):
            for configuration in islice(configurations, count):
                try:
                    problem.evaluate(configuration)
                except InaccurateOutputError:  # it was measured all the same
                    continue
            if count == first:
                before = _count(folder, problem)
        after = _count(folder, problem)
    return before, after, _count(folder, None)


def _count(folder: Path, problem: MeasuredProblem | None) -> Held:
    gc.collect()
    pid = None if problem is None else problem._session.pid
    measuring = [] if pid is None else [pid]
    return Held(
        sum(map(_open_files, (os.getpid(), *measuring))),
        len(_children(os.getpid())),
        sum(path.suffix != ".lock" and path.name != ".ses" for path in folder.rglob("*")),
        _resident(os.getpid()),
        sum(map(_resident, measuring)),
    )


def _open_files(number: int) -> int:
    return sum(1 for _ in Path(f"/proc/{number}/fd").iterdir())


def _children(number: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{number}/task").iterdir():
        for child in map(int, (task / "children").read_text(encoding="ascii").split()):
            found += [child, *_children(child)]
    return found


def _resident(number: int) -> int:
    pages = Path(f"/proc/{number}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _grown(before: Held, after: Held) -> list[str]:
    earlier: Mapping[str, int] = asdict(before)
    return [
        name
        for name, value in asdict(after).items()
        if value > earlier[name] + MEMORY_TOLERANCE.get(name, 0)
    ]


if __name__ == "__main__":
    main()
