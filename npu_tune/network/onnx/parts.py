"""Shape inference that no Slice ends: of a negative size, onnx's own aborts the whole program."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import captured
from npu_tune.network.onnx.proto import OWN_DOMAINS, known_shape

if TYPE_CHECKING:
    import onnx

_SHORT = 1024
"""Elements of the longest constant whose values decide a shape."""
_CONSTANTS_ALONE = 4
_HIDDEN = "npu_tune.hidden"
"""A domain of operators that inference knows nothing of."""


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with inputs in place of long constants, and with outputs of open shapes."""
    from onnx import helper  # noqa: PLC0415 - heavy

    # Constants that are no inputs as well have types from that version on.
    ir_version = max(_CONSTANTS_ALONE, model.ir_version)
    copy = type(model)(ir_version=ir_version, opset_import=model.opset_import)
    graph = copy.graph
    graph.node.extend(model.graph.node)
    graph.value_info.extend(model.graph.value_info)
    graph.output.extend(model.graph.output)
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    given = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(value for value in model.graph.input if value.name not in given)
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SHORT:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return copy


def infer_in_parts(model: onnx.ModelProto, budget: ReadingBudget) -> onnx.ModelProto:
    """Infers shapes, but follows no values; everything before a Slice is inferred before it.

    Args:
        model: small, see :func:`without_weights`.
        budget: whose time counts.

    Returns:
        The model with what was found.

    Raises:
        ModelError: if a size is negative; names the tensor.
    """
    graph = model.graph
    known = {value.name: value for value in (*graph.output, *graph.value_info, *graph.input)}
    given = {tensor.name: tensor for tensor in graph.initializer}
    constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    nodes: list[onnx.NodeProto] = []
    for part in _parts(graph.node):
        budget.check_time()
        inferred = _infer_part(model, part, known, given, constants)
        for value in inferred.value_info:
            _require_sizes(value, budget.subject)
            known[value.name] = value
        nodes += inferred.node[len(inferred.node) - len(part) :]
    result = type(model)(ir_version=model.ir_version, opset_import=model.opset_import)
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(graph.initializer)
    result.graph.input.extend(graph.input)
    ends = {value.name for value in (*graph.input, *graph.output)}
    result.graph.value_info.extend(value for name, value in known.items() if name not in ends)
    result.graph.output.extend(known[value.name] for value in graph.output)
    return result


def _parts(nodes: Sequence[onnx.NodeProto]) -> Iterator[list[onnx.NodeProto]]:
    """Nodes up to the next Slice, in order."""
    part: list[onnx.NodeProto] = []
    for node in nodes:
        if part and node.op_type == "Slice":
            yield part
            part = []
        part.append(node)
    yield part


def _infer_part(
    model: onnx.ModelProto,
    nodes: Sequence[onnx.NodeProto],
    known: Mapping[str, onnx.ValueInfoProto],
    given: Mapping[str, onnx.TensorProto],
    constants: Mapping[str, onnx.NodeProto],
) -> onnx.GraphProto:
    from onnx import shape_inference  # noqa: PLC0415 - heavy

    made = {name for node in nodes for name in node.output}
    read = dict.fromkeys(x for node in nodes for x in (*node.input, *captured(node)))
    part = type(model)(ir_version=model.ir_version, opset_import=model.opset_import)
    outside = [name for name in read if name not in made]
    part.graph.initializer.extend(given[name] for name in outside if name in given)
    part.graph.node.extend(constants[name] for name in outside if name in constants)
    part.graph.node.extend(nodes)
    part.graph.input.extend(
        known[name]
        for name in outside
        if name in known and name not in given and name not in constants
    )
    part.graph.value_info.extend(known[name] for name in made if name in known)
    return shape_inference.infer_shapes(part, strict_mode=True).graph


def _require_sizes(value: onnx.ValueInfoProto, name: str) -> None:
    sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
    if min(sizes, default=0) < 0:
        raise ModelError(
            f"The tensor {value.name!r} of {name!r} has a negative size: {tuple(sizes)}.",
            remedy="Check whether the windows and pads before it fit the input of the network.",
            tensor=value.name,
        )


def hide_open_slices(model: onnx.ModelProto, inferred: onnx.ModelProto) -> dict[int, str]:
    """Makes each Slice of a tensor whose sizes are not all known an operator of another domain.

    Args:
        model: is changed in place.
        inferred: of the same nodes, with what is known.

    Returns:
        The domains of these nodes by their place, for :func:`show_slices`.
    """
    graph = inferred.graph
    known = {value.name: value for value in (*graph.value_info, *graph.output, *graph.input)}
    typed = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    hidden = {}
    for place, node in enumerate(model.graph.node):
        source = known.get(node.input[0]) if node.input else None
        if node.op_type != "Slice" or node.domain not in OWN_DOMAINS or source is None:
            continue
        if known_shape(source) is not None or not source.type.tensor_type.elem_type:
            continue
        hidden[place] = node.domain
        node.domain = _HIDDEN
        for name in node.output:
            if name not in typed:
                value = model.graph.value_info.add(name=name)
                value.type.tensor_type.elem_type = source.type.tensor_type.elem_type
    if hidden:
        model.opset_import.add(domain=_HIDDEN, version=1)
    return hidden


def show_slices(model: onnx.ModelProto, hidden: Mapping[int, str]) -> None:
    """Gives the nodes that :func:`hide_open_slices` found their domains again."""
    for place, domain in hidden.items():
        model.graph.node[place].domain = domain
    if hidden:
        del model.opset_import[-1]
