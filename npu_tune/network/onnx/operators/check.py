"""Finds the attributes, inputs and outputs of a node that a reader cannot honour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.operators.functions import FUNCTIONS
from npu_tune.network.onnx.operators.layers import LAYERS
from npu_tune.network.onnx.operators.moves import MOVES
from npu_tune.network.onnx.operators.sizes import check_sizes
from npu_tune.network.onnx.operators.treatment import Operator, OperatorParameter, Treatment
from npu_tune.network.onnx.schemas import operator_schema

if TYPE_CHECKING:
    import onnx

OPERATORS: Mapping[str, Operator] = MappingProxyType({**LAYERS, **FUNCTIONS, **MOVES})
"""Every operator that is read, by name."""

Reader = Literal["values", "work"]
"""Who reads a node; see :class:`OperatorParameter`."""


@dataclass(frozen=True)
class Objection:
    """Why a reader cannot take a node as it is.

    Args:
        reason: a clause such as "its antialias is 1, and only 0 is known".
        remedy: what to change in the network.
    """

    reason: str
    remedy: str


def objection_to(graph: OnnxGraph, node: OnnxNode, reader: Reader) -> Objection | None:
    """The first thing about a node that a reader cannot honour; None if there is nothing.

    Args:
        graph: that the node is of, with all constants that are known before run time.
        node: of an operator in :data:`OPERATORS`.
        reader: who asks.

    Raises:
        ModelError: if the node contradicts itself.
    """
    check_sizes(graph, node)
    return next(_objections(graph, node, reader), None)


def _objections(graph: OnnxGraph, node: OnnxNode, reader: Reader) -> Iterator[Objection]:
    operator, schema = OPERATORS[node.op], _schema(node.op, graph.opset)
    if schema is None or schema.since_version not in operator.versions:
        yield Objection(
            f"its form in operator set {graph.opset} is not known",
            "Export the network with an operator set between "
            f"{min(operator.versions)} and {max(operator.versions)}.",
        )
        return
    yield from _strangers(graph, node, schema)
    for name, value in node.attributes.items():
        if name in schema.attributes:
            yield from _to_value(name, operator.parameters[name], reader, value)
    for position, name in enumerate(node.inputs):
        if name:
            formal = _formal_name(schema.inputs, position)
            constant = graph.constants.get(name)
            yield from _to_input(formal, operator.parameters[formal], reader, constant)
    for position, name in enumerate(node.outputs[1:], start=1):
        formal = _formal_name(schema.outputs, position)
        unread = getattr(operator.outputs.get(formal), reader, None) is Treatment.UNREAD
        if name and unread and _is_read(graph, name):
            yield Objection(
                f"its output {formal} is read", "Export the network without that output."
            )


def _schema(op: str, opset: int) -> onnx.defs.OpSchema | None:
    """The definition in force in an operator set; None in one that is newer than the library."""
    from onnx import defs  # noqa: PLC0415 - heavy

    return None if opset > defs.onnx_opset_version() else operator_schema(op, opset)


def _strangers(
    graph: OnnxGraph, node: OnnxNode, schema: onnx.defs.OpSchema
) -> Iterator[Objection]:
    """Objections to attributes and inputs that an operator does not have."""
    remedy = "Check the file with onnx.checker and export it again."
    for name in node.attributes:
        if name not in schema.attributes:
            yield Objection(
                f"operator set {graph.opset} gives it no attribute {name!r}",
                remedy,
            )
    if len(node.inputs) > schema.max_input or len(node.outputs) > schema.max_output:
        yield Objection(
            f"operator set {graph.opset} gives it fewer inputs or outputs than it has", remedy
        )


def _formal_name(formals: Any, position: int) -> str:
    """The name of an input or output in the definition; the last one may stand for several."""
    name: str = formals[min(position, len(formals) - 1)].name
    return name


def _to_input(
    name: str, parameter: OperatorParameter, reader: Reader, constant: Any
) -> Iterator[Objection]:
    treatment = getattr(parameter, reader)
    if constant is not None:
        yield from _to_value(name, parameter, reader, constant)
    elif treatment in (Treatment.CONSTANT, Treatment.LIMITED):
        yield Objection(
            f"its input {name} is computed at run time",
            "Export the network with a constant there (for example with onnxsim).",
        )


def _to_value(
    name: str, parameter: OperatorParameter, reader: Reader, value: Any
) -> Iterator[Objection]:
    if getattr(parameter, reader) is not Treatment.LIMITED:
        return
    plain = _plain(value)
    if not parameter.allowed:
        yield Objection(f"it has {name}", f"Export the network without {name}.")
    elif plain not in parameter.allowed:
        known = ", ".join(map(repr, parameter.allowed))
        yield Objection(
            f"its {name} is {plain!r}, and only {known} is known",
            f"Export the network with {name} = {parameter.allowed[0]!r}.",
        )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return value.reshape(-1)[0].item() if value.size == 1 else value.tolist()
    return value


def _is_read(graph: OnnxGraph, name: str) -> bool:
    return name in graph.outputs or any(name in node.inputs for node in graph.nodes)
