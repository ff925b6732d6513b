"""Writes a configuration as ONNX with quantizers, which onnxruntime turns into int8 operators."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.network.onnx.graph import Array
from npu_tune.network.onnx.proto import node_to_onnx
from npu_tune.targets.cpu_onnxruntime.engine import MODEL
from npu_tune.targets.cpu_onnxruntime.plan import Plan, make_plan
from npu_tune.targets.cpu_onnxruntime.quantizing import (
    Affine,
    QuantizedWeights,
    quantize_weights,
)
from npu_tune.targets.cpu_onnxruntime.weights import WEIGHTS, WeightsFile
from npu_tune.targets.measured.layers import FoldedLayer, LayeredGraph

if TYPE_CHECKING:
    import onnx

_EXACT = "exact"
_CODES = "codes"
_ROUNDED = "rounded"

Ranges = Callable[[str], tuple[float, float]]
"""The range of a tensor by its name."""


@dataclass(eq=False)
class QdqWriter:
    """Writes configurations of one network; what they share is made once.

    Args:
        layered: the network.
    """

    layered: LayeredGraph
    _weights: dict[str, QuantizedWeights] = field(default_factory=dict)

    def write(self, in_int8: frozenset[str], ranges: Ranges, folder: Path) -> None:
        """Writes ``model.onnx`` and, for constants of some size, ``model.weights``.

        onnxruntime maps a file of weights into memory, packs them as its operators need them and
        gives them back. Read as a part of the model, they would be in memory up to three times.

        Args:
            in_int8: names of the layers that compute in int8.
            ranges: of the tensors that are stored in int8.
            folder: where to write.
        """
        scribe = _Scribe(self, make_plan(self.layered, in_int8), ranges)
        nodes = list(scribe.nodes())
        with WeightsFile(folder / WEIGHTS) as weights:
            initializers = [weights.add(name, value) for name, value in scribe.constants.items()]
        (folder / MODEL).write_bytes(self._frame(nodes, initializers))

    def weights(self, layer: FoldedLayer, input_scale: np.float32) -> QuantizedWeights:
        """Of a layer in int8."""
        if layer.name not in self._weights:
            self._weights[layer.name] = quantize_weights(self.layered.graph, layer)
        return self._weights[layer.name].fit_bias(input_scale)

    def name(self, tensor: str, what: str) -> str:
        """The name of something that is written for a tensor; no name of the network."""
        return f"{tensor}{self._mark}{what}"

    @cached_property
    def _mark(self) -> str:
        """Stands in no name of the network."""
        graph, mark = self.layered.graph, ":"
        names = [*graph.constants, *graph.tensors()]
        while any(mark in name for name in names):
            mark += ":"
        return mark

    @cached_property
    def by_node(self) -> Mapping[str, FoldedLayer]:
        """Layers by the output of their node."""
        return {layer.node.output: layer for layer in self.layered.layers}

    def _frame(self, nodes: list[onnx.NodeProto], initializers: list[onnx.TensorProto]) -> bytes:
        """The model."""
        from onnx import TensorProto, helper  # noqa: PLC0415 - heavy

        graph = self.layered.graph

        def value_info(name: str) -> onnx.ValueInfoProto:
            kind = graph.types.get(name, TensorProto.FLOAT)
            return helper.make_tensor_value_info(name, kind, graph.shapes.get(name))

        model = helper.make_model(
            helper.make_graph(
                nodes,
                "npu-tune",
                [value_info(name) for name in graph.inputs],
                [value_info(name) for name in graph.outputs],
                initializers,
            ),
            opset_imports=[helper.make_opsetid("", graph.opset)],
            ir_version=8,
        )
        return bytes(model.SerializeToString())


class _Scribe:
    """Writes the nodes of one configuration and collects its constants."""

    def __init__(self, writer: QdqWriter, plan: Plan, ranges: Ranges) -> None:
        self._writer = writer
        self._graph = writer.layered.graph
        self._plan = plan
        self._ranges = ranges
        self.constants: dict[str, Array] = {}
        """Of everything that was written, by name."""

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """All nodes, with the quantizers between them."""
        for name in self._graph.outputs:
            if name in self._graph.constants:
                self._constant(name, self._graph.constants[name])
        for name in self._graph.inputs:
            yield from self._quantizers(name)
        for node in self._graph.nodes:
            in_int8 = node.output in self._plan.nodes
            layer = self._writer.by_node.get(node.output) if in_int8 else None
            if layer is not None and layer.is_product:
                inputs = yield from self._product_inputs(layer)
            else:
                inputs = [self._input(name, in_int8=in_int8) for name in node.inputs]
            outputs = [self._before_quantizer(node.output), *node.outputs[1:]]
            yield node_to_onnx(replace(node, inputs=inputs, outputs=outputs), self._graph.opset)
            for name in node.outputs:
                yield from self._quantizers(name)

    def _input(self, name: str, *, in_int8: bool) -> str:
        """What a node reads: of what is computed in float, int8 nodes read it rounded."""
        if name in self._graph.constants:
            return self._constant(name, self._graph.constants[name])
        rounded = in_int8 and name in self._plan.tensors and name not in self._plan.nodes
        return self._writer.name(name, _ROUNDED) if rounded else name

    def _before_quantizer(self, name: str) -> str:
        """The name of what a node computes, before it is rounded."""
        return self._writer.name(name, _EXACT) if self._rounded_for_all(name) else name

    def _rounded_for_all(self, name: str) -> bool:
        return name in self._plan.tensors and name in self._plan.nodes

    def _quantizers(self, name: str) -> Iterator[onnx.NodeProto]:
        """Behind a tensor that is stored in int8."""
        if name not in self._plan.tensors:
            return
        for_all = self._rounded_for_all(name)
        new = partial(self._writer.name, name)
        source = new(_EXACT) if for_all else name
        result = name if for_all else new(_ROUNDED)
        codes = new(_CODES)
        affine = self._affine(name)
        numbers = [
            self._constant(new("scale"), np.array(affine.scale, np.float32)),
            self._constant(new("zero"), np.array(affine.zero, np.uint8)),
        ]
        yield _make("QuantizeLinear", [source, *numbers], codes)
        yield _make("DequantizeLinear", [codes, *numbers], result)

    def _product_inputs(self, layer: FoldedLayer) -> Generator[onnx.NodeProto, None, list[str]]:
        node = layer.node
        data = self._input(node.inputs[0], in_int8=True)
        scale = self._affine(node.inputs[0]).scale
        weights = self._writer.weights(layer, scale)
        new = partial(self._writer.name, node.output)
        codes = self._constant(new("weights"), weights.codes)
        scales = self._constant(new("scales"), weights.scales)
        zeros = self._constant(new("zeros"), np.zeros(weights.scales.shape, np.int8))
        real = new("real-weights")
        yield _make("DequantizeLinear", [codes, scales, zeros], real, axis=weights.axis)
        if weights.bias is None:
            return [data, real]
        bias = self._constant(new("bias"), weights.integer_bias(scale))
        steps = self._constant(new("steps"), weights.scales * scale)
        nought = self._constant(new("noughts"), np.zeros(weights.scales.shape, np.int32))
        real_bias = new("real-bias")
        yield _make("DequantizeLinear", [bias, steps, nought], real_bias, axis=0)
        return [data, real, real_bias]

    def _affine(self, name: str) -> Affine:
        return Affine.of(*self._ranges(self._plan.tensors[name]))

    def _constant(self, name: str, value: Array) -> str:
        self.constants[name] = value
        return name


def _make(op: str, inputs: list[str], output: str, *, axis: int | None = None) -> onnx.NodeProto:
    from onnx import helper  # noqa: PLC0415 - heavy

    attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
    return helper.make_node(op, inputs, [output], name=f"{output}:{op}", **attributes)
