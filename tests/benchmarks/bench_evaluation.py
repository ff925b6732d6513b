"""Whether an evaluation equals a build, and how much faster it is than Vela's command line.

    python tests/benchmarks/bench_evaluation.py

Same numbers: random configurations with few, many and all knobs changed; each is evaluated in
one process, compiled and written in another, and all figures are compared; a configuration that
one refuses the other has to refuse as well. Speed: random configurations in one process, after
the first one (which reads the network), against the wall time of `vela` with the Python core on
the same network, both alone and in turn. The ratio asked for is that of configurations with few
knobs changed, whose compilation is about the command's; random ones with more knobs changed have
cascades of many small stripes, which are more work, and stand beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from benchmark_networks import allows_cpu, benchmark_network
from vela_command import vela_metrics

from npu_tune.errors import EvaluationError
from npu_tune.space import Configuration
from npu_tune.targets import Problem
from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.testing.configurations import SHARES, some_configurations

SAME = ("kws_dscnn", "resnet8", "person_detect", "mobilenet_v1_0.5", "yolo_fastest")
SPEED = {"kws_dscnn": 10, "resnet8": 10, "vww": 10, "ad_autoencoder": 10, "tf2_mobilenet_v2": 5}
"""Networks and how many times faster than the command an evaluation has to be."""


def main() -> None:
    options = _options()
    same = [_same(name, options) for name in SAME]
    speed = [_speed(name, least, options) for name, least in SPEED.items()]
    if options.json:
        print(json.dumps({"same": same, "speed": speed}, indent=2))
    else:
        _print(same, speed)
    failed = any(row["different"] for row in same) or any(
        row["ratio"] < row["least"] for row in speed
    )
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="ethos-u55-128")
    parser.add_argument("--configurations", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _problem(name: str, options: argparse.Namespace) -> Problem:
    target = EthosUFamily().make(options.target, {"allow_cpu": allows_cpu(name)})
    return target.bind(benchmark_network(name))


@cache
def _kept_problem(name: str, target: str) -> Problem:
    """The problem of a worker process, which ends with it."""
    return _problem(name, argparse.Namespace(target=target))


def _configurations(name: str, options: argparse.Namespace, count: int) -> list[Configuration]:
    with _problem(name, options) as problem:
        return some_configurations(problem.space, count, options.seed)


def _same(name: str, options: argparse.Namespace) -> dict[str, Any]:
    configurations = _configurations(name, options, options.configurations)
    arguments = [(name, options, c) for c in configurations]
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as evaluator,
        ProcessPoolExecutor(1, get_context("spawn")) as builder,
    ):
        evaluated = list(evaluator.map(_evaluated, arguments))
        built = list(builder.map(_built, arguments))
    different = sum(a != b for a, b in zip(evaluated, built, strict=True))
    refused = sum(isinstance(answer, str) for answer in evaluated)
    return {
        "network": name,
        "configurations": len(configurations),
        "refused": refused,
        "different": different,
    }


def _evaluated(arguments: tuple[str, argparse.Namespace, Configuration]) -> Any:
    name, options, configuration = arguments
    try:
        return dict(_kept_problem(name, options.target).evaluate(configuration).metrics)
    except EvaluationError as error:
        return error.failure


def _built(arguments: tuple[str, argparse.Namespace, Configuration]) -> Any:
    name, options, configuration = arguments
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = _kept_problem(name, options.target).build(configuration, Path(folder))
        except EvaluationError as error:
            return error.failure
        return json.loads(artifact.files["configuration"].read_text())["metrics"]


def _speed(name: str, least: float, options: argparse.Namespace) -> dict[str, Any]:
    first, *configurations = _configurations(name, options, 31)
    ours: dict[bool, list[float]] = {True: [], False: []}
    theirs = []
    problem = _problem(name, options)
    problem.evaluate(first)
    for turn, configuration in enumerate(configurations, 1):
        start = time.perf_counter()
        try:
            problem.evaluate(configuration)
        except EvaluationError:
            continue
        ours[turn % len(SHARES) == 0].append(time.perf_counter() - start)
        if turn % 10 == 1:
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                vela_metrics(problem.network, problem.target, Path(folder))
                theirs.append(time.perf_counter() - start)
    problem.close()
    command, few, many = (statistics.median(times) for times in (theirs, ours[True], ours[False]))
    return {
        "network": name,
        "command_ms": command * 1e3,
        "few_ms": few * 1e3,
        "many_ms": many * 1e3,
        "ratio": command / few,
        "many_ratio": command / many,
        "least": least,
    }


def _print(same: list[dict[str, Any]], speed: list[dict[str, Any]]) -> None:
    print("| network | configurations | refused by both | different |\n|---|---|---|---|")
    for row in same:
        print("| {network} | {configurations} | {refused} | {different} |".format(**row))
    print(
        "\n| network | vela command | few knobs changed | many | times faster, few (many) | asked |"
    )
    print("|---|---|---|---|---|---|")
    for row in speed:
        print(
            "| {network} | {command_ms:.0f} ms | {few_ms:.0f} ms | {many_ms:.0f} ms "
            "| {ratio:.1f} ({many_ratio:.1f}) | {least} |".format(**row)
        )


if __name__ == "__main__":
    main()
