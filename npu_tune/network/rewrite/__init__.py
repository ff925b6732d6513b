"""Rewrites ONNX files so that a compiler with network-wide options does what a tuner chose.

Segments of a network are computed in stripes of rows, and single layers in parts; the result
computes the same, and is an ordinary ONNX file for any compiler.
"""

from npu_tune.network.rewrite.compare import (
    LEAST_DB,
    Agreement,
    OutputAgreement,
    compare_models,
)
from npu_tune.network.rewrite.file import RewrittenFile, rewrite_file
from npu_tune.network.rewrite.plan import (
    LayerSplit,
    RewritePlan,
    StripedSegment,
    parse_plan,
    plan_document,
    read_plan,
)
from npu_tune.network.rewrite.rewriting import rewrite_model
from npu_tune.network.rewrite.rows import PaddedRows, Rows, RowWindow, even_parts

__all__ = [
    "LEAST_DB",
    "Agreement",
    "LayerSplit",
    "OutputAgreement",
    "PaddedRows",
    "RewritePlan",
    "RewrittenFile",
    "RowWindow",
    "Rows",
    "StripedSegment",
    "compare_models",
    "even_parts",
    "parse_plan",
    "plan_document",
    "read_plan",
    "rewrite_file",
    "rewrite_model",
]
