"""How many values onnx's shape inference would follow from node to node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from npu_tune.network.onnx.bodies import all_nodes

if TYPE_CHECKING:
    import onnx

_RANK = 64
"""At most as many values has a shape."""


def propagated_values(model: onnx.ModelProto) -> float:
    """At most how many integers shape inference keeps where it follows values, not shapes alone.

    It writes out ranges and concatenations of any length, each value as some tens of bytes, so
    that this is to be known before it runs. Infinity for a Range of ends that are computed.
    """
    from onnx import TensorProto, numpy_helper  # noqa: PLC0415 - heavy

    integers = (TensorProto.INT32, TensorProto.INT64)
    given = {t.name: t for t in model.graph.initializer}
    given |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant" and node.output
        for attribute in node.attribute
        if attribute.name == "value"
    }
    lengths: dict[str, float] = {
        name: math.prod(tensor.dims)
        for name, tensor in given.items()
        if tensor.data_type in integers
    }
    scalars = {
        name: float(numpy_helper.to_array(given[name]).reshape(-1)[0])
        for node in all_nodes(model.graph.node)
        if node.op_type == "Range"
        for name in node.input
        if lengths.get(name) == 1
    }
    total = 0.0
    for node in all_nodes(model.graph.node):
        made = _made(node, lengths, scalars)
        total += made
        lengths |= dict.fromkeys(filter(None, node.output), made)
    return total


def _made(
    node: onnx.NodeProto, lengths: Mapping[str, float], scalars: Mapping[str, float]
) -> float:
    read = [lengths.get(name, 1.0) for name in node.input if name]
    if node.op_type == "Concat":
        return sum(read)
    if node.op_type == "Range":
        ends = [scalars.get(name) for name in node.input]
        if len(ends) != 3 or None in ends or not ends[2]:
            return math.inf
        first, last, step = (float(end or 0) for end in ends)
        return max(0.0, (last - first) / step)
    return max([_RANK if node.op_type == "Shape" else 1.0, *read])
