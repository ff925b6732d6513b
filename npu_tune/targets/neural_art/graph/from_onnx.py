"""Imports ONNX operators, one function per kind of operator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.network.onnx.operators import OPERATORS, objection_to
from npu_tune.network.onnx.operators.sizes import is_bias
from npu_tune.targets.neural_art.graph import elementwise, moves, operators, windows
from npu_tune.targets.neural_art.graph import roles as axes
from npu_tune.targets.neural_art.graph.builder import Builder, Handler


def reason_against(builder: Builder, node: OnnxNode) -> str:
    """Why no unit computes a node of a known operator as it is; empty if one may.

    Raises:
        ModelError: if the node contradicts itself.
    """
    if node.op not in OPERATORS:
        return ""
    objection = objection_to(builder.graph, node, "work")
    return "" if objection is None else objection.reason


def _conv(builder: Builder, node: OnnxNode) -> None:
    weights = windows.constant_weights(builder, node)
    if weights is None:
        return
    order = axes.letters(weights.ndim, channels_last=False)
    if weights.ndim not in (3, 4) or order is None:
        builder.software(node, f"it has {weights.ndim - 2} spatial dimensions")
        return
    transposed = node.op == "ConvTranspose"
    groups = int(node.attributes.get("group", 1))
    outputs = weights.shape[1] * groups if transposed else weights.shape[0]
    biased = len(node.inputs) > 2 and node.inputs[2] != ""
    windows.convolution(
        builder,
        node,
        source=node.inputs[0],
        order=order,
        weights=builder.weights(
            weights, channel_axis=int(transposed), bias_channels=outputs if biased else 0
        ),
        kernel=windows.pair(weights.shape[2:]),
        stride=windows.pair(node.ints("strides", (1, 1))),
        dilation=windows.pair(node.ints("dilations", (1, 1))),
        groups=groups,
    )


def _gemm(builder: Builder, node: OnnxNode) -> None:
    if node.attributes.get("transA", 0):
        builder.software(node, "its input is transposed")
        return
    addend = node.inputs[2] if len(node.inputs) > 2 else ""
    if (
        addend
        and not is_bias(builder.graph, addend)
        and builder.graph.constant(node, 1) is not None
    ):
        product = builder.graph.new_name(f"{node.output}/product")
        builder.graph.shapes[product] = builder.shape(node.output)
        _gemm(builder, replace(node, inputs=node.inputs[:2], outputs=[product]))
        sum_ = replace(node, inputs=[product, addend])
        elementwise.arithmetic(builder, sum_, "add")
        return
    weights = windows.constant_weights(builder, node)
    if weights is None:
        return
    channel_axis = 0 if node.attributes.get("transB", 0) else 1
    windows.product(
        builder,
        node,
        source=node.inputs[0],
        weights=builder.weights(
            weights,
            channel_axis=channel_axis,
            bias_channels=weights.shape[channel_axis] if addend else 0,
        ),
        inner=weights.shape[1 - channel_axis],
    )


def _matmul(builder: Builder, node: OnnxNode) -> None:
    if len(builder.run_time(node)) > 1:
        builder.software(node, "both factors are computed at run time")
        return
    weights = windows.constant_weights(builder, node)
    if weights is None:
        return
    if weights.ndim != 2:
        builder.software(node, "its weights are no single matrix")
    else:
        windows.product(
            builder,
            node,
            source=node.inputs[0],
            weights=builder.weights(weights, channel_axis=1),
            inner=weights.shape[0],
        )


def _pool(builder: Builder, node: OnnxNode) -> None:
    order = axes.letters(len(builder.shape(node.inputs[0])), channels_last=False)
    if order is None or len(order) < 3:
        builder.software(node, "it has no one or two spatial dimensions")
        return
    rank = len(order) - 2
    windows.pool(
        builder,
        node,
        order=order,
        kernel=windows.pair(node.ints("kernel_shape")),
        stride=windows.pair(node.ints("strides", (1,) * rank)),
        dilation=windows.pair(node.ints("dilations", (1,) * rank)),
    )


def _global_pool(builder: Builder, node: OnnxNode) -> None:
    rank = len(builder.shape(node.inputs[0]))
    windows.reduction(builder, node, range(2, rank), is_mean=node.op == "GlobalAveragePool")


def _reduce(builder: Builder, node: OnnxNode) -> None:
    reduced = _given_ints(builder, node, "axes", 1) or None
    if len(builder.run_time(node)) > 1:
        builder.software(node, "its dimensions are computed at run time")
    elif reduced is None and node.attributes.get("noop_with_empty_axes", 0):
        builder.view(node.inputs[0], node.output)
    else:
        windows.reduction(builder, node, reduced, is_mean=node.op == "ReduceMean")


def _view(builder: Builder, node: OnnxNode) -> None:
    builder.view(node.inputs[0], node.output)


def _transpose(builder: Builder, node: OnnxNode) -> None:
    rank = len(builder.shape(node.inputs[0]))
    builder.transpose(node, node.ints("perm") or tuple(range(rank))[::-1])


def _pad(builder: Builder, node: OnnxNode) -> None:
    flat = _given_ints(builder, node, "pads", 1)
    value = builder.graph.constant(node, 2)
    given = value is None and len(node.inputs) > 2 and node.inputs[2] != ""
    zeros = float(node.attributes.get("value", 0.0)) == 0.0 and not (
        given or (value is not None and np.any(value))
    )
    constant = node.attributes.get("mode", "constant") == "constant"
    rank = len(builder.shape(node.inputs[0]))
    amounts = None
    if flat is not None:
        chosen = builder.graph.constant(node, 3)
        places = range(rank) if chosen is None else [int(axis) % rank for axis in chosen]
        amounts = np.zeros((rank, 2), np.int64)
        amounts[list(places)] = np.reshape(flat, (2, -1)).T
    moves.pad(builder, node, amounts, zeros=zeros and constant)


def _given_ints(
    builder: Builder, node: OnnxNode, attribute: str, position: int
) -> tuple[int, ...] | None:
    """Reads integers that are an attribute in old operator sets, an input in newer ones."""
    if attribute in node.attributes:
        return node.ints(attribute)
    value = builder.graph.constant(node, position)
    return None if value is None else tuple(int(x) for x in value.reshape(-1))


def _resize(builder: Builder, node: OnnxNode) -> None:
    coordinates = node.attributes.get("coordinate_transformation_mode")
    moves.resize(
        builder,
        node,
        str(node.attributes.get("mode", "nearest")),
        crops=coordinates == "tf_crop_and_resize",
    )


def _quantizer(builder: Builder, node: OnnxNode) -> None:
    builder.view(node.inputs[0], node.output)
    builder.widen(node.inputs[0], node.output)


HANDLERS: dict[str, Handler] = {
    "Conv": _conv,
    "ConvTranspose": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "ReduceMean": _reduce,
    "ReduceMax": _reduce,
    "BatchNormalization": elementwise.scale_and_offset,
    "Transpose": _transpose,
    "Pad": _pad,
    "Concat": moves.concatenation,
    "Resize": _resize,
    "Upsample": _resize,
    "Pow": elementwise.power,
    "QuantizeLinear": _quantizer,
    **dict.fromkeys(operators.ONNX_VIEWS, _view),
    **dict.fromkeys(operators.ONNX_CUTS, partial(moves.rearrangement, may_keep_shape=False)),
    **dict.fromkeys(operators.ONNX_SHUFFLES, partial(moves.rearrangement, may_keep_shape=True)),
    **dict.fromkeys(operators.ONNX_CLIPPING, partial(elementwise.function, kind="relu")),
    **dict.fromkeys(operators.ONNX_FUNCTIONS, partial(elementwise.function, kind="lut")),
    **{
        op: partial(elementwise.arithmetic, function=name)
        for op, name in operators.ONNX_ARITHMETIC.items()
    },
}
