"""How near the bound of Ethos-U is to what a search finds.

    python tests/benchmarks/bench_bound.py [NETWORK ...]

Per network and metric: the default and the best known of Vela's own front, the planned starts and
some random configurations, as multiples of the bound; each metric by itself, since no configuration
need be the best in both. With --studies the best of a study of each metric alone counts too. The
seconds are processor time for the bound, once the space is known.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from npu_tune import api
from npu_tune.errors import EvaluationError
from npu_tune.network import Network, zoo_network
from npu_tune.space import Configuration
from npu_tune.targets import Problem, Target, load_target
from npu_tune.targets.oracle import require_bounded
from npu_tune.testing.configurations import some_configurations

os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated

NETWORKS = (
    *("st-mnist", "ds-cnn", "resnet8", "mobilenet-v1-0.25-96", "resnet32"),
    *("fd-mobilenet-0.25-128", "squeezenet-128-c101", "mobilenet-v2-0.35-96"),
)


def main() -> None:
    options = _options()
    target = load_target(options.target)
    print(
        f"| {options.target} | cycles, bound | default | best known | SRAM, bound | default | ",
        end="",
    )
    print("best known | seconds |\n|---|---|---|---|---|---|---|---|", flush=True)
    is_broken = False
    for name in options.networks:
        row, is_below = _row(name, target, options)
        is_broken = is_broken or is_below
        print(row, flush=True)
    sys.exit(1 if is_broken else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--target", default="ethos-u55-128")
    parser.add_argument("--configurations", type=int, default=30, help="random ones")
    parser.add_argument("--studies", type=Path, help="folder for studies of each metric alone")
    parser.add_argument("--evaluations", type=int, default=300, help="of each study")
    return parser.parse_args()


def _row(name: str, target: Target, options: argparse.Namespace) -> tuple[str, bool]:
    network = zoo_network(name, format="tflite")
    with target.bind(network) as problem:
        start = time.process_time() if problem.space else 0.0
        bound = require_bounded(problem).bound().metrics
        seconds = time.process_time() - start
        default = problem.evaluate_some(problem.space.default, ()).metrics
        known = [default]
        for configuration in _tried(problem, options.configurations):
            try:
                known.append(problem.evaluate_some(configuration, ()).metrics)
            except EvaluationError:
                continue
    cells, is_below = [], False
    for metric, least in bound.items():
        best = min(row[metric] for row in known)
        if options.studies is not None:
            best = min(best, _studied(network, target, metric, options))
        is_below = is_below or best < least
        cells.append(f"{least:,.0f}")
        cells += [f"{value / least:.3f}" if least else "-" for value in (default[metric], best)]
    return f"| {name} | {' | '.join(cells)} | {seconds:.1f} |", is_below


def _tried(problem: Problem, count: int) -> Iterator[Configuration]:
    yield from (start.configuration for start in problem.starts())
    yield from some_configurations(problem.space, count)


def _studied(network: Network, target: Target, metric: str, options: argparse.Namespace) -> float:
    """What a study of one metric finds; resumed where it is there already."""
    result = api.tune(
        network,
        target,
        study=options.studies / f"{network.name}-{metric}",
        objective=metric,
        evaluations=options.evaluations,
    )
    return float("inf") if result.best is None else result.best.metrics[metric]


if __name__ == "__main__":
    main()
