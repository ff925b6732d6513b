"""Bits that a file spends on an element of its constants, also where they are widened first."""

from __future__ import annotations

from collections.abc import Mapping

from npu_tune.network.model import Network, dtype_bits
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

_SAME_ELEMENTS = frozenset(
    {
        "Cast",
        "CastLike",
        "DequantizeLinear",
        "Flatten",
        "Identity",
        "Reshape",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
        "CAST",
        "DEQUANTIZE",
        "EXPAND_DIMS",
        "RESHAPE",
        "SQUEEZE",
        "TRANSPOSE",
    }
)
"""Operators of both formats whose result has the elements of their first input."""


_WIDEST_WEIGHTS = 16
"""Wider integers as weights stand for real numbers, which become int8."""


class StoredConstants:
    """What the file spends on the constants of nodes.

    Args:
        network: that is imported.
        graph: its nodes, with constants folded.
    """

    def __init__(self, network: Network, graph: OnnxGraph) -> None:
        self._graph = graph
        self._widths = _widths(network)

    def weight_bits(self, node: OnnxNode) -> int:
        """Bits of an element of a node's largest constant."""
        bits = self._widths.get(max(self._names(node), key=self._graph.size), 8)
        return bits if bits <= _WIDEST_WEIGHTS else 8

    def size_bytes(self, node: OnnxNode) -> int:
        """Bytes in flash of all of a node's constants."""
        return sum(
            -(-self._graph.size(name) * self._widths.get(name, 8) // 8)
            for name in self._names(node)
        )

    def _names(self, node: OnnxNode) -> dict[str, None]:
        return dict.fromkeys(name for name in node.inputs if name in self._graph.constants)


def _widths(network: Network) -> Mapping[str, int]:
    """Bits per element, by tensor; what is not here is real, and becomes int8.

    Weights that a file stores as int4 and dequantizes count as 4 bits.
    """
    widths = {
        name: dtype_bits(tensor.dtype)
        for name, tensor in network.tensors.items()
        if "int" in tensor.dtype
    }
    for layer in network.layers:
        source = layer.inputs[0] if layer.inputs else ""
        if layer.op in _SAME_ELEMENTS and source in widths:
            for name in layer.outputs:
                widths.setdefault(name, widths[source])
    return widths
