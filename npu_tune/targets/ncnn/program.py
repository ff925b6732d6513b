"""A network as ncnn's layers, before anything is chosen for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]

Parameter = int | float | tuple[float, ...]
"""Of a layer: a number, or a list of them."""

Parameters = Mapping[int, Parameter]
"""By ncnn's ids (its table of operators)."""

Weights = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Product:
    """What int8, bf16 and the choice of an algorithm need to know of a layer with weights.

    Args:
        layer: name of the network's layer.
        channels: its output's.
        groups: of channels; as many as channels where it is depthwise.
        kernel: height and width; (1, 1) of a matrix product.
        plain_steps: True where stride and dilation are 1.
    """

    layer: str
    channels: int
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    plain_steps: bool = True

    @property
    def is_depthwise(self) -> bool:
        return self.groups == self.channels and self.groups > 1

    @property
    def is_grouped(self) -> bool:
        return self.groups > 1 and not self.is_depthwise


@dataclass(frozen=True, eq=False)
class NcnnLayer:
    """One layer, named after the blob that it computes.

    Args:
        kind: ncnn's name of the type.
        inputs: blobs.
        output: blob.
        parameters: by ncnn's ids.
        weights: in ncnn's order; those of a product come first.
        tagged: True where the first weights have a word before them that tells how they are stored.
        product: None where there is nothing to choose.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    parameters: Parameters = field(default_factory=dict)
    weights: tuple[Weights, ...] = ()
    tagged: bool = False
    product: Product | None = None


@dataclass(frozen=True)
class Port:
    """An input or output of the network.

    Args:
        tensor: its name in the network.
        blob: its name in ncnn.
        shape: in the network, with the batch.
    """

    tensor: str
    blob: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class NcnnProgram:
    """All layers in execution order, which is that of the graph.

    Args:
        layers: without those that hand a blob to several readers.
        inputs: of the network.
        outputs: of the network.
        tensors: of the graph, by the blobs that hold their values.
    """

    layers: tuple[NcnnLayer, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: Mapping[str, str]

    @cached_property
    def products(self) -> Mapping[str, NcnnLayer]:
        """Layers with weights, by the name of the network's layer."""
        return {each.product.layer: each for each in self.layers if each.product is not None}

    @cached_property
    def readers(self) -> Mapping[str, tuple[NcnnLayer, ...]]:
        """Who reads a blob."""
        found: dict[str, list[NcnnLayer]] = {}
        for layer in self.layers:
            for blob in dict.fromkeys(layer.inputs):
                found.setdefault(blob, []).append(layer)
        return {blob: tuple(layers) for blob, layers in found.items()}

    @cached_property
    def output_blobs(self) -> frozenset[str]:
        """Blobs that the network's outputs are read from."""
        return frozenset(port.blob for port in self.outputs)
