"""The windows of convolutions and poolings, as views of the input."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

Array = NDArray[np.float32]

Step = Callable[[], object]
"""A part of what an operator does, on arrays that stay where they are."""


class ImageWindows:
    """The windows of a convolution or pooling of batch 1.

    Args:
        graph: with the shapes.
        node: that has them.
    """

    def __init__(self, graph: OnnxGraph, node: OnnxNode) -> None:
        self.kernel = node.ints("kernel_shape") or graph.shapes[node.inputs[1]][2:]
        self.strides = node.ints("strides", (1, 1))
        self.dilations = node.ints("dilations", (1, 1))
        self.pads = node.ints("pads", (0, 0, 0, 0))
        _, self.channels, *self.sides = graph.shapes[node.inputs[0]]
        self.out = graph.shapes[node.output][2:]
        if node.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise NotImplementedError(f"{node} pads by itself")

    @property
    def is_point(self) -> bool:
        """True where the windows are the input itself."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads)

    @property
    def padded_sides(self) -> tuple[int, int]:
        top, left, bottom, right = self.pads
        return self.sides[0] + top + bottom, self.sides[1] + left + right

    @property
    def padded_size(self) -> int:
        return self.channels * math.prod(self.padded_sides) if any(self.pads) else 0

    @property
    def columns_size(self) -> int:
        return 0 if self.is_point else self.channels * math.prod(self.kernel + self.out)

    def pad(self, data: Array, scratch: Array, value: float) -> tuple[list[Step], Array]:
        """How to pad the input, and what it is then."""
        if not any(self.pads):
            return [], data[0]
        padded = scratch[: self.padded_size].reshape(self.channels, *self.padded_sides)
        top, left = self.pads[:2]
        height, width = self.sides
        inside = padded[:, top : top + height, left : left + width]
        edges = [padded[:, :top], padded[:, top + height :]]
        edges += [
            padded[:, top : top + height, :left],
            padded[:, top : top + height, left + width :],
        ]

        def fill() -> None:
            for edge in edges:
                edge.fill(value)
            np.copyto(inside, data[0])

        return [fill], padded

    def view(self, data: Array) -> Array:
        """Windows without copying: channels, kernel, output."""
        channel, row, column = data.strides
        return as_strided(
            data,
            (self.channels, *self.kernel, *self.out),
            (
                channel,
                row * self.dilations[0],
                column * self.dilations[1],
                row * self.strides[0],
                column * self.strides[1],
            ),
        )
