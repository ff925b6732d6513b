"""Operators that move data, make views of it, or stand for constants."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from npu_tune.network.onnx.operators.treatment import (
    Operator,
    Treatment,
    counted,
    limited,
    operator,
)

MOVES: Mapping[str, Operator] = MappingProxyType({
    # Views
    "Flatten": operator((1, 9, 11, 13, 21, 23, 24, 25), "input axis"),
    "Identity": operator((1, 13, 14, 16, 19, 21, 23, 24, 25), "input"),
    "Reshape": operator((5, 13, 14, 19, 21, 23, 24, 25), "data shape allowzero"),
    "Squeeze": operator((1, 11, 13, 21, 23, 24, 25), "data axes"),
    "Unsqueeze": operator((1, 11, 13, 21, 23, 24, 25), "data axes"),
    # Moves
    "Concat": operator((4, 11, 13), "inputs axis"),
    "DepthToSpace": counted((1, 11, 13, 28), "input blocksize", no_effect="mode"),
    "Expand": counted((8, 13), "input shape"),
    "Gather": counted((1, 11, 13), "data indices axis"),
    "Pad": operator(
        (2, 11, 13, 18, 19, 21, 23, 24, 25),
        "data", constant="pads constant_value value axes",
        mode=limited("constant", "reflect", "edge", work=Treatment.HONOURED),
    ),
    "ReverseSequence": counted((10, 28), "input sequence_lens batch_axis time_axis"),
    "Slice": operator((1, 10, 11, 13), "data", constant="starts ends axes steps"),
    "SpaceToDepth": counted((1, 13, 28), "input blocksize", no_effect="mode"),
    "Split": operator((2, 11, 13, 18), "input axis split num_outputs"),
    "Tile": counted((6, 13), "input repeats"),
    "Transpose": operator((1, 13, 21, 23, 24, 25), "data perm"),
    # Resizing
    "Resize": operator(
        (10, 11, 13, 18, 19),
        "X", values_only="axes keep_aspect_ratio_policy", constant="roi scales sizes",
        no_effect="extrapolation_value cubic_coeff_a",  # of modes that are refused
        antialias=limited(0), exclude_outside=limited(0),
        coordinate_transformation_mode=limited(
            "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
            "asymmetric", "tf_half_pixel_for_nn",
        ),
        mode=limited("nearest", "linear", work=Treatment.HONOURED),
        nearest_mode=limited("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    ),
    "Upsample": operator(
        (7, 9, 10), "X", constant="scales", mode=limited("nearest", "linear", work=Treatment.HONOURED)
    ),
    # Constants
    "Constant": operator(
        (1, 9, 11, 12, 13, 19, 21, 23, 24, 25),
        "value value_float value_floats value_int value_ints",
        sparse_value=limited(), value_string=limited(), value_strings=limited(),
    ),
    "ConstantOfShape": operator((9, 20, 21, 23, 24, 25), "value", constant="input"),
    "Shape": operator((1, 13, 15, 19, 21, 23, 24, 25), "data end start"),
})  # fmt: skip
