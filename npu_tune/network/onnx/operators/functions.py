"""Element-wise arithmetic and functions of one tensor."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from npu_tune.network.onnx.operators.treatment import (
    Operator,
    counted,
    limited,
    limited_everywhere,
    operator,
)

_REAL = (1, 10, 11, 16)
"""FLOAT, FLOAT16, DOUBLE and BFLOAT16 of ONNX, all of which count as real numbers here."""

FUNCTIONS: Mapping[str, Operator] = MappingProxyType({
    # Arithmetic
    "Add": operator((7, 13, 14), "A B"),
    "Div": operator((7, 13, 14), "A B"),
    "Max": operator((6, 8, 12, 13), "data_0"),
    "Mean": counted((6, 8, 13), "data_0"),
    "Min": operator((6, 8, 12, 13), "data_0"),
    "Mul": operator((7, 13, 14), "A B"),
    "Pow": counted((7, 12, 13, 15), "X Y"),
    "Sub": operator((7, 13, 14), "A B"),
    "Sum": operator((6, 8, 13), "data_0"),
    # Functions that are converted
    "Clip": operator((6, 11, 12, 13), "input", constant="min max"),
    "Elu": operator((6, 22), "X", alpha=limited(1.0)),
    "HardSigmoid": operator((6, 22), "X", values_only="alpha beta"),
    "HardSwish": operator((14, 22), "X"),
    "LeakyRelu": operator((6, 16), "X", values_only="alpha"),
    "PRelu": operator((7, 9, 16), "X", constant="slope"),
    "Relu": operator((6, 13, 14), "X"),
    "Sigmoid": operator((6, 13), "X"),
    "Tanh": operator((6, 13), "input"),
    # Functions whose work is counted
    "Abs": counted((6, 13), "X"),
    "Acos": counted((7, 22), "input"),
    "Acosh": counted((9, 22), "input"),
    "Asin": counted((7, 22), "input"),
    "Asinh": counted((9, 22), "input"),
    "Atan": counted((7, 22), "input"),
    "Atanh": counted((9, 22), "input"),
    "Ceil": counted((6, 13), "X"),
    "Celu": counted((12, 28), "X", no_effect="alpha"),
    "Cos": counted((7, 22), "input"),
    "Cosh": counted((9, 22), "input"),
    "Erf": counted((9, 13), "input"),
    "Exp": counted((6, 13), "input"),
    "Floor": counted((6, 13), "X"),
    "Gelu": counted((20,), "X", no_effect="approximate"),
    "Log": counted((6, 13), "input"),
    "Mish": counted((18, 22), "X"),
    "Neg": counted((6, 13), "X"),
    "Reciprocal": counted((6, 13), "X"),
    "Round": counted((11, 22), "X"),
    "Selu": counted((6, 22), "X", no_effect="alpha gamma"),
    "Shrink": counted((9,), "input", no_effect="bias lambd"),
    "Sign": counted((9, 13), "input"),
    "Sin": counted((7, 22), "input"),
    "Sinh": counted((9, 22), "input"),
    "Softplus": counted((1, 22), "X"),
    "Softsign": counted((1, 22), "input"),
    "Sqrt": counted((6, 13), "X"),
    "Swish": counted((24,), "X", no_effect="alpha"),
    "Tan": counted((7, 22), "input"),
    "ThresholdedRelu": counted((10, 22), "X", no_effect="alpha"),
    # Types and what only training needs
    "Cast": operator(
        (6, 9, 13, 19, 21, 23, 24, 25, 28),
        "input", no_effect="saturate round_mode",  # of types that are refused
        to=limited(*_REAL),
    ),
    "CastLike": counted(
        (15, 19, 21, 23, 24, 25), "input target_type", no_effect="saturate round_mode"
    ),
    "DequantizeLinear": operator(
        (10, 13, 19, 21, 23, 24, 25, 28),
        "x", values_only="axis", no_effect="output_dtype", constant="x_scale x_zero_point",
        block_size=limited(0),
    ),
    "Dropout": operator(
        (7, 10, 12, 13, 22),
        "data", no_effect="ratio seed",  # of training, which is refused
        unread="mask", training_mode=limited_everywhere(False),
    ),
    "QuantizeLinear": operator(
        (10, 13, 19, 21, 23, 24, 25, 28),
        "x output_dtype", values_only="axis", constant="y_scale y_zero_point",
        no_effect="precision saturate",  # of the rounding, and of 8-bit floats, which are refused
        block_size=limited(0),
    ),
})  # fmt: skip
