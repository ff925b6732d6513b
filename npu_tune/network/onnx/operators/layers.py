"""Convolutions, products, pools, reductions and normalization."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from npu_tune.network.onnx.operators.treatment import (
    Operator,
    limited,
    limited_everywhere,
    operator,
)

_PADDING = limited("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")

_REDUCED = "data keepdims noop_with_empty_axes"

LAYERS: Mapping[str, Operator] = MappingProxyType({
    "AveragePool": operator(
        (7, 10, 11, 19, 22),
        "X dilations kernel_shape strides", values_only="ceil_mode count_include_pad pads",
        auto_pad=_PADDING,
    ),
    "BatchNormalization": operator(
        (7, 9, 14, 15),
        "X", values_only="epsilon", no_effect="momentum",
        constant="scale B mean var input_mean input_var",
        unread="mean var saved_mean saved_var running_mean running_var",
        spatial=limited_everywhere(1), training_mode=limited_everywhere(0),
    ),
    "Conv": operator(
        (1, 11, 22),
        "X dilations group kernel_shape strides", values_only="pads", constant="W B",
        auto_pad=_PADDING,
    ),
    "ConvTranspose": operator(
        (1, 11, 22),
        "X dilations group kernel_shape strides", values_only="output_padding output_shape pads",
        constant="W B", auto_pad=_PADDING,
    ),
    "Gemm": operator(
        (7, 9, 11, 13), "A C transA transB", values_only="alpha beta", constant="B"
    ),
    "GlobalAveragePool": operator((1, 22), "X"),
    "GlobalMaxPool": operator((1, 22), "X"),
    "MatMul": operator((1, 9, 13), "A B"),
    "MaxPool": operator(
        (1, 8, 10, 11, 12, 22),
        "X dilations kernel_shape strides", values_only="ceil_mode pads",
        no_effect="storage_order",  # of the indices, which are refused
        unread="Indices", auto_pad=_PADDING,
    ),
    "ReduceMax": operator((1, 11, 12, 13, 18, 20), _REDUCED, constant="axes"),
    "ReduceMean": operator((1, 11, 13, 18), _REDUCED, constant="axes"),
    "ReduceMin": operator((1, 11, 12, 13, 18, 20), _REDUCED, constant="axes"),
    "ReduceSum": operator((1, 11, 13), _REDUCED, constant="axes"),
    "Softmax": operator((1, 11, 13), "input", values_only="axis"),
})  # fmt: skip
