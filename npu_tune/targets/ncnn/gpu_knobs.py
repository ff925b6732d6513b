"""What may be chosen for a network in ncnn on a GPU.

Layers choose their device and precision; algorithms are chosen for the whole network, as layers
of their own gained nothing beyond the noise on a GPU. Storing fp16 in some layers alone gives
wrong numbers, and so does handing int8 from one device to the other: neither is offered, nor is
packing, which makes no difference here but for int8, which it breaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.targets.measured.knobs import THREADS, thread_knobs
from npu_tune.targets.ncnn.choices import (
    FP16,
    channels_per_group,
    chosen_precisions,
    fp16_knobs,
    idle_precisions,
    is_ordinary,
    precision_knobs,
    with_changes,
)
from npu_tune.targets.ncnn.engine import FP16_LEVELS, WINOGRAD_LEVELS
from npu_tune.targets.ncnn.plan import (
    CHAINED,
    FLOAT,
    INT8,
    NO_FP16_ARITHMETIC,
    NO_VULKAN,
    LayerPlan,
    chainable,
    resolve,
)
from npu_tune.targets.ncnn.program import NcnnLayer, NcnnProgram

WINOGRAD = f"{NETWORK_SCOPE}/winograd"
SGEMM = f"{NETWORK_SCOPE}/sgemm"
DEVICE, FP16_ARITHMETIC = "device", "fp16_arithmetic"
GPU, CPU = "gpu", "cpu"
ARITHMETIC, ANY = "arithmetic", "any"

_LEAST_WINOGRAD = 16
"""Channels of input and of output from which ncnn uses Winograd's algorithm on a GPU."""


class GpuChoices:
    """The choices of one network.

    Args:
        program: the network.
        threads: that may be chosen, of the layers on the CPU.
    """

    def __init__(self, program: NcnnProgram, threads: Sequence[int]) -> None:
        self._program = program
        products = program.products.items()
        self._in_tiles = {name for name, layer in products if _has_winograd(layer)}
        self._in_patches = {name for name, layer in products if _has_sgemm(layer)}
        knobs = [*self._network_knobs(), *thread_knobs(threads)]
        chains = chainable(program)
        for name, layer in products:
            knobs += _layer_knobs(name, layer, chains=name in chains)
        self.space = SearchSpace(tuple(knobs), effective=self._effective)

    def plan(self, configuration: Mapping[str, Value]) -> LayerPlan:
        """What is written for each layer."""
        on_cpu = self._on_cpu(configuration)
        masks = {}
        for name in self._program.products:
            short = configuration.get(f"{name}/{FP16_ARITHMETIC}", True)
            mask = 0 if short else NO_FP16_ARITHMETIC
            masks[name] = mask | (NO_VULKAN if name in on_cpu else 0)
        return LayerPlan(self._precisions(configuration, on_cpu), masks)

    def options(self, configuration: Mapping[str, Value]) -> dict[str, Any]:
        """Of the whole network."""
        return {
            name.rpartition("/")[2]: configuration[name]
            for name in (FP16, WINOGRAD, SGEMM, THREADS)
            if name in configuration
        }

    def _network_knobs(self) -> list[Knob]:
        knobs = fp16_knobs(tuple(FP16_LEVELS))
        if self._in_tiles:
            text = "tiles of Winograd's algorithm: 4x4 or 2x2 results, either by shape, or none"
            tiles = tuple(WINOGRAD_LEVELS)
            knobs.append(Knob(NETWORK_SCOPE, "winograd", tiles, ANY, description=text))
        if self._in_patches:
            text = "whether convolutions are matrix products over patches"
            knobs.append(Knob(NETWORK_SCOPE, "sgemm", (True, False), True, description=text))
        return knobs

    def _on_cpu(self, configuration: Mapping[str, Value]) -> frozenset[str]:
        products = self._program.products
        return frozenset(x for x in products if configuration.get(f"{x}/{DEVICE}", GPU) == CPU)

    def _precisions(
        self, configuration: Mapping[str, Value], on_cpu: AbstractSet[str]
    ) -> dict[str, str]:
        chosen = chosen_precisions(self._program, configuration)
        return resolve(self._program, chosen, apart=on_cpu)

    def _effective(self, configuration: Configuration) -> Configuration:
        """Sets what makes no difference in its company to its default."""
        on_cpu = self._on_cpu(configuration)
        precisions = self._precisions(configuration, on_cpu)
        changes = idle_precisions(self._program, configuration, precisions)
        for name, precision in precisions.items():
            idle = name in on_cpu or precision != FLOAT or configuration[FP16] != ARITHMETIC
            if idle:
                changes[f"{name}/{FP16_ARITHMETIC}"] = True
        if WINOGRAD in configuration and self._in_tiles <= on_cpu:
            changes[WINOGRAD] = ANY
        tiled = self._in_tiles if configuration.get(WINOGRAD) == ANY else frozenset()
        if SGEMM in configuration and self._in_patches <= on_cpu | tiled:
            changes[SGEMM] = True
        return with_changes(configuration, changes)


def _layer_knobs(name: str, layer: NcnnLayer, *, chains: bool) -> list[Knob]:
    product = layer.product
    grouped = product is not None and product.is_grouped
    precisions = (FLOAT,) if grouped else (FLOAT, INT8, *((CHAINED,) if chains else ()))
    where = "where the layer is computed; between the two its data are copied"
    how = "whether the layer computes in fp16 where the whole network does"
    return [
        Knob(name, DEVICE, (GPU, CPU), GPU, description=where),
        *precision_knobs(name, precisions),
        Knob(name, FP16_ARITHMETIC, (True, False), True, description=how),
    ]


def _has_winograd(layer: NcnnLayer) -> bool:
    product = layer.product
    if product is None or product.groups > 1 or not is_ordinary(layer):
        return False
    plain = product.kernel == (3, 3) and product.plain_steps
    return plain and min(channels_per_group(layer)) >= _LEAST_WINOGRAD


def _has_sgemm(layer: NcnnLayer) -> bool:
    """Of a single element, patches are the input itself."""
    product = layer.product
    if product is None or product.groups > 1 or not is_ordinary(layer):
        return False
    return product.kernel != (1, 1)
