"""Float networks by im2col and BLAS, as frameworks ran them before they had kernels of their own.

A convolution becomes a matrix product: its windows are copied to the columns of a matrix (im2col;
Chellapilla et al., "High Performance Convolutional Neural Networks for Document Processing"), which
NumPy's BLAS multiplies with the weights, group by group, as Caffe does. Done well otherwise:
views and buffers are made once, buffers are used again as soon as nobody reads them, what needs
no columns has none, and activations are computed in place.

NumPy's BLAS takes its number of threads from OPENBLAS_NUM_THREADS when it is imported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

Array = NDArray[np.float32]
Step = Callable[[], object]

IN_PLACE = ("Relu", "Clip", "Reshape", "Flatten")


class BlasNetwork:
    """A folded graph of batch 1, ready to run.

    Args:
        graph: of convolutions, poolings and what stands between them.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._pool = _Pool()
        self._tensors: dict[str, Array] = {}
        self._scratch = np.zeros(_largest_scratch(graph), np.float32)
        self._last_use = _last_uses(graph)
        for name in graph.inputs:
            self._tensors[name] = self._pool.take(graph.shapes[name])
        self._steps: list[Step] = []
        for index, node in enumerate(graph.nodes):
            self._steps += self._prepare(node, index)
        self._pool.free.clear()

    def run(self, feed: Mapping[str, NDArray[Any]]) -> list[Array]:
        """Computes the outputs."""
        for name in self._graph.inputs:
            np.copyto(self._tensors[name], feed[name])
        for step in self._steps:
            step()
        return [self._tensors[name].copy() for name in self._graph.outputs]

    def _prepare(self, node: OnnxNode, index: int) -> list[Step]:
        """The steps of a node; its output gets a buffer, and what nobody reads any more loses it."""
        inputs = [self._tensors[name] for name in self._graph.run_time_inputs(node)]
        shape = self._graph.shapes[node.output]
        last = [
            name
            for name in dict.fromkeys(self._graph.run_time_inputs(node))
            if self._last_use[name] == index
        ]
        if node.op in IN_PLACE and last:
            out = inputs[0].reshape(shape)
            last.clear()
        else:
            out = self._pool.take(shape)
        self._tensors[node.output] = out
        steps = _PREPARE[node.op](self._graph, node, inputs, out, self._scratch)
        for name in last:
            self._pool.give_back(self._tensors[name])
        return steps


class _Pool:
    """Buffers that are used again."""

    def __init__(self) -> None:
        self.free: list[Array] = []

    def take(self, shape: Sequence[int]) -> Array:
        """The smallest free buffer that is large enough, or a new one, as an array of a shape."""
        size = math.prod(shape)
        fitting = [each for each in self.free if each.size >= size]
        if fitting:
            buffer = min(fitting, key=lambda each: each.size)
            self.free = [each for each in self.free if each is not buffer]
        else:
            buffer = np.empty(size, np.float32)
        return buffer[:size].reshape(shape)

    def give_back(self, array: Array) -> None:
        """Frees the buffer that an array is a view of."""
        while isinstance(array.base, np.ndarray):
            array = array.base
        self.free.append(array)


def _last_uses(graph: OnnxGraph) -> dict[str, int]:
    """The last node that reads each tensor; beyond all nodes for outputs."""
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    return last | dict.fromkeys(graph.outputs, len(graph.nodes))


def _largest_scratch(graph: OnnxGraph) -> int:
    """Elements of the columns and the padded input that the largest node needs."""
    largest = 1
    for node in graph.nodes:
        if node.op in ("Conv", "MaxPool", "AveragePool"):
            window = _Window(graph, node)
            largest = max(largest, window.padded_size + window.columns_size)
    return largest


class _Window:
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
        top, left, bottom, right = self.pads
        height, width = self.sides
        inside = padded[:, top : top + height, left : left + width]
        edges = [padded[:, :top], padded[:, top + height :]]
        edges += [
            padded[:, top : top + height, :left],
            padded[:, top : top + height, left + width :],
        ]
        del bottom, right

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


