"""How long it takes to write a configuration for this machine's CPU, beside opening it.

    python tests/benchmarks/bench_cpu_writing.py

Ranges are found once; each configuration is drawn at random. Median and longest, in milliseconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from cpu_problems import in_int8, loaded, problem_of, target, write
from float_networks import FLOAT_NETWORKS

from npu_tune.targets.measured.machine import machine_name
from npu_tune.testing import some_configurations

MOST_MS = 100.0
"""Asked for on ResNet-50."""


def main() -> None:
    options = _options()
    print(f"{machine_name()}; one thread; {target().library}")
    print("| network | writing, median | longest | opening, all in int8 | asked |")
    print("|---|---|---|---|---|")
    reached = True
    for network in options.networks:
        with problem_of(network) as problem, tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            everything = in_int8(problem.space)
            write(problem, everything, folder / "first")  # finds the ranges
            taken = []
            drawn = some_configurations(problem.space, options.configurations)
            for number, configuration in enumerate(drawn):
                start = time.perf_counter()
                write(problem, configuration, folder / str(number))
                taken.append((time.perf_counter() - start) * 1e3)
            start = time.perf_counter()
            loaded(problem, everything, folder / "opened").close()
            opening = (time.perf_counter() - start) * 1e3
        median = float(np.median(taken))
        reached &= network != "resnet50" or median <= MOST_MS
        print(
            f"| {network} | {median:.1f} ms | {max(taken):.1f} ms | {opening:.1f} ms "
            f"| {f'{MOST_MS:g} ms' if network == 'resnet50' else ''} |",
            flush=True,
        )
    sys.exit(0 if reached else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=FLOAT_NETWORKS,
        default=["resnet50", "squeezenet", "mobilenetv2"],
    )
    parser.add_argument("--configurations", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
