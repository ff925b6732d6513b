"""How far measured ratios on this machine's CPU vary, in spite of what else it does.

    python tests/benchmarks/bench_cpu_noise.py

First the float default is measured against itself while other processes keep all cores and the
memory busy: its ratio should be 1. Then two configurations, int8 in all layers and in the first half
of them, are measured on some occasions between evaluations of random configurations: their ratios
should be the same every time. Beside them stands what they took, which tells whether the processor
was slow at times.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from cpu_problems import busy_machine, in_int8, problem_of, target
from float_networks import FLOAT_NETWORKS

from npu_tune.errors import InaccurateOutputError
from npu_tune.space import Configuration
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.metrics import LATENCY, RATIO
from npu_tune.targets.measured.problem import MeasuredProblem
from npu_tune.testing import some_configurations

LIMIT = 0.02
"""That a ratio may be away."""

LEAST_SHARE = 19 / 20
"""Of the runs of the default against itself, within the limit."""


def main() -> None:
    options = _options()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the busy processes
    print(f"{machine_name()}; one thread; {target().library}")
    reached = True
    for network in options.networks:
        with problem_of(network) as problem:
            reached &= _against_itself(network, problem, options)
            reached &= _on_occasions(network, problem, options)
    sys.exit(0 if reached else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--networks", nargs="+", choices=FLOAT_NETWORKS, default=["squeezenet", "mobilenetv2"]
    )
    parser.add_argument("--runs", type=int, default=20, help="of the default against itself")
    parser.add_argument("--busy", type=int, default=4, help="processes beside them")
    parser.add_argument("--occasions", type=int, default=10, help="for the same configuration")
    parser.add_argument("--between", type=int, default=2, help="other evaluations")
    return parser.parse_args()


def _against_itself(network: str, problem: MeasuredProblem, options: argparse.Namespace) -> bool:
    default = problem.space.default
    problem.evaluate(default)
    with busy_machine(options.busy):
        ratios = np.array([problem.evaluate(default).metrics[RATIO] for _ in range(options.runs)])
    away = np.abs(ratios - 1)
    within = int(np.sum(away <= LIMIT))
    print(
        f"{network}, default by itself beside {options.busy} busy processes: {within} of {len(ratios)} "
        f"within {LIMIT:.0%}; furthest {away.max():.2%}, standard deviation {ratios.std():.2%}"
    )
    return within >= LEAST_SHARE * len(ratios)


def _on_occasions(network: str, problem: MeasuredProblem, options: argparse.Namespace) -> bool:
    layers = list(problem.space.layers)
    reached = True
    for label, configuration in (
        ("int8", in_int8(problem.space)),
        ("half in int8", in_int8(problem.space, but=frozenset(layers[len(layers) // 2 :]))),
    ):
        metrics = _repeated(problem, configuration, options)
        ratios = np.array([each[RATIO] for each in metrics])
        taken = np.array([each[LATENCY] for each in metrics])
        print(
            f"{network}, {label}, on {len(ratios)} occasions, {options.between} other evaluations "
            f"between two: {_spread(ratios)}; it took {taken.min():.2f} to {taken.max():.2f} ms",
            flush=True,
        )
        reached &= bool(np.all(np.abs(ratios / np.median(ratios) - 1) <= LIMIT))
    return reached


def _spread(ratios: NDArray[np.float64]) -> str:
    median = np.median(ratios)
    away = np.abs(ratios / median - 1).max()
    return (
        f"median {median:.4f}, furthest from it {away:.2%}, "
        f"standard deviation {ratios.std() / median:.2%}"
    )


def _repeated(
    problem: MeasuredProblem, configuration: Configuration, options: argparse.Namespace
) -> list[Mapping[str, float]]:
    """Metrics of a configuration, with other evaluations between them."""
    others = iter(some_configurations(problem.space, max(options.occasions * options.between, 1)))
    metrics = []
    for _ in range(options.occasions):
        metrics.append(problem.evaluate(configuration).metrics)
        for _ in range(options.between):
            try:
                problem.evaluate(next(others))
            except InaccurateOutputError:  # it was measured all the same
                continue
    return metrics


if __name__ == "__main__":
    main()
