"""Imports networks: from a model file to the operations that the units compute."""

from npu_tune.targets.neural_art.graph.importer import graph_of
from npu_tune.targets.neural_art.graph.model import (
    FeatureMap,
    Operation,
    OperationGraph,
    OperationKind,
    Weights,
)

__all__ = ["FeatureMap", "Operation", "OperationGraph", "OperationKind", "Weights", "graph_of"]
