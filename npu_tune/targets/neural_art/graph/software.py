"""Imports operators that no unit computes, which run on the CPU."""

from __future__ import annotations

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.neural_art.graph.builder import Builder

_OVER_ALL = "it normalizes over all channels"
_OVER_NEIGHBOURS = "it normalizes over neighbouring channels"
_OVER_MEANS = "it normalizes with means of the values themselves"
_REASONS = {
    "softmax": _OVER_ALL,
    "logsoftmax": _OVER_ALL,
    "lrn": _OVER_NEIGHBOURS,
    "localresponsenormalization": _OVER_NEIGHBOURS,
    "layernormalization": _OVER_MEANS,
    "instancenormalization": _OVER_MEANS,
    "groupnormalization": _OVER_MEANS,
    "l2normalization": _OVER_MEANS,
    "lpnormalization": _OVER_MEANS,
}
"""By the operator's name in lower case and without underscores, which both formats share."""


def unknown(builder: Builder, node: OnnxNode) -> None:
    """Imports a node as software, with the reason why no unit computes it."""
    builder.software(
        node, _REASONS.get(node.op.replace("_", "").lower(), f"no unit computes {node.op}")
    )
