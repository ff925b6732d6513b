"""Whether an evaluation equals a build, and how much faster it is than Vela's command line.

    python tests/benchmarks/bench_evaluation.py

Same numbers: random configurations with few, many and all knobs changed; each is evaluated in
one process, compiled and written in another, and all metrics are compared; a configuration that
one refuses the other has to refuse as well. What is reported without bytes of flash, whose command
stream is then left out, is compared with the same.

Speed: evaluations in one process against the wall time of `vela` with the Python core on the same
network, in turn. Few knobs changed are those of one layer, whose compilation is about the
command's; many are all knobs drawn anew, with cascades of many small stripes. Ratios are those of a
search under way, behind its first WARM evaluations, which meet every limit of the arena and most
weights for the first time; what those take stands beside them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
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
from npu_tune.testing.configurations import some_configurations

SAME = ("kws_dscnn", "resnet8", "person_detect", "mobilenet_v1_0.5", "yolo_fastest")
SPEED = ("kws_dscnn", "resnet8", "vww", "ad_autoencoder", "tf2_mobilenet_v2")

FEW, MANY = 20.0, 10.0
"""How many times faster than the command an evaluation without bytes of flash has to be."""

WARM, TURNS, TURNS_PER_COMMAND = 20, 30, 6


def main() -> None:
    options = _options()
    same = [] if options.speed else [_same(name, options) for name in SAME]
    speed = [_speed(name, options) for name in SPEED]
    if options.json:
        print(json.dumps({"same": same, "speed": speed}, indent=2))
    else:
        _print(same, speed)
    failed = any(row["different"] for row in same) or any(
        row["few"] < FEW or row["many"] < MANY for row in speed
    )
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="ethos-u55-128")
    parser.add_argument("--configurations", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--speed", action="store_true", help="only compare speeds")
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
    problem = _kept_problem(name, options.target)
    try:
        whole = dict(problem.evaluate(configuration).metrics)
        some = problem.evaluate_some(configuration, ()).metrics
    except EvaluationError as error:
        return error.failure
    return whole if some.items() <= whole.items() else "differs from itself"


def _built(arguments: tuple[str, argparse.Namespace, Configuration]) -> Any:
    name, options, configuration = arguments
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = _kept_problem(name, options.target).build(configuration, Path(folder))
        except EvaluationError as error:
            return error.failure
        return json.loads(artifact.files["configuration"].read_text())["metrics"]


def _speed(name: str, options: argparse.Namespace) -> dict[str, Any]:
    rng = random.Random(options.seed)
    times: dict[str, list[float]] = defaultdict(list)
    with _problem(name, options) as problem:
        problem.evaluate(problem.space.default)
        for _ in range(WARM):
            times["first"].append(_seconds(problem.evaluate_some, _drawn(problem, rng), ()))
        for turn in range(TURNS):
            for what, layers in (("few", 1), ("many", None)):
                some, whole = (_drawn(problem, rng, layers) for _ in range(2))
                times[what].append(_seconds(problem.evaluate_some, some, ()))
                times[f"{what}_whole"].append(_seconds(problem.evaluate, whole))
            if turn % TURNS_PER_COMMAND == 0:
                with tempfile.TemporaryDirectory() as folder:
                    arguments = (problem.network, problem.target, Path(folder))
                    times["command"].append(_seconds(vela_metrics, *arguments))
    medians = {what: statistics.median(each) for what, each in times.items()}
    command = medians.pop("command")
    ratios = {what: command / seconds for what, seconds in medians.items()}
    return {"network": name, "command_ms": command * 1e3, "few_ms": medians["few"] * 1e3, **ratios}


def _drawn(problem: Problem, rng: random.Random, layers: int | None = None) -> Configuration:
    """Draws the knobs of some layers anew, or all knobs."""
    knobs = problem.space.knobs
    chosen = set(problem.space.layers)
    if layers is not None:
        chosen = set(rng.sample(sorted(chosen), layers))
    return problem.space.configuration(
        {k.full_name: rng.choice(k.values) for k in knobs if k.layer in chosen}
    )


def _seconds(call: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    with contextlib.suppress(EvaluationError):
        call(*arguments)
    return time.perf_counter() - start


def _print(same: list[dict[str, Any]], speed: list[dict[str, Any]]) -> None:
    print("| network | configurations | refused by both | different |\n|---|---|---|---|")
    for row in same:
        print("| {network} | {configurations} | {refused} | {different} |".format(**row))
    print(
        "\nTimes faster than the vela command, without and with bytes of flash:\n"
        f"| network | vela command | one layer changed | few ({FEW:g} asked) | many ({MANY:g} asked)"
        " | few, with flash | many, with flash | first ones |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in speed:
        print(
            "| {network} | {command_ms:.0f} ms | {few_ms:.0f} ms | {few:.1f} | {many:.1f} "
            "| {few_whole:.1f} | {many_whole:.1f} | {first:.1f} |".format(**row)
        )


if __name__ == "__main__":
    main()
