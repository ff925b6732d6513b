"""Blocks that several topologies consist of."""

from __future__ import annotations

from npu_tune.network.zoo.builder import Activation, NetworkBuilder

BRANCH_GAIN = 0.4
"""Of residual branches, which correct their input when trained; at full size, random ones would
mask it."""

GATE_GAIN = 2.0
"""Of the layer behind squeeze-and-excite: it compensates that gates are near one half."""


def squeeze_and_excite(
    net: NetworkBuilder, x: str, name: str, reduced: int, *, activation: Activation
) -> str:
    """Gates every channel of a map by all channels' means (Hu et al., 2018)."""
    gate = net.channel_means(x, f"{name}/squeeze")
    gate = net.conv(gate, f"{name}/reduce", reduced, activation=activation)
    gate = net.conv(gate, f"{name}/excite", net.shape(x)[1], activation="sigmoid")
    return net.multiply(x, gate, f"{name}/gated")


def project(
    net: NetworkBuilder, x: str, y: str, name: str, *, channels: int, stride: int, gain: float
) -> str:
    """Ends an inverted residual block: a linear convolution, and the block's input where it fits."""
    residual = stride == 1 and net.shape(x)[1] == channels
    gain *= BRANCH_GAIN if residual else 1.0
    y = net.conv(y, f"{name}/project", channels, activation="none", gain=gain)
    return net.add(x, y, f"{name}/add") if residual else y
