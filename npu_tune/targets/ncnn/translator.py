"""Translates a folded graph to ncnn's layers.

ncnn has no batch: a tensor of shape (1, c, h, w) is a blob of shape (c, h, w). Values lie in the
same order in both, so that reshaping costs nothing unless a reader needs the shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NoReturn

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network.model import printable_names
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.targets.measured.layers import FoldedLayer, LayeredGraph
from npu_tune.targets.ncnn.program import (
    NcnnLayer,
    NcnnProgram,
    Parameters,
    Port,
    Product,
    Shape,
    Weights,
)

_LONGEST_NAME = 180
"""ncnn reads names of at most 255 characters; endings come behind them."""

MOST_DIMENSIONS = 4
"""Of a blob."""

_RESHAPE_IDS = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}
"""Ids of a blob's sizes, outermost first, in Input, Reshape and MemoryData."""


def blob_shape(shape: Shape) -> Shape:
    """The shape of a blob that holds a tensor: without its batch of one."""
    if len(shape) > 1 and shape[0] == 1:
        return shape[1:]
    return shape or (1,)


def size_parameters(shape: Shape) -> dict[int, int]:
    """Sizes of a blob as the parameters of the layers that state them."""
    return dict(zip(_RESHAPE_IDS[len(shape)], shape, strict=True))


