"""Lowers a simplified ONNX graph to a TFLite graph, still in real numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.quantize import (
    layout,
    ops_conv,
    ops_math,
    ops_pad,
    ops_pool,
    ops_resize,
    ops_shape,
    ops_transposed,
)
from npu_tune.network.quantize.layout import CHANNELS_LAST, Permutation
from npu_tune.network.quantize.lowering import Lowering, no_form_error, unsupported_error
from npu_tune.network.quantize.saturation import merge_saturation
from npu_tune.network.quantize.tflite_graph import TfliteGraph, TfliteOp

_LOWERINGS: Mapping[str, Callable[[Lowering, OnnxNode], None]] = {
    "Add": ops_math.binary,
    "AveragePool": ops_pool.average_pool,
    "Clip": ops_math.clip,
    "Concat": ops_shape.concat,
    "Conv": ops_conv.convolution,
    "ConvTranspose": ops_transposed.transposed_convolution,
    "Div": ops_math.divide,
    "Elu": ops_math.elu,
    "Flatten": ops_shape.reshape,
    "Gemm": ops_conv.fully_connected,
    "GlobalAveragePool": ops_pool.global_average_pool,
    "GlobalMaxPool": ops_pool.global_max_pool,
    "HardSigmoid": ops_math.hard_sigmoid,
    "HardSwish": ops_math.unary,
    "Identity": ops_shape.reshape,
    "LeakyRelu": ops_math.leaky_relu,
    "Max": ops_math.binary,
    "MaxPool": ops_pool.max_pool,
    "Min": ops_math.binary,
    "Mul": ops_math.binary,
    "PRelu": ops_math.prelu,
    "Pad": ops_pad.pad,
    "ReduceMax": ops_pool.reduction,
    "ReduceMean": ops_pool.reduction,
    "ReduceMin": ops_pool.reduction,
    "ReduceSum": ops_pool.reduction,
    "Relu": ops_math.unary,
    "Reshape": ops_shape.reshape,
    "Resize": ops_resize.resize,
    "Sigmoid": ops_math.unary,
    "Slice": ops_shape.slice_,
    "Softmax": ops_math.softmax,
    "Split": ops_shape.split,
    "Squeeze": ops_shape.reshape,
    "Sub": ops_math.binary,
    "Tanh": ops_math.unary,
    "Transpose": ops_shape.transpose,
    "Unsqueeze": ops_shape.reshape,
    "Upsample": ops_resize.resize,
}
SUPPORTED = frozenset(_LOWERINGS)
"""ONNX operators that can be lowered, after simplification."""

_CHANNELS_SECOND = frozenset(
    {
        "AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalMaxPool", "MaxPool",
        "Resize", "Upsample",
    }
)  # fmt: skip
_ORDERLESS = frozenset(
    {"Add", "Clip", "Div", "LeakyRelu", "Mul", "PRelu", "Pad", "Relu", "Sub", "Sigmoid", "Tanh"}
)


@dataclass(frozen=True)
class Lowered:
    """A TFLite graph, with the permutations of its inputs and outputs (see :mod:`.layout`).

    ``stored`` has the tensor and the permutation of every ONNX tensor that the graph has.
    """

    graph: TfliteGraph
    input_permutations: tuple[Permutation, ...]
    output_permutations: tuple[Permutation, ...]
    stored: Mapping[str, tuple[str, Permutation]]


def check_operators(graph: OnnxGraph) -> None:
    """Checks that every operator of a simplified graph can be lowered, before any work is done.

    Raises:
        UnsupportedOperatorError: if not; names the first such node.
    """
    for node in graph.nodes:
        if node.op not in SUPPORTED:
            raise no_form_error(node)
        if node.op == "Split" and not all(node.outputs):
            # onnxruntime crashes on these.
            raise unsupported_error(node, "one of its parts has no name")


def lower(graph: OnnxGraph, ranges: Mapping[str, tuple[float, float]]) -> Lowered:
    """Lowers every node of a simplified graph to TFLite operators.

    Args:
        graph: simplified.
        ranges: (lowest, highest) value of every run-time tensor.

    Raises:
        UnsupportedOperatorError: if a node's attributes have no counterpart in TFLite.
    """
    lowering = Lowering(graph, ranges)
    for name in graph.inputs:
        order = _input_order(graph, name)
        lowering.result.inputs.append(lowering.write(name, order))
    for node in graph.nodes:
        _LOWERINGS[node.op](lowering, node)
    orders, taken = [], set(lowering.result.inputs)
    for name in graph.outputs:
        order = lowering.permutation(name)
        if order != CHANNELS_LAST:
            order = layout.identity(len(order))
        orders.append(order)
        tensor = _separate_output(lowering, name, order, taken)
        lowering.result.outputs.append(tensor)
        taken.add(tensor)
    _merge_reshapes(lowering.result)
    merge_saturation(lowering.result)
    _remove_unread(lowering.result)
    return Lowered(
        graph=lowering.result,
        input_permutations=tuple(_input_order(graph, name) for name in graph.inputs),
        output_permutations=tuple(orders),
        stored={
            name: place
            for name, place in lowering.stored().items()
            if place[0] in lowering.result.tensors
        },
    )


def _input_order(graph: OnnxGraph, name: str) -> Permutation:
    """The permutation of an input: channels last if a layer on feature maps reads it."""
    shape = graph.shapes[name]
    if len(shape) != 4:
        return layout.identity(len(shape))
    waiting, seen = [name], {name}
    while waiting:
        for node in graph.consumers(waiting.pop()):
            if node.op in _CHANNELS_SECOND:
                return CHANNELS_LAST
            if node.op in _ORDERLESS and node.output not in seen:
                seen.add(node.output)
                waiting.append(node.output)
    return layout.identity(4)


def _separate_output(lowering: Lowering, name: str, order: Permutation, taken: set[str]) -> str:
    """The tensor of an output; a copy if it is taken, as an input or another output."""
    tensor = lowering.read(name, order)
    if tensor in taken:
        copy = lowering.temporary(name, lowering.shape(tensor), like=tensor)
        lowering.emit_reshape(tensor, copy)
        return copy
    return tensor


def _merge_reshapes(graph: TfliteGraph) -> None:
    """Makes a reshape of a reshape read the first one's input.

    That removes shapes of five dimensions, which accelerators do not support.
    """
    producers: dict[str, TfliteOp] = {}
    for op in graph.ops:
        if op.op == "RESHAPE":
            while op.inputs[0] in producers:
                op.inputs[0] = producers[op.inputs[0]].inputs[0]
            producers[op.outputs[0]] = op


def _remove_unread(graph: TfliteGraph) -> None:
    needed, kept = set(graph.outputs), []
    for op in reversed(graph.ops):
        if needed.intersection(op.outputs):
            kept.append(op)
            needed.update(op.inputs)
    graph.ops = kept[::-1]
    named = {name for op in kept for name in (*op.inputs, *op.outputs)}
    named.update(graph.inputs, graph.outputs)
    graph.tensors = {name: tensor for name, tensor in graph.tensors.items() if name in named}
