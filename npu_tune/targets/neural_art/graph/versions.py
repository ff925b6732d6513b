"""What older versions of the vendor's compiler do otherwise."""

from __future__ import annotations

from dataclasses import replace

from npu_tune.targets.neural_art.graph.model import Operation, OperationGraph, OperationKind

CORE_3_0 = "3.0"
CORE_4_0 = "4.0"
CORES = (CORE_3_0, CORE_4_0)
"""Versions of ST Edge AI Core whose published figures differ, the newest last. Networks without
squeeze-and-excite take the same in both."""


_PRODUCTS = frozenset({"Mul", "MUL"})


def compiled_by(graph: OperationGraph, core: str) -> OperationGraph:
    """The graph as a version of the compiler maps it to the units.

    Up to 3.0, products of a map with one number per channel that is computed at run time, as gates of
    squeeze-and-excite are, cost what they would on the CPU: for EfficientNet v2 and MnasNet-A1 alike
    about 24 cycles more for each element than in 4.0, and the RAM of one float per element.

    Args:
        graph: as imported.
        core: one of :data:`CORES`.
    """
    if core != CORE_3_0:
        return graph
    return replace(graph, operations=tuple(_gate(graph, each) for each in graph.operations))


def _gate(graph: OperationGraph, operation: Operation) -> Operation:
    if operation.op not in _PRODUCTS or len(operation.inputs) != 2:
        return operation
    result = graph.maps[operation.output]
    if not any(
        _is_gate(graph, name) and result.elements > result.channels * graph.batch
        for name in operation.inputs
    ):
        return operation
    return replace(
        operation,
        kind=OperationKind.SOFTWARE,
        software_reason="version 3.0 of the vendor's compiler multiplies with a gate there",
        in_float=True,
    )


def _is_gate(graph: OperationGraph, name: str) -> bool:
    source = graph.maps[name]
    return source.elements == source.channels * graph.batch and source.channels > 1
