"""Float networks of convolutions in a row, of which some suit int8 and some do not."""

from __future__ import annotations

import numpy as np
from two_runtimes import Array, onnx_model, onnx_network

from npu_tune.network import Network

CHANNELS = 8
INPUT = f"float[1,{CHANNELS},12,12] x"


def layers_of(number: int) -> tuple[tuple[str, str], ...]:
    """The layers with that number, by name and operator."""
    return ((f"c{number}", "Conv"), (f"r{number}", "Relu"))


def weights(layers: int, *, seed: int = 0) -> dict[str, Array]:
    """Weights that keep the spread of the values from layer to layer."""
    generator = np.random.default_rng(seed)
    shape = (CHANNELS, CHANNELS, 3, 3)
    spread = (2.0 / (CHANNELS * 9)) ** 0.5
    return {
        f"w{number}": generator.normal(0.0, spread, shape).astype(np.float32)
        for number in range(layers)
    }


def chain(layers: int, values: dict[str, Array] | None = None) -> Network:
    """Layers ``c0``, ``r0``, ``c1``, ... of convolutions with a ReLU behind each, ``x`` to ``y``."""
    nodes, source = [], "x"
    for number in range(layers):
        nodes.append(f"c{number} = Conv<pads=[2,2,0,0]>({source}, w{number})")
        nodes.append(f"r{number} = Relu(c{number})")
        source = f"r{number}"
    body = (
        f"({INPUT}) => (float y) {{ {' '.join(nodes)} y = MaxPool<kernel_shape=[2,2]>({source}) }}"
    )
    return onnx_network(onnx_model(body, values or weights(layers)))


def chain_with_outliers(layers: int, number: int) -> Network:
    """A chain in which one channel of a layer is a thousand times as large and then unread."""
    values = weights(layers)
    values[f"w{number}"][0] *= 1000.0
    values[f"w{number + 1}"][:, 0] = 0.0
    return chain(layers, values)
