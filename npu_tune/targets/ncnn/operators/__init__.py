"""ONNX's operators as ncnn's layers (parameter ids: ncnn's developer guide, ``operators.md``)."""

from __future__ import annotations

from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.ncnn.operators.arithmetic import ARITHMETIC
from npu_tune.targets.ncnn.operators.pointwise import POINTWISE
from npu_tune.targets.ncnn.operators.pooling import POOLING
from npu_tune.targets.ncnn.operators.products import PRODUCTS
from npu_tune.targets.ncnn.operators.shaping import SHAPING
from npu_tune.targets.ncnn.program import NcnnProgram
from npu_tune.targets.ncnn.translator import Translator

OPERATORS = {**PRODUCTS, **POINTWISE, **ARITHMETIC, **POOLING, **SHAPING}
"""By ONNX's names."""


def translate(layered: LayeredGraph) -> NcnnProgram:
    """Translates a network.

    Raises:
        UnsupportedOperatorError: for what ncnn cannot be given; names node and operator.
        ModelError: for a batch.
    """
    return Translator(layered).translate(OPERATORS)


__all__ = ["OPERATORS", "translate"]
