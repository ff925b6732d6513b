"""How far measured ratios on this machine's CPU vary, in spite of what else it does.

    python tests/benchmarks/bench_cpu_noise.py

First the float default is measured against itself while other processes keep all cores and the
memory busy: its ratio should be 1. Then one configuration, int8 in all layers, is measured on some
occasions between evaluations of random configurations: its ratio should be the same every time.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from cpu_problems import busy_machine, in_int8, problem_of, target
from float_networks import FLOAT_NETWORKS

from npu_tune.errors import InaccurateOutputError
from npu_tune.space import Configuration
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.metrics import RATIO
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
        ratios = np.array([_ratio(problem, default) for _ in range(options.runs)])
    away = np.abs(ratios - 1)
    within = int(np.sum(away <= LIMIT))
    print(
        f"{network}, default by itself beside {options.busy} busy processes: {within} of {len(ratios)} "
        f"within {LIMIT:.0%}; furthest {away.max():.2%}, standard deviation {ratios.std():.2%}"
    )
    return within >= LEAST_SHARE * len(ratios)


def _on_occasions(network: str, problem: MeasuredProblem, options: argparse.Namespace) -> bool:
    ratios = _repeated(problem, options.occasions, options.between)
    away = np.abs(ratios / np.median(ratios) - 1)
    print(
        f"{network}, int8 by default on {len(ratios)} occasions, {options.between} other "
        f"evaluations between two: median {np.median(ratios):.4f}, furthest from it "
        f"{away.max():.2%}, standard deviation {ratios.std() / np.median(ratios):.2%}"
    )
    return bool(away.max() <= LIMIT)


def _repeated(problem: MeasuredProblem, occasions: int, between: int) -> NDArray[np.float64]:
    others = iter(some_configurations(problem.space, max(occasions * between, 1)))
    ratios = []
    for _ in range(occasions):
        ratios.append(_ratio(problem, in_int8(problem.space)))
        for _ in range(between):
            try:
                problem.evaluate(next(others))
            except InaccurateOutputError:  # it was measured all the same
                continue
    return np.array(ratios)


def _ratio(problem: MeasuredProblem, configuration: Configuration) -> float:
    return problem.evaluate(configuration).metrics[RATIO]


if __name__ == "__main__":
    main()
