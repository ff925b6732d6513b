"""Layers of a folded graph: the nodes that choices are made for, with what is fused into them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from npu_tune.network.model import printable_names
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

FUSED_ACTIVATIONS = ("Relu", "Clip")
"""Behind a convolution they cost nothing: int8 saturates where they cut, float fuses them."""

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""Operators with weights, whose products are what int8 makes faster."""

SUMS = ("Add", "Mul")
"""Operators on two tensors that are computed at run time."""


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """A node that choices are made for.

    Args:
        name: printable and unique.
        node: the operator.
        activation: of the same layer; None where it has none.
    """

    name: str
    node: OnnxNode
    activation: OnnxNode | None = None

    @property
    def output(self) -> str:
        """The tensor that other layers read."""
        return (self.activation or self.node).output

    @property
    def transposed(self) -> bool:
        """True for a Gemm whose weights have outputs first."""
        return bool(self.node.attributes.get("transB"))

    @property
    def is_product(self) -> bool:
        return self.node.op in PRODUCTS


@dataclass(frozen=True, eq=False)
class LayeredGraph:
    """A folded graph and its layers.

    Args:
        graph: that nobody changes any more.
    """

    graph: OnnxGraph

    @cached_property
    def readers(self) -> Mapping[str, tuple[OnnxNode, ...]]:
        """Who reads a tensor, by its name."""
        found: dict[str, list[OnnxNode]] = {}
        for node in self.graph.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def producers(self) -> Mapping[str, OnnxNode]:
        """Who computes a tensor, by its name."""
        return {name: node for node in self.graph.nodes for name in node.outputs if name}

    @cached_property
    def layers(self) -> tuple[FoldedLayer, ...]:
        """In execution order."""
        nodes = [node for node in self.graph.nodes if self._has_choices(node)]
        names = printable_names([node.name or node.output for node in nodes])
        return tuple(
            FoldedLayer(name, node, self._activation(node))
            for name, node in zip(names, nodes, strict=True)
        )

    @cached_property
    def by_output(self) -> Mapping[str, FoldedLayer]:
        """Layers by the tensor that they compute."""
        return {layer.output: layer for layer in self.layers}

    def is_constant(self, name: str) -> bool:
        return name in self.graph.constants

    def work(self, layer: FoldedLayer) -> float:
        """Multiply-accumulates of a product; of a sum, its elements."""
        elements = math.prod(self.graph.shapes[layer.node.output])
        if not layer.is_product:
            return float(elements)
        weights = self.graph.shapes[layer.node.inputs[1]]
        # An output takes one product per weight of its channel.
        channels = weights[0] if layer.node.op == "Conv" or layer.transposed else weights[-1]
        return float(elements * math.prod(weights) / channels)

    def _has_choices(self, node: OnnxNode) -> bool:
        at_run_time = self.graph.run_time_inputs(node)
        if not all(map(self._is_real, (*at_run_time, node.output))):
            return False
        if node.op in SUMS:
            return len(at_run_time) == 2
        return node.op in PRODUCTS and len(at_run_time) == 1 and at_run_time[0] == node.inputs[0]

    def _is_real(self, name: str) -> bool:
        """True for real numbers of a known shape."""
        return name in self.graph.shapes and name not in self.graph.types

    def _activation(self, node: OnnxNode) -> OnnxNode | None:
        """The activation that is all that reads a node's output."""
        readers = self.readers.get(node.output, ())
        if len(readers) != 1 or node.output in self.graph.outputs:
            return None
        only = readers[0]
        fused = only.op in FUSED_ACTIVATIONS and only.inputs[0] == node.output
        limits = filter(None, only.inputs[1:])
        return only if fused and all(map(self.is_constant, limits)) else None
