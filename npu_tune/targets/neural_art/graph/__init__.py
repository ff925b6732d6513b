"""Imports networks: from a model file to the operations that the units compute."""

from npu_tune.targets.neural_art.graph.importer import graph_of
from npu_tune.targets.neural_art.graph.model import (
    FeatureMap,
    Operation,
    OperationGraph,
    OperationKind,
    Weights,
)
from npu_tune.targets.neural_art.graph.versions import CORE_3_0, CORE_4_0, CORES, compiled_by

__all__ = [
    "CORES",
    "CORE_3_0",
    "CORE_4_0",
    "FeatureMap",
    "Operation",
    "OperationGraph",
    "OperationKind",
    "Weights",
    "compiled_by",
    "graph_of",
]
