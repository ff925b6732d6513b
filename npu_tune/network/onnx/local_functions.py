"""Functions that a file defines of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import all_nodes
from npu_tune.network.onnx.fold_size import last_line
from npu_tune.network.onnx.proto import OWN_DOMAINS, opset_of
from npu_tune.network.onnx.schemas import operator_schema

if TYPE_CHECKING:
    import onnx

_NODE_BYTES = 1_000
"""About what one operator takes here, whatever it works on: its names, attributes and shapes."""
_DEEPEST = 100
"""Levels of functions that call others; the same as protobuf allows to nest messages."""


def expand_functions(
    model: onnx.ModelProto, *, name: str, budget: ReadingBudget
) -> onnx.ModelProto:
    """Replaces calls of the file's own functions by their operators, and counts all operators.

    Functions that call others several times double with every level, so that they are counted
    before they are expanded.

    Raises:
        ModelError: if a function calls itself, or there are too many operators.
    """
    budget.take(_expanded_bytes(model, name), "the list of its operators")
    if not model.functions:
        return model
    try:
        expanded = _inline(model)
    except RuntimeError as error:  # the library has no errors of its own
        raise ModelError(
            f"The functions of {name!r} cannot be expanded: {last_line(error)}.",
            remedy="Check the file with onnx.checker and export it again.",
        ) from error
    own = {(function.domain, function.name) for function in model.functions}
    for node in all_nodes(expanded.graph.node):
        if (node.domain, node.op_type) in own:
            raise ModelError(
                f"The function {node.op_type!r} of {name!r} cannot be expanded: it needs another "
                "operator set than the network, or is called in a way that it does not state.",
                remedy="Export the network without functions of its own, or all of it for one "
                "operator set.",
                function=node.op_type,
            )
    return expanded


def _inline(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces calls of functions by their operators, in the form of the model's operator set.

    What cannot be brought to that operator set stays a call.
    """
    from onnx import helper, inliner  # noqa: PLC0415 - heavy

    copy = type(model)()
    copy.CopyFrom(model)
    if all(_adopt_opset(function, opset_of(model)) for function in copy.functions):
        return inliner.inline_local_functions(copy)
    # Operators can be converted only where the types of all that they read are known.
    inputs = {value.name for value in model.graph.input}
    copy.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
        if tensor.name not in inputs
    )
    try:
        expanded = inliner.inline_local_functions(copy, convert_version=True)
    except Exception:  # noqa: BLE001 - the converter has no errors of its own
        return inliner.inline_local_functions(model)
    # The converter gives what it adds the same names in every call.
    names = [name for node in expanded.graph.node for name in node.output if name]
    if len(set(names)) < len(names):
        return inliner.inline_local_functions(model)
    del expanded.graph.input[:]
    expanded.graph.input.extend(model.graph.input)
    return expanded


def _adopt_opset(function: onnx.FunctionProto, opset: int) -> bool:
    """Makes a function use the model's operator set if that changes none of its operators.

    Returns:
        Whether it uses that now.
    """
    given = opset_of(function)
    if given != opset and any(
        _definition(node.op_type, given) != _definition(node.op_type, opset)
        for node in all_nodes(function.node)
        if node.domain in OWN_DOMAINS
    ):
        return False
    for each in function.opset_import:
        if each.domain in OWN_DOMAINS:
            each.version = opset
    return True


def _expanded_bytes(model: onnx.ModelProto, name: str) -> int:
    """What all operators take once the functions are expanded, those of bodies included."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    sizes: dict[tuple[str, str, str], int] = {}
    calling: list[tuple[str, str, str]] = []

    def size(nodes: Iterable[onnx.NodeProto]) -> int:
        return sum(map(size_of_call, all_nodes(nodes)))

    def size_of_call(node: onnx.NodeProto) -> int:
        key = (node.domain, node.op_type, node.overload)
        if key not in functions:
            return _NODE_BYTES + int(node.ByteSize())
        if key in calling or len(calling) == _DEEPEST:
            raise ModelError(
                f"The function {node.op_type!r} of {name!r} calls itself, or lies too deep.",
                remedy="Export the network without functions of its own.",
            )
        if key not in sizes:
            calling.append(key)
            sizes[key] = size(functions[key].node)
            calling.pop()
        return sizes[key]

    return size(model.graph.node)


def _definition(op: str, opset: int) -> int:
    """The operator set that defines an operator as it is in another one; 0 if it has none."""
    schema = operator_schema(op, opset)
    return 0 if schema is None else int(schema.since_version)
