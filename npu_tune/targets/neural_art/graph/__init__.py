"""From a network file to the operations that the accelerator's units compute."""

from npu_tune.targets.neural_art.graph.importer import graph_of
from npu_tune.targets.neural_art.graph.model import FeatureMap, Graph, Kind, Operation, Weights

__all__ = ["FeatureMap", "Graph", "Kind", "Operation", "Weights", "graph_of"]
