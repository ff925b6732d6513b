"""What must hold of an ONNX file before anything else looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.onnx.bodies import bodies, captured

if TYPE_CHECKING:
    import onnx


def require_well_formed(model: onnx.ModelProto, *, name: str) -> None:
    """Checks that names are text, and that every tensor is computed once, before it is read.

    Protobuf and shape inference check neither.

    Raises:
        ModelError: if not; names the node and the tensor.
    """
    graph = model.graph
    for text in _names(graph):
        if not isinstance(text, str):
            raise ModelError(
                f"The ONNX file of {name!r} is damaged: {text!r} is no name.",
                remedy="Copy or export it again.",
            )
    known = {value.name for value in graph.input}
    known.update(tensor.name for tensor in graph.initializer)
    known.update(tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        label = node.name or next(iter(node.output), "")
        early = next((x for x in (*node.input, *captured(node)) if x and x not in known), None)
        if early is not None:
            raise ModelError(
                f"The node {label!r} ({node.op_type}) of {name!r} reads {early!r}, which nothing "
                "before it computes.",
                remedy="Check the file with onnx.checker and export it again.",
                node=label,
            )
        again = next((x for x in node.output if x and x in known), None)
        if again is not None:
            raise ModelError(
                f"The node {label!r} ({node.op_type}) of {name!r} computes {again!r}, which is "
                "there before.",
                remedy="Check the file with onnx.checker and export it again.",
                node=label,
            )
        known.update(node.output)


def _names(graph: onnx.GraphProto) -> Iterator[object]:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        for body in bodies(node):
            yield from _names(body)
