"""Graphs of small ONNX networks, and what must hold for every graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from two_runtimes import onnx_model, onnx_network

from npu_tune.targets.neural_art.graph import FeatureMap, Operation, OperationGraph, graph_of


def imported(
    nodes: str,
    weights: Mapping[str, tuple[int, ...]] | None = None,
    constants: Mapping[str, object] | None = None,
    *,
    inputs: str = "float[1,8,12,10] x",
    outputs: str = "float y",
    opset: int = 13,
) -> OperationGraph:
    """The graph of a network in ONNX's text form, with random weights of the given shapes."""
    generator = np.random.default_rng(0)
    values = {
        name: generator.normal(size=shape).astype(np.float32)
        for name, shape in (weights or {}).items()
    }
    values |= {name: np.asarray(value) for name, value in (constants or {}).items()}
    model = onnx_model(f"({inputs}) => ({outputs}) {{ {nodes} }}", values, opset=opset)
    graph = graph_of(onnx_network(model))
    check_graph(graph)
    return graph


def check_graph(graph: OperationGraph) -> None:
    """Every map has one writer before its readers, every name is unique, nothing is unread."""
    written = list(graph.inputs)
    for operation in graph.operations:
        assert operation.inputs, operation
        assert set(operation.inputs) <= set(written), operation
        written.extend(operation.outputs)
        assert bool(operation.software_reason) == (operation.kind == "software"), operation
        assert operation.macs == 0 or operation.kind in ("convolution", "software"), operation
        assert operation.kind == "software" or not operation.further_outputs, operation
        assert operation.name.isprintable(), operation
        assert " " not in operation.name, operation
    assert len(written) == len(set(written))
    assert set(graph.maps) == set(written)
    assert set(graph.outputs) <= set(written)
    names = [operation.name for operation in graph.operations]
    assert len(names) == len(set(names))
    for name in written:
        assert graph.readers[name] or name in graph.outputs, name
        assert graph.maps[name].elements > 0


def kinds(graph: OperationGraph) -> list[str]:
    """What each operation is, with its activation: ``convolution+relu``."""
    return [
        operation.kind.value + (f"+{operation.activation}" if operation.activation else "")
        for operation in graph.operations
    ]


def sizes(feature_map: FeatureMap) -> tuple[int, int, int]:
    return feature_map.channels, feature_map.height, feature_map.width


def only(graph: OperationGraph) -> Operation:
    (operation,) = graph.operations
    return operation
