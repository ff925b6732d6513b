"""The graphs of a TFLite file besides the first one."""

from __future__ import annotations

from typing import Any

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.model import Network
from npu_tune.network.tflite.damage import Entries
from npu_tune.network.tflite.options import operator_attributes

CONTROL_FLOW = frozenset(
    {"CALL", "IF", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "WHILE"}
)
"""Operators that run other graphs of the file in every inference."""


def other_graphs(graphs: list[Any], entries: Entries) -> tuple[str, ...]:
    """Names of the graphs behind the first one that no operator runs, such as signatures.

    Args:
        graphs: the tables of the file.
        entries: counts what is read.
    """
    if len(graphs) == 1:
        return ()
    called: set[int] = set()
    for graph in graphs:
        for operator in operators_of(graph, entries):
            for name, value in operator_attributes(operator, entries).items():
                if "subgraph" in name:
                    called.update(value if isinstance(value, tuple) else (value,))
    return tuple(
        entries.text(graph.Name(), "the name of a graph") or f"graph {number}"
        for number, graph in enumerate(graphs)
        if number > 0 and number not in called
    )


def operators_of(graph: Any, entries: Entries) -> list[Any]:
    """The tables of a graph's operators."""
    return entries.tables(graph.OperatorsLength(), graph.Operators, "the list of operators")


def require_no_control_flow(network: Network) -> None:
    """Checks that the first graph runs none of the others, whose work cannot be costed.

    Raises:
        UnsupportedOperatorError: if it does; names the operator.
    """
    for layer in network.layers:
        if layer.op in CONTROL_FLOW:
            raise UnsupportedOperatorError(
                f"The operator {layer.name!r} ({layer.op}) of {network.name!r} runs another graph "
                "of the file, and how often is not known before run time.",
                remedy="Convert the network with that part inlined or outside.",
                node=layer.name,
                op=layer.op,
            )
