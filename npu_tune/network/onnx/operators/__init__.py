"""The ONNX operators that are read: which of their attributes and inputs are honoured."""

from npu_tune.network.onnx.operators.check import (
    OPERATORS,
    Objection,
    objection_to,
)
from npu_tune.network.onnx.operators.treatment import Operator, OperatorParameter, Treatment

__all__ = [
    "OPERATORS",
    "Objection",
    "Operator",
    "OperatorParameter",
    "Treatment",
    "objection_to",
]