def _convolution(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    window = _Window(graph, node)
    groups = int(node.attributes.get("group", 1))
    weights = graph.constants[node.inputs[1]]
    matrix = np.ascontiguousarray(weights.reshape(groups, len(weights) // groups, -1))
    depth, places = matrix.shape[2], math.prod(window.out)
    result = out.reshape(groups, -1, places)
    steps: list[Step] = []
    if window.is_point:
        columns = inputs[0].reshape(groups, depth, places)
    else:
        steps, data = window.pad(inputs[0], scratch, 0.0)
        flat = scratch[window.padded_size : window.padded_size + window.columns_size]
        windows, copied = window.view(data), flat.reshape(window.view(data).shape)
        steps.append(lambda: np.copyto(copied, windows))
        columns = flat.reshape(groups, depth, places)
    if groups == 1:  # a plain product has less overhead
        matrix, columns, result = matrix[0], columns[0], result[0]
    steps.append(lambda: np.matmul(matrix, columns, out=result))
    bias = graph.constant(node, 2)
    if bias is not None:
        added = bias.reshape(-1, 1, 1)
        steps.append(lambda: np.add(out[0], added, out=out[0]))
    return steps


def _pooling(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    window = _Window(graph, node)
    is_max = node.op == "MaxPool"
    steps, data = window.pad(inputs[0], scratch, -np.inf if is_max else 0.0)
    windows = window.view(data)
    slices = [windows[:, row, column] for row, column in product(*map(range, window.kernel))]
    combine = np.maximum if is_max else np.add

    def pool() -> None:
        np.copyto(out[0], slices[0])
        for each in slices[1:]:
            combine(out[0], each, out=out[0])

    steps.append(pool)
    if not is_max:
        if any(window.pads) and not node.attributes.get("count_include_pad"):
            raise NotImplementedError(f"{node} divides by fewer values at the edges")
        steps.append(lambda: np.multiply(out, np.float32(1 / len(slices)), out=out))
    return steps


def _global_average(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    flat = inputs[0].reshape(inputs[0].shape[1], -1)
    return [lambda: np.mean(flat, axis=1, out=out.reshape(-1))]


def _product(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    weights = graph.constants[node.inputs[1]]
    matrix = np.ascontiguousarray(weights if node.attributes.get("transB") else weights.T)
    bias = graph.constant(node, 2)
    steps: list[Step] = [lambda: np.matmul(matrix, inputs[0].reshape(-1), out=out.reshape(-1))]
    if bias is not None:
        steps.append(lambda: np.add(out, bias, out=out))
    return steps


def _clip(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    low, high = (graph.constants[name] for name in node.inputs[1:])
    return [lambda: np.clip(inputs[0], low, high, out=out)]


def _softmax(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    axis = int(node.attributes.get("axis", -1))

    def softmax() -> None:
        np.subtract(inputs[0], inputs[0].max(axis=axis, keepdims=True), out=out)
        np.exp(out, out=out)
        np.divide(out, out.sum(axis=axis, keepdims=True), out=out)

    return [softmax]


def _reshape(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    if np.shares_memory(out, inputs[0]):
        return []
    return [lambda: np.copyto(out, inputs[0].reshape(out.shape))]


def _rectify(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    return [lambda: np.maximum(inputs[0], np.float32(0), out=out)]


def _add(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    first, second = inputs
    return [lambda: np.add(first, second, out=out)]


def _concatenate(
    graph: OnnxGraph, node: OnnxNode, inputs: list[Array], out: Array, scratch: Array
) -> list[Step]:
    axis = int(node.attributes["axis"])
    return [lambda: np.concatenate(inputs, axis=axis, out=out)]


Prepare = Callable[[OnnxGraph, OnnxNode, list[Array], Array, Array], list[Step]]

_PREPARE: Mapping[str, Prepare] = {
    "Add": _add,
    "AveragePool": _pooling,
    "Clip": _clip,
    "Concat": _concatenate,
    "Conv": _convolution,
    "Flatten": _reshape,
    "Gemm": _product,
    "GlobalAveragePool": _global_average,
    "MaxPool": _pooling,
    "Relu": _rectify,
    "Reshape": _reshape,
    "Softmax": _softmax,
}
