"""What must hold of an ONNX file before anything else looks at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from npu_tune.errors import ModelError
from npu_tune.network.onnx.bodies import all_nodes, bodies, captured
from npu_tune.network.onnx.external import all_tensors
from npu_tune.network.onnx.proto import OWN_DOMAINS, opset_of
from npu_tune.network.onnx.schemas import operator_schema

if TYPE_CHECKING:
    import onnx

_NEWEST = 1000
"""Newer than any operator set."""
_OPTIONAL_LATER = "roi"
"""An input of Resize that files leave out although the first form of it says that it is needed."""
_REMEDY = "Check the file with onnx.checker and export it again."


def require_well_formed(model: onnx.ModelProto, *, name: str) -> None:
    """Checks names, the attributes of ONNX's own operators, and the order of computation.

    Names must be text, attributes of the type that the operator defines, and every tensor must be
    given or computed once, before it is read. Protobuf and shape inference check none of these.

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
    for tensor in all_tensors(graph):
        if min(tensor.dims, default=0) < 0:
            raise ModelError(
                f"The constant {tensor.name!r} of {name!r} is damaged (its shape is "
                f"{tuple(tensor.dims)}).",
                remedy="Copy or export the file again.",
                tensor=tensor.name,
            )
    for node in all_nodes(graph.node):
        _require_definition(node, opset_of(model), name)
    known = _distinct([value.name for value in graph.input], "input", name)
    known |= _distinct([tensor.name for tensor in graph.initializer], "constant", name)
    known.update(tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        label = _label(node)
        early = next((x for x in (*node.input, *captured(node)) if x and x not in known), None)
        if early is not None:
            raise ModelError(
                f"The node {label!r} ({node.op_type}) of {name!r} reads {early!r}, which nothing "
                "before it computes.",
                remedy=_REMEDY,
                node=label,
            )
        again = next((x for x in node.output if x and x in known), None)
        if again is not None:
            raise ModelError(
                f"The node {label!r} ({node.op_type}) of {name!r} computes {again!r}, which is "
                "there before.",
                remedy=_REMEDY,
                node=label,
            )
        known.update(node.output)
    _require_computed(graph, known, name)


def _require_computed(graph: onnx.GraphProto, known: set[str], name: str) -> None:
    """Raises ModelError if an output is neither computed nor given."""
    for value in graph.output:
        if value.name not in known:
            raise ModelError(
                f"The output {value.name!r} of {name!r} is computed by nothing.",
                remedy=_REMEDY,
                tensor=value.name,
            )


def _distinct(labels: list[str], kind: str, name: str) -> set[str]:
    again = next((label for label, count in Counter(labels).items() if count > 1), None)
    if again is not None:
        raise ModelError(
            f"The {kind} {again!r} of {name!r} is listed twice.", remedy=_REMEDY, tensor=again
        )
    return set(labels)


def _require_definition(node: onnx.NodeProto, opset: int, name: str) -> None:
    """Checks that attributes have the types that the operator defines, and that nothing is missing.

    Raises:
        ModelError: if not; names the node, and the attribute or input.
    """
    schema = operator_schema(node.op_type, opset) if node.domain in OWN_DOMAINS else None
    if schema is None:
        return
    given = Counter(attribute.name for attribute in node.attribute)
    defined: Mapping[str, Any] = schema.attributes
    # Readers look for attributes of newer forms too.
    newest = operator_schema(node.op_type, _NEWEST)
    known = {**({} if newest is None else newest.attributes), **defined}
    faults = [f"gives its attribute {each!r} twice" for each, count in given.items() if count > 1]
    faults += [
        f"needs an attribute {each!r} of the type {_type_name(defined[each].type)}"
        for each in defined
        if defined[each].required and each not in given
    ]
    faults += [
        f"gives its attribute {each.name!r} as {_type_name(each.type)} instead of "
        f"{_type_name(known[each.name].type)}"
        for each in node.attribute
        if each.name in known and each.type != int(known[each.name].type)
    ]
    faults += [
        f"needs an input {formal.name}"
        for place, formal in enumerate(schema.inputs)
        if formal.option == formal.option.Single
        and formal.name != _OPTIONAL_LATER
        and not (place < len(node.input) and node.input[place])
    ]
    if node.op_type == "Split":
        parts = [each.i for each in node.attribute if each.name == "num_outputs"]
        if parts and parts[0] < len(node.output):
            faults.append(f"splits into {parts[0]} parts and has {len(node.output)} outputs")
    if faults:
        label = _label(node)
        raise ModelError(
            f"The node {label!r} ({node.op_type}) of {name!r} {faults[0]}.",
            remedy=_REMEDY,
            node=label,
        )


def _label(node: onnx.NodeProto) -> str:
    """What messages call a node."""
    return node.name or next(filter(None, node.output), "")


def _type_name(kind: Any) -> str:
    """ONNX's name of an attribute type, such as INTS."""
    from onnx import AttributeProto  # noqa: PLC0415 - heavy

    names: dict[int, str] = {code: each for each, code in AttributeProto.AttributeType.items()}
    return names.get(int(kind), f"type {int(kind)}")


def _names(graph: onnx.GraphProto) -> Iterator[object]:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        for body in bodies(node):
            yield from _names(body)
