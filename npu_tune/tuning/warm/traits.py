"""What a layer is like, so that layers of other networks can be found that are like it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from npu_tune.network import Layer, Network
from npu_tune.space import NETWORK_SCOPE

_SORTS = {
    "CONV_2D": "convolution",
    "DEPTHWISE_CONV_2D": "convolution",
    "Conv": "convolution",
    "QLinearConv": "convolution",
    "FULLY_CONNECTED": "product",
    "Gemm": "product",
    "MatMul": "product",
    "QLinearMatMul": "product",
    "ADD": "sum",
    "Add": "sum",
    "QLinearAdd": "sum",
    "AVERAGE_POOL_2D": "mean",
    "MEAN": "mean",
    "AveragePool": "mean",
    "GlobalAveragePool": "mean",
    "ReduceMean": "mean",
    "MAX_POOL_2D": "maximum",
    "MaxPool": "maximum",
    "GlobalMaxPool": "maximum",
    "SOFTMAX": "softmax",
    "Softmax": "softmax",
}
"""What operators of the two formats have in common; others are their own sort."""


@dataclass(frozen=True)
class LayerTraits:
    """What a layer is like.

    Args:
        sort: of operator, the same in both formats; "" where the target made the layer itself.
        sizes: base-2 logarithms of the elements that it reads, writes and has as weights.
        weights: the same of the dimensions of its largest constant, in order of size, so that
            formats with other layouts agree.
        position: among the layers with knobs, from 0 for the first to 1 for the last.
    """

    sort: str
    sizes: tuple[float, ...]
    weights: tuple[float, ...]
    position: float

    def to_list(self) -> list[Any]:
        """As JSON; the reverse of :meth:`of_list`."""
        return [self.sort, list(self.sizes), list(self.weights), self.position]

    @classmethod
    def of_list(cls, values: list[Any]) -> LayerTraits:
        """Reads what :meth:`to_list` wrote."""
        sort, sizes, weights, position = values
        return cls(sort, tuple(sizes), tuple(weights), position)


def layer_traits(network: Network, names: Iterable[str]) -> dict[str, LayerTraits]:
    """The traits of the layers that have knobs, in order.

    Args:
        network: the layers are of.
        names: of the layers, in the order of the search space; the network's own scope is passed
            over.
    """
    listed = [name for name in names if name != NETWORK_SCOPE]
    by_name = {layer.name: layer for layer in network.layers}
    last = max(len(listed) - 1, 1)
    return {
        name: _traits(network, by_name.get(name), position / last)
        for position, name in enumerate(listed)
    }


def _traits(network: Network, layer: Layer | None, position: float) -> LayerTraits:
    if layer is None:
        return LayerTraits("", (), (), position)
    tensors = [network.tensors[name] for name in layer.inputs if name in network.tensors]
    constants = [tensor for tensor in tensors if tensor.is_constant]
    largest = max(constants, key=lambda tensor: tensor.elements, default=None)
    elements = (
        sum(tensor.elements for tensor in tensors if not tensor.is_constant),
        sum(network.tensors[n].elements for n in layer.outputs if n in network.tensors),
        0 if largest is None else largest.elements,
    )
    shape = () if largest is None else sorted(d for d in largest.shape if d != 1)
    return LayerTraits(
        _SORTS.get(layer.op, layer.op),
        tuple(math.log2(1 + each) for each in elements),
        tuple(math.log2(each) for each in shape),
        position,
    )


def traits_to_json(traits: Mapping[str, LayerTraits]) -> dict[str, list[Any]]:
    """As JSON, by name of the layer."""
    return {name: each.to_list() for name, each in traits.items()}
