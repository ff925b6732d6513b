"""Checks a graph before it is rewritten: whatever passes is honoured by the steps behind."""

from __future__ import annotations

from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.operators import OPERATORS, objection_to
from npu_tune.network.quantize.lowering import no_form_error, unsupported_error


def check_nodes(graph: OnnxGraph) -> None:
    """Checks that every operator is known, and each of its attributes and inputs honoured.

    Args:
        graph: as it was read, with constant nodes folded.

    Raises:
        UnsupportedOperatorError: if not; names the node, and the attribute or input.
    """
    for node in graph.nodes:
        operator = OPERATORS.get(node.op)
        if operator is None or not operator.converted:
            raise no_form_error(node)
        objection = objection_to(graph, node, "values")
        if objection is not None:
            raise unsupported_error(node, objection.reason, remedy=objection.remedy)
