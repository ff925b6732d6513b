"""What may be chosen for a network in ncnn on a CPU.

Only what was seen to make a difference, and right numbers, is offered: a grouped convolution
computes something else in int8 and bf16; one that is depthwise stays in float32 whatever is said
of bf16; Winograd's algorithm and ``sgemm`` (a matrix product over patches) are used by some shapes
alone.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.targets.measured.knobs import THREADS, thread_knobs
from npu_tune.targets.ncnn.choices import (
    FP16,
    OFF,
    WINOGRAD,
    channels_per_group,
    chosen_precisions,
    fp16_knobs,
    idle_precisions,
    is_ordinary,
    precision_knobs,
    with_changes,
)
from npu_tune.targets.ncnn.plan import (
    BF16,
    CHAINED,
    FLOAT,
    IN_INT8,
    INT8,
    NO_SGEMM,
    NO_WINOGRAD,
    LayerPlan,
    chainable,
    resolve,
)
from npu_tune.targets.ncnn.program import NcnnLayer, NcnnProgram

PACKING = f"{NETWORK_SCOPE}/packing"
SGEMM = "sgemm"

_X86 = ("x86_64", "AMD64", "i686")

_MOST_WITHOUT_WINOGRAD, _MOST_WITHOUT_SGEMM = 8, 16
"""Channels of input and output up to which ncnn's code for x86 does not use the algorithm: it was
seen to give the same bits either way."""


class CpuChoices:
    """The choices of one network.

    Args:
        program: the network.
        threads: that may be chosen.
    """

    def __init__(self, program: NcnnProgram, threads: Sequence[int]) -> None:
        self._program = program
        self._fp16_levels = _fp16_levels(program)
        text = "whether channels lie in packs as wide as the processor's vectors"
        knobs = [
            Knob(NETWORK_SCOPE, "packing", (True, False), True, description=text),
            *fp16_knobs(self._fp16_levels),
            *thread_knobs(threads),
        ]
        chains = chainable(program)
        for name, layer in program.products.items():
            knobs += _layer_knobs(name, layer, chains=name in chains)
        self.space = SearchSpace(tuple(knobs), effective=self._effective)

    def plan(self, configuration: Mapping[str, Value]) -> LayerPlan:
        """What is written for each layer."""
        masks = {}
        for name in self._program.products:
            mask = 0 if configuration.get(f"{name}/{WINOGRAD}", True) else NO_WINOGRAD
            masks[name] = mask | (0 if configuration.get(f"{name}/{SGEMM}", True) else NO_SGEMM)
        return LayerPlan(self._precisions(configuration), masks)

    def options(self, configuration: Mapping[str, Value]) -> dict[str, Any]:
        """Of the whole network."""
        options: dict[str, Any] = {
            name.rpartition("/")[2]: configuration[name]
            for name in (PACKING, FP16, THREADS)
            if name in configuration
        }
        if BF16 in self._precisions(configuration).values():
            options["bf16"] = True
        return options

    def _precisions(self, configuration: Mapping[str, Value]) -> dict[str, str]:
        return resolve(self._program, chosen_precisions(self._program, configuration))

    def _effective(self, configuration: Configuration) -> Configuration:
        """Sets what makes no difference in its company to its default."""
        precisions = self._precisions(configuration)
        changes = idle_precisions(self._program, configuration, precisions)
        for name, layer in self._program.products.items():
            sgemm = f"{name}/{SGEMM}"
            winograd = bool(configuration.get(f"{name}/{WINOGRAD}", _has_winograd(layer)))
            if sgemm in configuration and not _uses_sgemm(layer, precisions[name], winograd):
                changes[sgemm] = True
        if FP16 in configuration and not self._uses_fp16(precisions):
            changes[FP16] = OFF
        return with_changes(configuration, changes)

    def _uses_fp16(self, precisions: Mapping[str, str]) -> bool:
        if "arithmetic" in self._fp16_levels:
            return True
        every = self._program.products.items()
        return any(
            layer.kind == "InnerProduct" and precisions[name] == FLOAT for name, layer in every
        )


def _fp16_levels(program: NcnnProgram) -> tuple[str, ...]:
    """On x86 fully connected layers alone store weights in fp16; ARM computes in it."""
    if platform.machine() not in _X86:
        return (OFF, "storage", "arithmetic")
    has_any = any(layer.kind == "InnerProduct" for layer in program.products.values())
    return (OFF, "storage") if has_any else (OFF,)


def _layer_knobs(name: str, layer: NcnnLayer, *, chains: bool) -> list[Knob]:
    precisions = _layer_precisions(layer, chains=chains)
    knobs = precision_knobs(name, precisions)
    if _has_winograd(layer):
        text = "whether Winograd's algorithm is used, which is fast and takes memory"
        knobs.append(Knob(name, WINOGRAD, (True, False), True, description=text))
    if any(_uses_sgemm(layer, precision, winograd=False) for precision in precisions):
        text = "whether patches are copied for a matrix product, which is fast and takes memory"
        knobs.append(Knob(name, SGEMM, (True, False), True, description=text))
    return knobs


def _layer_precisions(layer: NcnnLayer, *, chains: bool) -> tuple[str, ...]:
    product = layer.product
    if product is None or product.is_grouped:
        return (FLOAT,)
    short = () if product.is_depthwise else (BF16,)
    return (FLOAT, *short, INT8, *((CHAINED,) if chains else ()))


def _has_winograd(layer: NcnnLayer) -> bool:
    product = layer.product
    plain = product is not None and product.kernel == (3, 3) and product.plain_steps
    return plain and is_ordinary(layer) and max(channels_per_group(layer)) > _MOST_WITHOUT_WINOGRAD


def _uses_sgemm(layer: NcnnLayer, precision: str, winograd: bool) -> bool:
    """Whether a layer may do with or without patches."""
    if winograd or not is_ordinary(layer) or layer.product is None:
        return False
    if precision in IN_INT8:
        return True
    large = max(channels_per_group(layer)) > _MOST_WITHOUT_SGEMM
    return large and layer.product.kernel != (1, 1)