class Translator:
    """Holds what is translated so far.

    Args:
        layered: the network.
    """

    def __init__(self, layered: LayeredGraph) -> None:
        self.layered = layered
        self.graph: OnnxGraph = layered.graph
        self._layers: list[NcnnLayer] = []
        self._held: dict[str, tuple[str, Shape]] = {}
        self._reshaped: dict[tuple[str, Shape], str] = {}
        self._tensors: dict[str, str] = {}
        self._translated: set[str] = set()
        self._by_node = {layer.node.output: layer for layer in layered.layers}
        tensors = list(self.graph.tensors())
        cut = [name[:_LONGEST_NAME] for name in tensors]
        self._labels = dict(zip(tensors, printable_names(cut), strict=True))
        self._taken = set(self._labels.values())

    def layer_of(self, node: OnnxNode) -> FoldedLayer | None:
        """The network's layer that a node belongs to, where it has choices."""
        return self._by_node.get(node.output)

    def shape(self, tensor: str) -> Shape:
        """The shape of the blob that a tensor has by itself."""
        return blob_shape(self.graph.shapes[tensor])

    def axis(self, node: OnnxNode, tensor: str, axis: int) -> int:
        """An axis of a tensor as one of its blob."""
        shape = self.graph.shapes[tensor]
        batched = len(shape) - len(blob_shape(shape))
        found = axis % len(shape) - batched
        if found < 0:
            self.refuse(node, "it works along the batch")
        return found

    def held(self, tensor: str) -> tuple[str, Shape]:
        """The blob that holds a tensor's values, and the shape that it happens to have."""
        return self._held[tensor]

    def read(self, node: OnnxNode, tensor: str, shape: Shape | None = None) -> str:
        """The blob of a tensor in a shape; a layer that reshapes it is put before if need be.

        Args:
            node: that reads it.
            tensor: computed at run time.
            shape: None for its own.
        """
        wanted = shape or self.shape(tensor)
        if len(wanted) > MOST_DIMENSIONS:
            self.refuse(node, f"a blob has at most {MOST_DIMENSIONS} dimensions")
        blob, present = self._held[tensor]
        if present == wanted:
            return blob
        known = self._reshaped.get((blob, wanted))
        if known is None:
            known = self.new_blob(f"{blob}:reshaped")
            self._layers.append(NcnnLayer("Reshape", (blob,), known, size_parameters(wanted)))
            self._tensors[known] = tensor
            self._reshaped[blob, wanted] = known
        return known

    def new_blob(self, base: str) -> str:
        """An unused name."""
        count, name = 1, base
        while name in self._taken:
            count += 1
            name = f"{base}{count}"
        self._taken.add(name)
        return name

    def emit(
        self,
        kind: str,
        inputs: list[str],
        tensor: str,
        parameters: Parameters | None = None,
        *,
        weights: tuple[Weights, ...] = (),
        tagged: bool = False,
        shape: Shape | None = None,
        product: Product | None = None,
    ) -> None:
        """Adds the layer that computes a tensor.

        Args:
            kind: ncnn's type.
            inputs: blobs.
            tensor: that it computes.
            parameters: by ncnn's ids.
            weights: in ncnn's order.
            tagged: True where the first weights tell how they are stored.
            shape: of the blob as ncnn makes it; None for the tensor's own.
            product: what can be chosen.
        """
        blob = self._labels[tensor]
        self._layers.append(
            NcnnLayer(kind, tuple(inputs), blob, dict(parameters or {}), weights, tagged, product)
        )
        self._held[tensor] = (blob, shape or self.shape(tensor))
        self._tensors[blob] = tensor

    def emit_constant(self, base: str, value: Weights) -> str:
        """Adds a layer that holds a constant; returns its blob."""
        blob = self.new_blob(base)
        self._layers.append(
            NcnnLayer("MemoryData", (), blob, size_parameters(value.shape), (value,))
        )
        return blob

    def alias(self, tensor: str, source: str) -> None:
        """Lets a tensor be what another one holds, in whatever shape."""
        self._held[tensor] = self._held[source]

    def skip(self, node: OnnxNode) -> None:
        """Leaves out a node that another one's layer computes too."""
        self._translated.add(node.output)

    def refuse(self, node: OnnxNode, reason: str = "") -> NoReturn:
        """Raises that ncnn cannot be given a node."""
        raise UnsupportedOperatorError(
            f"{node} cannot be written for ncnn"
            + (f": {reason}." if reason else ", which has no such operator here."),
            remedy="Use the target cpu-onnxruntime, or export the network without it.",
            layer=node.name,
            operator=node.op,
        )

    def translate(self, operators: Mapping[str, Operator]) -> NcnnProgram:
        """Translates all nodes.

        Args:
            operators: by ONNX's names.

        Raises:
            UnsupportedOperatorError: for what ncnn cannot be given.
            ModelError: for a batch.
        """
        inputs = tuple(self._input(name) for name in self.graph.inputs)
        for node in self.graph.nodes:
            if node.output in self._translated:
                continue
            operator = operators.get(node.op)
            if operator is None or any(node.outputs[1:]):
                self.refuse(node)
            missing = next((x for x in (*node.inputs, node.output) if self._is_open(x)), None)
            if missing is not None:
                self.refuse(node, f"the shape of {missing!r} is not known")
            operator(self, node)
        outputs = tuple(self._output(name) for name in self.graph.outputs)
        return NcnnProgram(tuple(self._layers), inputs, outputs, dict(self._tensors))

    def _output(self, name: str) -> Port:
        """An output, which must be the blob of a layer that computes something."""
        blob = self._held[name][0]
        if any(layer.output == blob and layer.kind == "Input" for layer in self._layers):
            copy = self.new_blob(f"{blob}:copy")
            self._layers.append(NcnnLayer("Dropout", (blob,), copy))
            self._tensors[copy] = name
            blob = copy
        return Port(name, blob, self.graph.shapes[name])

    def _is_open(self, tensor: str) -> bool:
        return bool(tensor) and tensor not in self.graph.shapes

    def _input(self, name: str) -> Port:
        shape = self.graph.shapes[name]
        if len(shape) > 1 and shape[0] != 1:
            raise ModelError(
                f"The input {name!r} has a batch of {shape[0]}, and ncnn takes one sample.",
                remedy="Export the network with a batch of 1.",
                tensor=name,
            )
        if len(blob_shape(shape)) > MOST_DIMENSIONS or not math.prod(shape):
            raise ModelError(
                f"The input {name!r} has the shape {shape}, which ncnn has not.",
                remedy="Use the target cpu-onnxruntime.",
                tensor=name,
            )
        self.emit("Input", [], name, size_parameters(blob_shape(shape)))
        return Port(name, self._labels[name], shape)


Operator = Callable[[Translator, OnnxNode], None]
"""Translates a node."""
