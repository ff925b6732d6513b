"""The state of a lowering: TFLite tensors, constants and their layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode
from npu_tune.network.quantize import layout
from npu_tune.network.quantize.layout import Permutation
from npu_tune.network.quantize.tflite_graph import Role, TfliteGraph, TfliteOp, TfliteTensor


def unsupported_error(
    node: OnnxNode,
    reason: str,
    *,
    remedy: str = "Change that part of the network, or bring an int8 TFLite file made elsewhere.",
) -> UnsupportedOperatorError:
    """Makes the error for a node that cannot be written as int8 TFLite."""
    return UnsupportedOperatorError(
        f"The {node} cannot be written as int8 TFLite: {reason}.",
        remedy=remedy,
        node=node.name or node.output,
        op=node.op,
    )


def no_form_error(node: OnnxNode) -> UnsupportedOperatorError:
    """Makes the error for a node of an operator that is not known here."""
    return UnsupportedOperatorError(
        f"The {node} has no int8 TFLite form here.",
        remedy="Replace that operator, or bring an int8 TFLite file made elsewhere.",
        node=node.name or node.output,
        op=node.op,
    )


class Lowering:
    """Collects the TFLite operators and tensors that the nodes of a graph are lowered to.

    Args:
        graph: simplified.
        ranges: (lowest, highest) value of every run-time tensor.
    """

    def __init__(self, graph: OnnxGraph, ranges: Mapping[str, tuple[float, float]]) -> None:
        self.graph = graph
        self.ranges = ranges
        self.result = TfliteGraph()
        self.flat_orders: dict[str, list[int]] = {}
        self._stored: dict[str, tuple[str, Permutation]] = {}
        self._copies: dict[tuple[str, Permutation], str] = {}

    def permutation(self, name: str) -> Permutation:
        """The permutation that an ONNX tensor is stored in; constants are in ONNX's order."""
        if name in self._stored:
            return self._stored[name][1]
        return layout.identity(len(self.graph.shapes[name]))

    def stored(self) -> dict[str, tuple[str, Permutation]]:
        """By ONNX tensor, the TFLite tensor and its permutation; without those in no such order."""
        return {
            name: place for name, place in self._stored.items() if name not in self.flat_orders
        }

    def read(self, name: str, permutation: Permutation | None = None) -> str:
        """The TFLite tensor of an ONNX tensor, in a given permutation if one is given.

        Inserts a TRANSPOSE or RESHAPE if the data is stored in another order.
        """
        stored, have = self._stored[name]
        if permutation is None or permutation == have:
            return stored
        key = (name, permutation)
        if key not in self._copies:
            self._copies[key] = self._reorder(name, stored, have, permutation)
        return self._copies[key]

    def _reorder(self, name: str, stored: str, have: Permutation, want: Permutation) -> str:
        shape = self.graph.shapes[name]
        target_shape = layout.permute(shape, want)
        if layout.same_data(shape, have, want):
            return self.reshape_tensor(stored, target_shape)
        source_shape = self.result.tensors[stored].shape
        narrow, axes = layout.squeezed_transpose(source_shape, layout.axes_between(have, want))
        if len(source_shape) <= 4 and len(narrow) == len(source_shape):
            narrow, axes = source_shape, layout.axes_between(have, want)
        moved = self.reshape_tensor(stored, narrow)
        for step_shape, step_axes in layout.transpose_steps(narrow, axes):
            moved = self._transpose(self.reshape_tensor(moved, step_shape), step_axes)
        return self.reshape_tensor(moved, target_shape)

    def _transpose(self, source: str, axes: Permutation) -> str:
        shape = self.shape(source)
        moved = self.temporary(
            f"{source}/transposed", tuple(shape[axis] for axis in axes), like=source
        )
        self.emit("TRANSPOSE", [source, self.indices(f"{moved}/axes", axes)], [moved])
        return moved

    def reshape_tensor(self, tensor: str, shape: Sequence[int]) -> str:
        """Reshapes a TFLite tensor; returns it unchanged if it already has the shape."""
        if self.result.tensors[tensor].shape == tuple(shape):
            return tensor
        target = self.temporary(f"{tensor}/reshaped", shape, like=tensor)
        self.emit_reshape(tensor, target)
        return target

    def emit_reshape(self, source: str, target: str) -> None:
        shape = self.result.tensors[target].shape
        self.emit(
            "RESHAPE", [source, self.indices(f"{target}/shape", shape)], [target], NewShape=shape
        )

    def write(self, name: str, permutation: Permutation | None = None) -> str:
        """Adds the TFLite tensor of an ONNX tensor that is computed."""
        shape = self.graph.shapes[name]
        order = layout.identity(len(shape)) if permutation is None else permutation
        tensor = self._add(name, layout.permute(shape, order), "activation", source=name)
        self._stored[name] = (tensor.name, order)
        return tensor.name

    def alias(self, name: str, tensor: str, permutation: Permutation) -> None:
        """Makes an existing TFLite tensor that of an ONNX tensor with the same data."""
        self._stored[name] = (tensor, permutation)

    def temporary(self, base: str, shape: Sequence[int], *, like: str) -> str:
        """Adds an activation with the range of values of another one."""
        source = self.result.tensors[like].source
        return self._add(base, shape, "activation", source=source).name

    def indices(self, base: str, values: Any) -> str:
        """Adds an int32 constant, such as a shape, axes or sizes."""
        data = np.asarray(values, np.int32)
        return self._add(base, data.shape, "index", data=data).name

    def constant(self, base: str, value: Array) -> str:
        """Adds a real constant with a scale of its own."""
        return self._add(base, value.shape, "constant", data=value).name

    def weights(self, base: str, value: Array, *, channel_axis: int) -> str:
        """Adds weights with a scale per slice along ``channel_axis``."""
        return self._add(base, value.shape, "weights", data=value, channel_axis=channel_axis).name

    def bias(self, base: str, value: Array) -> str:
        return self._add(base, value.shape, "bias", data=value).name

    def _add(self, base: str, shape: Sequence[int], role: Role, **fields: Any) -> TfliteTensor:
        name, count = base, 1
        while name in self.result.tensors:
            count += 1
            name = f"{base}#{count}"
        tensor = TfliteTensor(
            name=name, shape=tuple(int(size) for size in shape), role=role, **fields
        )
        self.result.tensors[name] = tensor
        return tensor

    def emit(self, op: str, inputs: list[str], outputs: list[str], **options: Any) -> TfliteOp:
        self.result.ops.append(TfliteOp(op, inputs, outputs, options))
        return self.result.ops[-1]

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.result.tensors[tensor].shape

    def pin(self, tensor: str, low: float, high: float) -> None:
        """Limits a tensor to a range, by making this the range of its codes."""
        self.result.tensors[tensor].pinned = (low, high)
