"""What the choices of a configuration come to for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from npu_tune.targets.ncnn.program import NcnnLayer, NcnnProgram

FLOAT, BF16, INT8, CHAINED = "float32", "bf16", "int8", "int8-chained"

IN_INT8 = (INT8, CHAINED)

CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")

NO_FP16_ARITHMETIC, NO_BF16, NO_VULKAN, NO_SGEMM, NO_WINOGRAD = 1, 4, 16, 32, 64
"""Bits of a layer's mask (ncnn's developer guide, ``layer-feat-mask.md``)."""


@dataclass(frozen=True)
class LayerPlan:
    """A configuration as it is resolved for each layer.

    Args:
        precisions: by layer; chained only where the result can stay in int8.
        masks: by layer; 0 where it is left out.
    """

    precisions: Mapping[str, str]
    masks: Mapping[str, int]

    @property
    def has_bf16(self) -> bool:
        return BF16 in self.precisions.values()


def resolve(
    program: NcnnProgram,
    precisions: Mapping[str, str],
    *,
    apart: AbstractSet[str] = frozenset(),
) -> dict[str, str]:
    """Precisions by layer, with a result that some reader does not take in int8 left in float.

    Args:
        program: the network.
        precisions: by layer, as they are chosen.
        apart: layers on another device, between which and others nothing is handed in int8.
    """
    together = {name: each for name, each in precisions.items() if name not in apart}
    return {
        name: INT8 if chosen == CHAINED and not _chains(program, name, together) else chosen
        for name, chosen in precisions.items()
    }


def chainable(program: NcnnProgram) -> frozenset[str]:
    """Layers whose result can stay in int8 in some configuration."""
    everywhere = {
        name: CHAINED
        for name, layer in program.products.items()
        if layer.product is not None and not layer.product.is_grouped
    }
    found = resolve(program, everywhere)
    return frozenset(name for name, precision in found.items() if precision == CHAINED)


def _chains(program: NcnnProgram, name: str, precisions: Mapping[str, str]) -> bool:
    layer = program.products[name]
    readers = program.readers.get(layer.output, ())
    if name not in precisions or layer.kind not in CONVOLUTIONS:
        return False
    if not readers or layer.output in program.output_blobs:
        return False
    return all(_takes_int8(each, precisions) for each in readers)


def _takes_int8(layer: NcnnLayer, precisions: Mapping[str, str]) -> bool:
    product = layer.product
    if product is None or layer.kind not in CONVOLUTIONS:
        return False
    return precisions.get(product.layer, FLOAT) in IN_INT8


def range_owners(program: NcnnProgram, precisions: Mapping[str, str]) -> dict[str, str]:
    """The layer whose choice decides the range of a tensor: the first that reads it in int8.

    Args:
        program: the network.
        precisions: by layer.

    Returns:
        Names of layers, by that of the tensor.
    """
    owners: dict[str, str] = {}
    for name, layer in program.products.items():
        if precisions.get(name, FLOAT) in IN_INT8:
            owners.setdefault(program.tensors[layer.inputs[0]], name)
    return owners
