"""How much memory int8 takes on this machine's CPU, beside BLAS float and the library's own float.

    python tests/benchmarks/bench_cpu_memory.py

Every program loads its file and runs in a fresh process; the peaks are above what the process held
when its libraries were imported. int8 is in all layers. Weights are seeded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from blas_baseline import BlasNetwork
from cpu_problems import in_int8, problem_of, target, write
from float_networks import FLOAT_NETWORKS

from npu_tune.targets.cpu_onnxruntime.engine import OnnxRuntimeEngine
from npu_tune.targets.measured.folding import float_graph
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.memory import PeakMemory

MOST_SHARE = 0.5
"""Of the peak of either float, that the peak of int8 may be."""

BLAS, FLOAT, INT8 = "BLAS float", "library float", "int8"
GRAPH = "graph.pickle"
INPUT = "input.npz"


def main() -> None:
    options = _options()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported in a process
    print(f"{machine_name()}; one thread; {target().library}, NumPy {np.__version__}'s BLAS")
    print(
        "| network | program | loading, MiB | running, MiB | peak by BLAS float | by library float |"
    )
    print("|---|---|---|---|---|---|")
    reached = True
    for network in options.networks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _fresh(_prepare, network, folder)
            peaks = {
                BLAS: _fresh(_blas_peaks, folder),
                FLOAT: _fresh(_library_peaks, folder, FLOAT),
                INT8: _fresh(_library_peaks, folder, INT8),
            }
        most = {program: max(both) for program, both in peaks.items()}
        for program, (load, run) in peaks.items():
            print(
                f"| {network} | {program} | {load / 2**20:.1f} | {run / 2**20:.1f} "
                f"| {most[program] / most[BLAS]:.2f} | {most[program] / most[FLOAT]:.2f} |"
            )
        least = min(most[BLAS], most[FLOAT])
        reached &= network != "resnet50" or most[INT8] <= MOST_SHARE * least
    sys.exit(0 if reached else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=FLOAT_NETWORKS, default=["resnet50"])
    return parser.parse_args()


def _fresh(function: Any, *arguments: Any) -> Any:
    """Calls a function in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(function, arguments)


def _prepare(network: str, folder: Path) -> None:
    """Writes what the three programs load."""
    with problem_of(network) as problem:
        for program, configuration in (
            (FLOAT, problem.space.default),
            (INT8, in_int8(problem.space)),
        ):
            write(problem, configuration, folder / program)
        np.savez(folder / INPUT, allow_pickle=False, **dict(problem._fidelity.feeds[0]))
    with (folder / GRAPH).open("wb") as stream:
        pickle.dump(float_graph(FLOAT_NETWORKS[network]()), stream, pickle.HIGHEST_PROTOCOL)


def _blas_peaks(folder: Path) -> tuple[int, int]:
    """Bytes while loading and while running."""
    feed = dict(np.load(folder / INPUT))
    memory = PeakMemory()
    with (folder / GRAPH).open("rb") as stream:
        network = BlasNetwork(pickle.load(stream))  # noqa: S301 - written above
    return _peaks(memory, network, feed)


def _library_peaks(folder: Path, program: str) -> tuple[int, int]:
    """Bytes while loading and while running."""
    feed = dict(np.load(folder / INPUT))
    engine = OnnxRuntimeEngine()
    engine.prepare()
    memory = PeakMemory()
    network = engine.load(folder / program, {}, profile=False)
    return _peaks(memory, network, feed)


def _peaks(memory: PeakMemory, network: Any, feed: Any) -> tuple[int, int]:
    load = memory.read()
    memory.restart()
    network.run(feed)
    network.run(feed)
    return load, memory.read()


if __name__ == "__main__":
    main()
