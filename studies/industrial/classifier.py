"""The network: depthwise separable convolutions, in JAX.

Depthwise convolutions are sums of nine shifted products here; XLA's grouped convolution takes
several times as long on a CPU. The exported network has them as convolutions, and is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from modulation import BANDS, ORDERS
from vibration import CLASSES

Parameters = Mapping[str, jax.Array]

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
"""What JAX computes with; images come, and the exported network takes them, channels first."""

EPSILON = 1e-3
"""Added to the variance in batch normalization."""


@dataclass(frozen=True)
class Block:
    """A depthwise 3 x 3 and a pointwise convolution, each with ReLU.

    Args:
        channels: of the output.
        stride: of the depthwise convolution.
    """

    channels: int
    stride: int = 1


@dataclass(frozen=True)
class Convolution:
    """A convolution with batch normalization and ReLU.

    Args:
        name: of its parameters: ``NAME/kernel`` (HWIO) and what the normalization has.
        shape: of the kernel; of a depthwise one (height, width, 1, channels).
        stride: in both directions.
        depthwise: a kernel per channel.
        adds: whether what went into its block is added, before ReLU.
    """

    name: str
    shape: tuple[int, int, int, int]
    stride: int = 1
    depthwise: bool = False
    adds: bool = False

    @property
    def pads(self) -> tuple[int, int]:
        """Zeros before and behind, in both directions.

        At a stride of two those of TFLite's SAME, so that the int8 file needs no PAD operators.
        """
        ring = self.shape[0] // 2
        return (0 if self.stride == 2 else ring, ring)


@dataclass(frozen=True)
class Architecture:
    """How large the network is."""

    stem: int = 16
    blocks: tuple[Block, ...] = (
        Block(32),
        Block(128, stride=2),
        Block(128),
        Block(256, stride=2),
        Block(256),
        Block(256),
        Block(256),
    )

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """In the order in which they run."""
        found = [Convolution("stem", (3, 3, 1, self.stem), stride=2)]
        channels = self.stem
        for number, block in enumerate(self.blocks, start=1):
            adds = block.stride == 1 and block.channels == channels
            found += [
                Convolution(f"block{number}/depthwise", (3, 3, 1, channels), block.stride, True),
                Convolution(
                    f"block{number}/pointwise", (1, 1, channels, block.channels), adds=adds
                ),
            ]
            channels = block.channels
        return tuple(found)

    @property
    def features(self) -> int:
        """Channels of the last map."""
        return self.blocks[-1].channels


NETWORKS = {
    "wide": Architecture(),
    "narrow": Architecture(
        blocks=(
            Block(24),
            Block(32, stride=2),
            Block(32),
            Block(48, stride=2),
            Block(48),
            Block(64, stride=2),
            Block(64),
        )
    ),
}
"""By what the command calls them."""

IMAGE = (1, BANDS, ORDERS)
"""Of one sample: channels, bands, orders."""


def first_parameters(architecture: Architecture, seed: int) -> tuple[Parameters, Parameters]:
    """Weights after He et al., and the running means and variances of the normalizations."""
    generator = np.random.default_rng(seed)
    weights: dict[str, jax.Array] = {}
    running: dict[str, jax.Array] = {}
    for each in architecture.convolutions:
        height, width, inputs, outputs = each.shape
        scale = np.sqrt(2.0 / (height * width * inputs))
        kernel = generator.normal(0.0, scale, each.shape)
        weights[f"{each.name}/kernel"] = jnp.asarray(kernel, jnp.float32)
        weights[f"{each.name}/scale"] = jnp.ones(outputs)
        weights[f"{each.name}/shift"] = jnp.zeros(outputs)
        running[f"{each.name}/mean"] = jnp.zeros(outputs)
        running[f"{each.name}/variance"] = jnp.ones(outputs)
    dense = generator.normal(
        0.0, architecture.features**-0.5, (architecture.features, len(CLASSES))
    )
    weights["dense/kernel"] = jnp.asarray(dense, jnp.float32)
    weights["dense/bias"] = jnp.zeros(len(CLASSES))
    return weights, running


def convolved(x: jax.Array, kernel: jax.Array, each: Convolution) -> jax.Array:
    """The convolution alone."""
    pads = (each.pads, each.pads)
    if not each.depthwise:
        strides = (each.stride, each.stride)
        return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=DIMENSIONS)
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    step = each.stride
    return sum(
        padded[:, row : row + height : step, column : column + width : step]
        * kernel[row, column, 0]
        for row in range(3)
        for column in range(3)
    )


def training_logits(
    architecture: Architecture, weights: Parameters, images: jax.Array
) -> tuple[jax.Array, Parameters]:
    """Logits of a batch, normalized by its own means and variances, and these."""
    seen: dict[str, jax.Array] = {}

    def layer(x: jax.Array, each: Convolution) -> jax.Array:
        y = convolved(x, weights[f"{each.name}/kernel"], each)
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
        seen[f"{each.name}/mean"], seen[f"{each.name}/variance"] = mean, variance
        factor = weights[f"{each.name}/scale"] * lax.rsqrt(variance + EPSILON)
        return (y - mean) * factor + weights[f"{each.name}/shift"]

    return _logits(architecture, weights, images, layer), seen


def folded(architecture: Architecture, weights: Parameters, running: Parameters) -> Parameters:
    """Kernels and biases with the normalizations inside."""
    found = {name: weights[name] for name in ("dense/kernel", "dense/bias")}
    for each in architecture.convolutions:
        variance = running[f"{each.name}/variance"]
        factor = weights[f"{each.name}/scale"] * lax.rsqrt(variance + EPSILON)
        found[f"{each.name}/kernel"] = weights[f"{each.name}/kernel"] * factor
        found[f"{each.name}/bias"] = (
            weights[f"{each.name}/shift"] - running[f"{each.name}/mean"] * factor
        )
    return found


def logits(architecture: Architecture, parameters: Parameters, images: jax.Array) -> jax.Array:
    """Logits of images by folded parameters."""

    def layer(x: jax.Array, each: Convolution) -> jax.Array:
        y = convolved(x, parameters[f"{each.name}/kernel"], each)
        return y + parameters[f"{each.name}/bias"]

    return _logits(architecture, parameters, images, layer)


def _logits(architecture, parameters, images, layer):  # noqa: ANN001, ANN202 - private to the two above
    x = images.transpose(0, 2, 3, 1)
    kept = x
    for each in architecture.convolutions:
        if each.depthwise:
            kept = x
        y = layer(x, each)
        x = jax.nn.relu(y + kept if each.adds else y)
    return x.mean((1, 2)) @ parameters["dense/kernel"] + parameters["dense/bias"]
