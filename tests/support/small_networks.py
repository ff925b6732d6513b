"""Networks and spaces of a few layers, small enough to try every configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import CompilerError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.evaluation import evaluation_of
from npu_tune.targets.neural_art.free import FreeSpace
from npu_tune.targets.neural_art.hardware import HardwareVariants, load_hardware


def network_of(nodes: str, weights: Mapping[str, tuple[int, ...]], *, inputs: str) -> Network:
    """A network in ONNX's text form, with random weights of the given shapes."""
    generator = np.random.default_rng(0)
    values = {
        name: generator.normal(size=shape).astype(np.float32) for name, shape in weights.items()
    }
    return onnx_network(onnx_model(f"({inputs}) => (float y) {{ {nodes} }}", values, opset=13))


def core_of(
    network: Network, parameters: Mapping[str, Any], *, external_ram: bool = True
) -> NetworkCompiler:
    """A network on an STM32N6 with some parameters changed."""
    variants = HardwareVariants.of(load_hardware("stm32n6"), parameters)
    return NetworkCompiler(
        network,
        variants,
        rule="calibrated",
        choices=FreeSpace(four_bit_weights=False, external_ram=external_ram),
    )


def offer(core: NetworkCompiler, values: Mapping[str, Sequence[Value]]) -> None:
    """Leaves only these values of every knob, those that are not named at their default alone."""
    core.space = SearchSpace(
        tuple(
            replace(
                knob,
                values=tuple(
                    v
                    for v in knob.values
                    if v == knob.default or v in values.get(knob.full_name, ())
                ),
            )
            for knob in core.space.knobs
        ),
        effective=core.space.effective,
    )


def size_of(space: SearchSpace) -> int:
    """How many configurations there are."""
    return int(np.prod([len(knob.values) for knob in space.knobs], dtype=object))


def tried(core: NetworkCompiler, objectives: Sequence[str]) -> list[tuple[float, ...]]:
    """The metrics of every configuration, each once."""
    found = set()
    names = [knob.full_name for knob in core.space.knobs]
    for values in product(*(knob.values for knob in core.space.knobs)):
        configuration = Configuration(tuple(zip(names, values, strict=True)))
        try:
            run = core.run(configuration)
        except CompilerError:
            continue
        metrics = evaluation_of(run, core.hardware(configuration)).metrics
        # Sums in another order differ in their last digits.
        found.add(tuple(float(f"{metrics[name]:.12g}") for name in objectives))
    return sorted(found)


def front_of(points: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Those that no other one dominates, by comparing each with each."""
    return [
        point
        for point in points
        if not any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in points
        )
    ]
