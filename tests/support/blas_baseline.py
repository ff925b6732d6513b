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
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from image_windows import Array, ImageWindows, Step
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

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
        steps = _PREPARE[node.op](_Place(self._graph, node, inputs, out, self._scratch))
        for name in last:
            self._pool.give_back(self._tensors[name])
        return steps


@dataclass(frozen=True)
class _Place:
    """A node with where it reads and writes.

    Args:
        graph: with shapes and constants.
        node: the operator.
        inputs: that are computed at run time.
        out: of it.
        scratch: that all nodes share, for what does not outlive them.
    """

    graph: OnnxGraph
    node: OnnxNode
    inputs: list[Array]
    out: Array
    scratch: Array


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
            window = ImageWindows(graph, node)
            largest = max(largest, window.padded_size + window.columns_size)
    return largest


def _convolution(at: _Place) -> list[Step]:
    window = ImageWindows(at.graph, at.node)
    groups = int(at.node.attributes.get("group", 1))
    weights = at.graph.constants[at.node.inputs[1]]
    matrix = np.ascontiguousarray(weights.reshape(groups, len(weights) // groups, -1))
    depth, places = matrix.shape[2], math.prod(window.out)
    result = at.out.reshape(groups, -1, places)
    steps: list[Step] = []
    if window.is_point:
        columns = at.inputs[0].reshape(groups, depth, places)
    else:
        steps, data = window.pad(at.inputs[0], at.scratch, 0.0)
        flat = at.scratch[window.padded_size : window.padded_size + window.columns_size]
        windows, copied = window.view(data), flat.reshape(window.view(data).shape)
        steps.append(lambda: np.copyto(copied, windows))
        columns = flat.reshape(groups, depth, places)
    if groups == 1:  # a plain product has less overhead
        matrix, columns, result = matrix[0], columns[0], result[0]
    steps.append(lambda: np.matmul(matrix, columns, out=result))
    bias = at.graph.constant(at.node, 2)
    if bias is not None:
        added = bias.reshape(-1, 1, 1)
        steps.append(lambda: np.add(at.out[0], added, out=at.out[0]))
    return steps


def _pooling(at: _Place) -> list[Step]:
    window = ImageWindows(at.graph, at.node)
    is_max = at.node.op == "MaxPool"
    steps, data = window.pad(at.inputs[0], at.scratch, -np.inf if is_max else 0.0)
    windows = window.view(data)
    slices = [windows[:, row, column] for row, column in product(*map(range, window.kernel))]
    combine = np.maximum if is_max else np.add

    def pool() -> None:
        np.copyto(at.out[0], slices[0])
        for each in slices[1:]:
            combine(at.out[0], each, out=at.out[0])

    steps.append(pool)
    if not is_max:
        if any(window.pads) and not at.node.attributes.get("count_include_pad"):
            raise NotImplementedError(f"{at.node} divides by fewer values at the edges")
        steps.append(lambda: np.multiply(at.out, np.float32(1 / len(slices)), out=at.out))
    return steps


def _global_average(at: _Place) -> list[Step]:
    flat = at.inputs[0].reshape(at.inputs[0].shape[1], -1)
    return [lambda: np.mean(flat, axis=1, out=at.out.reshape(-1))]


def _product(at: _Place) -> list[Step]:
    weights = at.graph.constants[at.node.inputs[1]]
    matrix = np.ascontiguousarray(weights if at.node.attributes.get("transB") else weights.T)
    bias = at.graph.constant(at.node, 2)
    steps: list[Step] = [
        lambda: np.matmul(matrix, at.inputs[0].reshape(-1), out=at.out.reshape(-1))
    ]
    if bias is not None:
        steps.append(lambda: np.add(at.out, bias, out=at.out))
    return steps


def _clip(at: _Place) -> list[Step]:
    low, high = (at.graph.constants[name] for name in at.node.inputs[1:])
    return [lambda: np.clip(at.inputs[0], low, high, out=at.out)]


def _softmax(at: _Place) -> list[Step]:
    axis = int(at.node.attributes.get("axis", -1))

    def softmax() -> None:
        np.subtract(at.inputs[0], at.inputs[0].max(axis=axis, keepdims=True), out=at.out)
        np.exp(at.out, out=at.out)
        np.divide(at.out, at.out.sum(axis=axis, keepdims=True), out=at.out)

    return [softmax]


def _reshape(at: _Place) -> list[Step]:
    if np.shares_memory(at.out, at.inputs[0]):
        return []
    return [lambda: np.copyto(at.out, at.inputs[0].reshape(at.out.shape))]


def _rectify(at: _Place) -> list[Step]:
    return [lambda: np.maximum(at.inputs[0], np.float32(0), out=at.out)]


def _add(at: _Place) -> list[Step]:
    first, second = at.inputs
    return [lambda: np.add(first, second, out=at.out)]


def _concatenate(at: _Place) -> list[Step]:
    axis = int(at.node.attributes["axis"])
    return [lambda: np.concatenate(at.inputs, axis=axis, out=at.out)]


Prepare = Callable[[_Place], list[Step]]

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
