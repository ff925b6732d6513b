"""Converts ONNX models (protobuf messages) to graphs and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import captured
from npu_tune.network.onnx.elements import tensor_array
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode, float32_if_floating

if TYPE_CHECKING:
    import onnx

OWN_DOMAINS = ("", "ai.onnx")
"""Names of ONNX's own set of operators."""
REAL_TYPES = (1, 10, 11, 16)
"""ONNX's codes of float32, float16, float64 and bfloat16."""
OLDEST_OPSET = 7
"""Earlier operator sets have other rules of broadcasting."""


def graph_from_onnx(
    model: onnx.ModelProto,
    *,
    budget: ReadingBudget | None = None,
    largest: int | None = None,
) -> OnnxGraph:
    """Converts a model with inferred shapes to a graph; real constants become float32.

    Args:
        model: the model.
        budget: that the constants are counted in, and then the graph's; one of its own if None.
        largest: elements of a constant that is taken over with its value; any number if None.

    Raises:
        ModelError: if a constant is damaged or too large.
    """
    from onnx import helper  # noqa: PLC0415 - heavy

    budget = budget or ReadingBudget("the network")
    onnx_graph = model.graph
    given = {tensor.name: tensor for tensor in onnx_graph.initializer}
    constants = {
        label: float32_if_floating(tensor_array(tensor, label, name=budget.subject, budget=budget))
        for label, tensor in given.items()
        if largest is None or math.prod(tensor.dims) <= largest
    }
    shapes = {label: tuple(tensor.dims) for label, tensor in given.items()}
    types = {}
    for value in [*onnx_graph.input, *onnx_graph.output, *onnx_graph.value_info]:
        shape, kind = known_shape(value), value.type.tensor_type.elem_type
        if kind not in (0, *REAL_TYPES):  # zero is for none that is known
            types[value.name] = kind
        if shape is not None:
            shapes.setdefault(value.name, shape)
    nodes = [
        OnnxNode(
            operator_name(proto),
            proto.name,
            [*proto.input, *captured(proto)],
            list(proto.output),
            {a.name: helper.get_attribute_value(a) for a in proto.attribute},
        )
        for proto in onnx_graph.node
    ]
    return OnnxGraph(
        nodes=nodes,
        constants=constants,
        shapes=shapes,
        inputs=[value.name for value in onnx_graph.input if value.name not in given],
        outputs=[value.name for value in onnx_graph.output],
        opset=opset_of(model),
        types=types,
        budget=budget,
    )


def operator_name(node: onnx.NodeProto) -> str:
    """The operator of a node, with its domain before it unless that is ONNX's own."""
    return node.op_type if node.domain in OWN_DOMAINS else f"{node.domain}.{node.op_type}"


def opset_of(model: onnx.ModelProto | onnx.FunctionProto) -> int:
    """The version of ONNX's operator set that is imported; the newest if none of it is."""
    from onnx import defs  # noqa: PLC0415 - heavy

    versions = [each.version for each in model.opset_import if each.domain in OWN_DOMAINS]
    return max(versions, default=int(defs.onnx_opset_version()))


def graph_to_onnx(graph: OnnxGraph, *, outputs: list[str] | None = None) -> onnx.ModelProto:
    """Converts a graph to a float32 model.

    Args:
        graph: the graph.
        outputs: names of the model's outputs; the graph's outputs if None.
    """
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - heavy

    def value_info(name: str) -> Any:
        kind = graph.types.get(name, TensorProto.FLOAT)
        return helper.make_tensor_value_info(name, kind, graph.shapes[name])

    nodes = [node_to_onnx(node, graph.opset) for node in graph.nodes]
    onnx_graph = helper.make_graph(
        nodes,
        "npu-tune",
        [value_info(name) for name in graph.inputs],
        [value_info(name) for name in (graph.outputs if outputs is None else outputs)],
        [numpy_helper.from_array(np.asarray(v, order="C"), n) for n, v in graph.constants.items()],
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
