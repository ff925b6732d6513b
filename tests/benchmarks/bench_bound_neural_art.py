"""How far the bounds of Neural-ART are below the best known configurations.

`python tests/benchmarks/bench_bound_neural_art.py [NETWORK ...]`

The best known of a weighting are the planned configurations and what hill climbing from the best of
them finds: the plan's neighbours, and those of its variants with halos computed again and with all
weights in RAM outside the chip. Prints processor seconds, because other programs may share the
machine, and by how many per cent the best known is above the bound.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Mapping

from npu_tune.errors import EvaluationError
from npu_tune.network import zoo_network
from npu_tune.space import Configuration, Value
from npu_tune.targets import Problem, load_target
from npu_tune.targets.oracle import Bound, Gap, gap, require_oracle

NETWORKS = ("ds-cnn", "resnet8", "mobilenet-v1-0.25-96", "mobilenet-v2")
SHARES_OF_LATENCY = (0.5, 1.0, 0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--evaluations", type=int, default=5000, help="per weighting")
    given = parser.parse_args()
    print(
        f"{'network':24s} {'bound, CPU s':>12s} {'latency':>8s} {'known':>8s} {'bound':>8s} {'gap':>8s}"
    )
    below = False
    for name in given.networks:
        problem = load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx"))
        start = time.process_time()
        bound = require_oracle(problem).bound()
        seconds = time.process_time() - start
        for share in SHARES_OF_LATENCY:
            found = best_known(problem, bound, share, given.evaluations)
            below = below or found.excess < -1e-9
            print(
                f"{name:24s} {seconds:12.1f} {share:8.0%} {found.cost:8.4f} "
                f"{found.least_cost:8.4f} {found.excess:8.2%}",
                flush=True,
            )
    return int(below)


def best_known(problem: Problem, bound: Bound, share: float, evaluations: int) -> Gap:
    """The gap of the cheapest configuration that climbing finds from planned ones."""
    baseline = problem.evaluate(problem.space.default).metrics
    weights = {"latency_ms": share, "ram_bytes": 1 - share}

    def measure(configuration: Configuration) -> Gap | None:
        try:
            metrics = problem.evaluate(configuration).metrics
        except EvaluationError:
            return None
        return gap(bound, metrics, weights=weights, baseline=baseline)

    planned = [start.configuration for start in problem.starts()]
    tried = [
        (c, measure(c)) for c in (*planned, *(v for c in planned for v in variants(problem, c)))
    ]
    configuration, best = min(
        ((c, found) for c, found in tried if found is not None), key=lambda each: each[1].cost
    )
    generator = random.Random(0)
    for _ in range(evaluations):
        changed = configuration.replace(changes(problem, generator))
        found = measure(changed)
        if found is not None and found.cost <= best.cost:
            configuration, best = changed, found
    return best


def variants(problem: Problem, configuration: Configuration) -> Iterator[Configuration]:
    """The configuration with halos computed again, and with all weights outside the chip."""
    knobs = problem.space.knobs
    recomputing: dict[str, Value] = {k.full_name: "recompute" for k in knobs if k.name == "halo"}
    outside: dict[str, Value] = {}
    for knob in knobs:
        if knob.name == "weights" and configuration[knob.full_name] != "resident":
            outside |= {knob.full_name: "resident", f"{knob.layer}/weights_pool": "external"}
    for values in (recomputing, {n: v for n, v in outside.items() if n in configuration}):
        yield configuration.replace(values)


def changes(problem: Problem, generator: random.Random) -> Mapping[str, Value]:
    """Random values of a few knobs, of one layer or of any."""
    knobs = problem.space.knobs
    if generator.random() < 0.5:
        layer = generator.choice(knobs).layer
        knobs = tuple(knob for knob in knobs if knob.layer == layer)
    chosen = generator.sample(knobs, min(len(knobs), generator.choice((1, 1, 1, 2, 2, 3, 5))))
    return {knob.full_name: generator.choice(knob.values) for knob in chosen}


if __name__ == "__main__":
    raise SystemExit(main())
