"""How many configurations a second the model of Neural-ART evaluates on one core.

    python tests/benchmarks/bench_simulation.py

Three ways to move through the space, each by `problem.evaluate` in this process: one layer at a
time is changed at random (a walk, as local searches make it), every knob of every layer is drawn
anew (as random search does; placing everything afresh), and what was evaluated before is asked
for again. Processor time counts, of the fastest of five parts, because other work on the machine
only slows. That cost grows no faster than the number of layers is shown on plain chains of convolutions.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from typing import Any

from npu_tune.network import Network
from npu_tune.network.read import network_from_bytes
from npu_tune.network.zoo import zoo_network
from npu_tune.network.zoo.builder import NetworkBuilder
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets import Problem, Target, load_target

ASKED = {"resnet8": 10_000, "mobilenet-v2": 1_000}
CHAINS = (10, 20, 40, 80)
PARTS = 5


def main() -> None:
    options = _options()
    target = load_target("neural-art-stm32n6")
    rows = [
        _row(name, zoo_network(name), target, options.configurations)
        for name in ("resnet8", "mobilenet-v2", "ds-cnn", "efficientnet-v2-b0")
    ]
    chains = [
        _row(f"{length} layers", _chain(length), target, options.configurations)
        for length in CHAINS
    ]
    if options.json:
        print(json.dumps({"networks": rows, "chains": chains}, indent=2))
        return
    print(f"{'':22}{'knobs':>7}{'one layer':>11}{'all layers':>12}{'known':>9}{'asked':>8}")
    for row in (*rows, *chains):
        print(
            f"{row['network']:22}{row['knobs']:7}{row['walk']:11.0f}{row['random']:12.0f}"
            f"{row['known']:9.0f}{ASKED.get(row['network'], '-'):>8}"
        )
    per_layer = [1e6 / row["walk"] / length for row, length in zip(chains, CHAINS, strict=True)]
    print("microseconds per layer and step:", ", ".join(f"{value:.1f}" for value in per_layer))


def _row(name: str, network: Network, target: Target, count: int) -> dict[str, Any]:
    with target.bind(network) as problem:
        space = problem.space
        walk = _walk(space, count, random.Random(0))
        drawn = [_drawn(space, random.Random(number)) for number in range(count // 4)]
        for configuration in _walk(space, 50, random.Random(1)):  # leave start-up out
            problem.evaluate(configuration)
        return {
            "network": name,
            "knobs": len(space.knobs),
            "walk": _rate(problem, walk),
            "random": _rate(problem, drawn),
            "known": _rate(problem, walk[-200:] * 5),
        }


def _chain(length: int) -> Network:
    net = NetworkBuilder("image", (1, 16, 32, 32), seed=0)
    x = "image"
    for index in range(length):
        x = net.conv(x, f"conv{index}", 16, kernel=3)
    model = net.model("chain", [x])
    return network_from_bytes(model.SerializeToString(), "onnx", f"chain{length}")


def _rate(problem: Problem, configurations: list[Configuration]) -> float:
    size = len(configurations) // PARTS
    return max(
        _once(problem, configurations[start : start + size])
        for start in range(0, size * PARTS, size)
    )


def _once(problem: Problem, configurations: list[Configuration]) -> float:
    started = time.process_time()
    for configuration in configurations:
        problem.evaluate(configuration)
    return len(configurations) / (time.process_time() - started)


def _walk(space: SearchSpace, count: int, generator: random.Random) -> list[Configuration]:
    """Configurations that differ from the one before in the knobs of one layer."""
    layers = [layer for layer in space.layers if layer != "network"]
    configuration, walk = space.default, []
    for _ in range(count):
        layer = generator.choice(layers)
        configuration = configuration.replace(
            {
                knob.full_name: generator.choice(knob.values)
                for knob in space.knobs
                if knob.layer == layer
            }
        )
        walk.append(configuration)
    return walk


def _drawn(space: SearchSpace, generator: random.Random) -> Configuration:
    return space.default.replace(
        {
            knob.full_name: generator.choice(knob.values)
            for knob in space.knobs
            if knob.layer != "network"
        }
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configurations", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
