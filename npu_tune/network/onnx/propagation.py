"""Shapes without values, and how many values shape inference would follow from node to node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import all_nodes, bodies
from npu_tune.network.onnx.parts import infer_in_parts, without_weights
from npu_tune.network.onnx.proto import OWN_DOMAINS, opset_of
from npu_tune.network.onnx.schemas import operator_schema

if TYPE_CHECKING:
    import onnx

MOST_DIMENSIONS = 64
"""As many as NumPy has."""
_ROUNDS = 8
"""Enough for shapes that are computed from one another; where it is not, values count as open."""
_INNER_NODES = 32
"""More than any operator has in the function that defines it."""
_RANK_INPUTS = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}
"""Where operators state a whole shape as values of an input, by operator."""


def infer_without_values(model: onnx.ModelProto, budget: ReadingBudget) -> onnx.ModelProto:
    """Infers shapes and ranks, but follows no values, which takes little memory.

    Args:
        model: is left as it is.
        budget: whose time counts.

    Returns:
        A copy without weights, with what was found.

    Raises:
        ModelError: if a size is negative.
    """
    inferred = infer_in_parts(without_weights(model), budget)
    for _ in range(_ROUNDS):
        if not _state_ranks(inferred):
            break
        inferred = infer_in_parts(inferred, budget)
    return inferred


def propagated_values(model: onnx.ModelProto, inferred: onnx.ModelProto) -> float:
    """At most how many values shape inference keeps where it follows values, not shapes alone.

    It writes out every tensor of one dimension that an operator with a data propagation function
    reads or makes, whatever its elements are, each as some tens of bytes, so that this is to be
    known before it runs.

    Args:
        model: that values are to be followed in.
        inferred: of the same nodes, see :func:`infer_without_values`.

    Returns:
        The number of values; infinity where a length is not known beforehand.
    """
    constants = {tensor.name: _constant_length(tensor) for tensor in model.graph.initializer}
    lengths = _known_lengths(inferred.graph, constants)
    opset = opset_of(model)
    followed: dict[str, float] = {}
    for node in all_nodes(model.graph.node):
        copies = _copies(node, opset)
        if not copies:
            continue
        read = {name: lengths.get(name, math.inf) for name in node.input if name}
        if node.op_type in ("Shape", "Size"):
            most, read = float(MOST_DIMENSIONS), {}
        else:
            # What is made of tensors of one dimension is no longer than these together.
            most = sum(read.values()) if all(read.values()) else math.inf
        for name in filter(None, node.output):
            known = lengths.get(name, math.inf)
            lengths[name] = read[name] = known if known < math.inf else most
        followed |= {name: copies * length for name, length in read.items()}
    return sum(followed.values())


def _known_lengths(graph: onnx.GraphProto, constants: Mapping[str, float]) -> dict[str, float]:
    """Values of tensors whose rank is known: none where it is above one, infinity where open.

    Where a body has a tensor of the same name as the graph around it, the longer one counts.
    """
    lengths: dict[str, float] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            sizes = value.type.tensor_type.shape.dim
            known = all(size.HasField("dim_value") for size in sizes)
            length = math.prod(size.dim_value for size in sizes) if known else math.inf
            lengths[value.name] = 0.0 if len(sizes) > 1 else max(0.0, length)
    lengths |= constants
    for node in graph.node:
        for body in bodies(node):
            for name, length in _known_lengths(body, {}).items():
                lengths[name] = max(length, lengths.get(name, 0.0))
    return lengths


def _constant_length(tensor: onnx.TensorProto) -> float:
    """Values of a constant, of which none is followed unless they are integers."""
    integers = (tensor.INT32, tensor.INT64)
    return float(abs(math.prod(tensor.dims))) if tensor.data_type in integers else 0.0


def _copies(node: onnx.NodeProto, opset: int) -> int:
    """How often an operator makes values of a tensor known to what comes after: mostly never."""
    # onnx's type stubs lack what tells a function.
    schema: Any = operator_schema(node.op_type, opset) if node.domain in OWN_DOMAINS else None
    if schema is None:
        return 0
    if schema.has_data_propagation_function:
        return 1
    defined = schema.has_function or schema.has_context_dependent_function
    return _INNER_NODES if defined and not schema.has_type_and_shape_inference_function else 0


def _state_ranks(model: onnx.ModelProto) -> bool:
    """States the ranks that follow from how many sizes an operator reads; returns if there are any.

    Inference of shapes alone leaves the rank of a reshaped tensor open where its sizes are
    computed, although their number is known.
    """
    graph = model.graph
    shapes = {
        value.name: value.type.tensor_type.shape
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape")
    }
    open_ones = {
        value.name: value.type.tensor_type
        for value in (*graph.value_info, *graph.output)
        if value.type.HasField("tensor_type") and value.name not in shapes
    }
    found = False
    for node in graph.node:
        place = _RANK_INPUTS.get(node.op_type, len(node.input))
        target = open_ones.get(next(iter(node.output), ""))
        sizes = shapes.get(node.input[place]) if place < len(node.input) else None
        if target is None or sizes is None or len(sizes.dim) != 1:
            continue
        rank = sizes.dim[0].dim_value
        if node.op_type == "Expand":
            source = shapes.get(node.input[0])
            rank = max(rank, len(source.dim)) if source is not None else 0
        if 1 < rank <= MOST_DIMENSIONS:
            for _ in range(rank):
                target.shape.dim.add()
            found = True
    return found
