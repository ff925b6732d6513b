"""Converts ONNX models (protobuf messages) to graphs and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode, as_float32

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET = 7
"""Earlier operator sets have other rules of broadcasting."""


def graph_from_onnx(model: onnx.ModelProto) -> OnnxGraph:
    """Converts a model with inferred shapes to a graph; real constants become float32.

    Raises:
        ModelError: if the operator set is too old.
        UnsupportedOperatorError: if an operator is not of ONNX's own domain.
    """
    from onnx import helper, numpy_helper  # noqa: PLC0415 - heavy

    opset = opset_of(model)
    onnx_graph = model.graph
    constants = {
        t.name: float32_if_floating(numpy_helper.to_array(t)) for t in onnx_graph.initializer
    }
    shapes = {name: value.shape for name, value in constants.items()}
    for value in [*onnx_graph.input, *onnx_graph.output, *onnx_graph.value_info]:
        shape = known_shape(value)
        if shape is not None:
            shapes.setdefault(value.name, shape)
    nodes = []
    for proto in onnx_graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        node = OnnxNode(
            proto.op_type, proto.name, list(proto.input), list(proto.output), attributes
        )
        if proto.domain not in ("", "ai.onnx"):
            raise UnsupportedOperatorError(
                f"The {node} belongs to {proto.domain!r}, not to ONNX itself.",
                remedy="Export the network with standard operators.",
            )
        nodes.append(node)
    return OnnxGraph(
        nodes=nodes,
        constants=constants,
        shapes=shapes,
        inputs=[value.name for value in onnx_graph.input if value.name not in constants],
        outputs=[value.name for value in onnx_graph.output],
        opset=opset,
    )


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the ONNX operator set that a model uses.

    Raises:
        ModelError: if it is too old.
    """
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"The ONNX file uses operator set {opset}; {OLDEST_OPSET} is the oldest that is known.",
            remedy="Export the network again with a newer operator set.",
        )
    return opset


def float32_if_floating(value: Array) -> Array:
    """Converts an array of floating-point numbers to float32; returns others unchanged."""
    return as_float32(value) if np.issubdtype(value.dtype, np.floating) else value


def graph_to_onnx(graph: OnnxGraph, *, outputs: list[str] | None = None) -> onnx.ModelProto:
    """Converts a graph to a float32 model.

    Args:
        graph: the graph.
        outputs: names of the model's outputs; the graph's outputs if None.
    """
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - heavy

    def value_info(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, graph.shapes[name])

    nodes = [node_to_onnx(node, graph.opset) for node in graph.nodes]
    onnx_graph = helper.make_graph(
        nodes,
        "npu-tune",
        [value_info(name) for name in graph.inputs],
        [value_info(name) for name in (graph.outputs if outputs is None else outputs)],
        [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in graph.constants.items()],
    )
    # Every onnxruntime of recent years reads IR version 8, which covers all these operators.
    return helper.make_model(
        onnx_graph, opset_imports=[helper.make_opsetid("", graph.opset)], ir_version=8
    )


def node_to_onnx(node: OnnxNode, opset: int) -> onnx.NodeProto:
    """Converts one node; its name becomes that of its first output, as names must be unique."""
    from onnx import defs, helper  # noqa: PLC0415 - heavy

    proto = helper.make_node(node.op, node.inputs, node.outputs, name=node.output)
    for name, value in node.attributes.items():
        kind = None
        if isinstance(value, (list, tuple)) and not len(value):  # elements that would tell it
            declared: Any = defs.get_schema(node.op, opset, "").attributes[name].type
            kind = int(declared)
        proto.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    return proto


def known_shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    """The shape of a tensor; None if any of its sizes is unknown."""
    tensor_type = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor_type.HasField("shape"):
        return None
    if not all(size.HasField("dim_value") for size in tensor_type.shape.dim):
        return None
    return tuple(size.dim_value for size in tensor_type.shape.dim)
