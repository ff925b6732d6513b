"""What may be chosen for a network in ncnn on a CPU.

Only what was seen to make a difference, and right numbers, is offered: a grouped convolution
computes something else in int8 and bf16; one that is depthwise stays in float32 whatever is said
of bf16; Winograd's algorithm and ``sgemm`` (a matrix product over patches) are used by some shapes
alone.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace
from npu_tune.targets.measured.calibration import METHODS
from npu_tune.targets.ncnn.plan import (
    BF16,
    CHAINED,
    CONVOLUTIONS,
    FLOAT,
    IN_INT8,
    INT8,
    NO_SGEMM,
    NO_WINOGRAD,
    Plan,
    make_plan,
    range_owners,
    resolve,
)
from npu_tune.targets.ncnn.program import NcnnLayer, NcnnProgram

PACKING = f"{NETWORK_SCOPE}/packing"
FP16 = f"{NETWORK_SCOPE}/fp16"
THREADS = f"{NETWORK_SCOPE}/threads"
PRECISION, RANGE, WINOGRAD, SGEMM = "precision", "range", "winograd", "sgemm"

OFF, STORAGE, ARITHMETIC = "off", "storage", "arithmetic"

_LEAST_WINOGRAD, _LEAST_SGEMM = 8, 16
"""Channels of input or output above which ncnn's code for x86 uses the algorithm; below, it was
seen to give the same bits either way."""


def make_space(program: NcnnProgram, threads: Sequence[int]) -> SearchSpace:
    """The search space of a network.

    Args:
        program: the network.
        threads: that may be chosen.
    """
    knobs = [*_network_knobs(program), *thread_knobs(threads)]
    for name, layer in program.products.items():
        knobs += _layer_knobs(program, name, layer)
    return SearchSpace(tuple(knobs), effective=_effective(program))


def plan_of(program: NcnnProgram, configuration: Mapping[str, object]) -> Plan:
    """The plan of a configuration, effective or not."""
    masks = {}
    for name in program.products:
        mask = 0 if configuration.get(f"{name}/{WINOGRAD}", True) else NO_WINOGRAD
        mask |= 0 if configuration.get(f"{name}/{SGEMM}", True) else NO_SGEMM
        masks[name] = mask
    return make_plan(program, precisions_of(program, configuration), masks)


def precisions_of(program: NcnnProgram, configuration: Mapping[str, object]) -> dict[str, str]:
    """Precisions by layer, as they are chosen."""
    return {
        name: str(configuration.get(f"{name}/{PRECISION}", FLOAT)) for name in program.products
    }


def thread_knobs(threads: Sequence[int]) -> list[Knob]:
    """The choice of threads, where there is any."""
    if len(threads) == 1:
        return []
    return [
        Knob(
            NETWORK_SCOPE,
            "threads",
            tuple(threads),
            threads[0],
            ordered=True,
            description="threads of an inference",
        )
    ]


def _network_knobs(program: NcnnProgram) -> list[Knob]:
    knobs = [
        Knob(
            NETWORK_SCOPE,
            "packing",
            (True, False),
            True,
            description="whether channels lie in packs as wide as the processor's vectors",
        )
    ]
    levels = _fp16_levels(program)
    if len(levels) > 1:
        knobs.append(
            Knob(
                NETWORK_SCOPE,
                "fp16",
                levels,
                OFF,
                description="what is left in float32 is stored, or computed too, in fp16",
            )
        )
    return knobs


def _fp16_levels(program: NcnnProgram) -> tuple[str, ...]:
    """On x86 fully connected layers alone store weights in fp16; ARM computes in it."""
    if platform.machine() in ("x86_64", "AMD64", "i686"):
        has_any = any(each.kind == "InnerProduct" for each in program.products.values())
        return (OFF, STORAGE) if has_any else (OFF,)
    return (OFF, STORAGE, ARITHMETIC)


def _layer_knobs(program: NcnnProgram, name: str, layer: NcnnLayer) -> list[Knob]:
    precisions = _precisions(program, name, layer)
    knobs = []
    if len(precisions) > 1:
        knobs.append(
            Knob(
                name,
                PRECISION,
                precisions,
                FLOAT,
                description="what the layer computes in; int8 has int8 activations and int8 "
                "weights per output channel, and chained leaves its result in int8",
            )
        )
    if INT8 in precisions:
        knobs.append(
            Knob(
                name,
                RANGE,
                METHODS,
                METHODS[0],
                description="how the range of what the layer reads in int8 is made of what was "
                "seen on typical inputs",
            )
        )
    if _has_winograd(layer):
        text = "whether Winograd's algorithm is used, which is fast and takes memory"
        knobs.append(Knob(name, WINOGRAD, (True, False), True, description=text))
    if INT8 in precisions and _is_ordinary(layer) or _prefers_sgemm(layer):
        text = "whether patches are copied for a matrix product, which is fast and takes memory"
        knobs.append(Knob(name, SGEMM, (True, False), True, description=text))
    return knobs


def _precisions(program: NcnnProgram, name: str, layer: NcnnLayer) -> tuple[str, ...]:
    product = layer.product
    if product is None or product.is_grouped:
        return (FLOAT,)
    short = () if product.is_depthwise else (BF16,)
    everywhere = {
        each: CHAINED for each, other in program.products.items() if _takes_int8(other)
    }
    chains = resolve(program, everywhere).get(name) == CHAINED
    return (FLOAT, *short, INT8, *((CHAINED,) if chains else ()))


def _takes_int8(layer: NcnnLayer) -> bool:
    return layer.product is not None and not layer.product.is_grouped


def _is_ordinary(layer: NcnnLayer) -> bool:
    product = layer.product
    return layer.kind in CONVOLUTIONS and product is not None and not product.is_depthwise


def _most_channels(layer: NcnnLayer) -> int:
    """Of input or output, within a group."""
    product = layer.product
    if product is None:
        return 0
    return max(product.channels // product.groups, layer.weights[0].shape[1])


def _has_winograd(layer: NcnnLayer) -> bool:
    product = layer.product
    plain = product is not None and product.kernel == (3, 3) and product.plain_steps
    return plain and _is_ordinary(layer) and _most_channels(layer) > _LEAST_WINOGRAD


def _prefers_sgemm(layer: NcnnLayer) -> bool:
    """True where a convolution in float32 or bf16 can do with and without."""
    product = layer.product
    large = product is not None and product.kernel != (1, 1)
    return large and _is_ordinary(layer) and _most_channels(layer) > _LEAST_SGEMM


def _effective(program: NcnnProgram) -> Callable[[Configuration], Configuration]:
    """Sets what makes no difference in its company to its default."""

    def effective(configuration: Configuration) -> Configuration:
        chosen = precisions_of(program, configuration)
        found = resolve(program, chosen)
        owners = set(range_owners(program, found).values())
        changes: dict[str, str | bool] = {}
        for name, layer in program.products.items():
            if found[name] != chosen[name]:
                changes[f"{name}/{PRECISION}"] = found[name]
            if name not in owners and f"{name}/{RANGE}" in configuration:
                changes[f"{name}/{RANGE}"] = METHODS[0]
            sgemm = f"{name}/{SGEMM}"
            if sgemm in configuration and not _uses_sgemm(configuration, name, layer, found[name]):
                changes[sgemm] = True
        if FP16 in configuration and not _uses_fp16(program, found):
            changes[FP16] = OFF
        changes = {key: value for key, value in changes.items() if configuration[key] != value}
        return configuration.replace(changes) if changes else configuration

    return effective


def _uses_sgemm(
    configuration: Configuration, name: str, layer: NcnnLayer, precision: str
) -> bool:
    if _has_winograd(layer) and configuration.get(f"{name}/{WINOGRAD}", True):
        return False
    return precision in IN_INT8 or _prefers_sgemm(layer)


def _uses_fp16(program: NcnnProgram, precisions: Mapping[str, str]) -> bool:
    if ARITHMETIC in _fp16_levels(program):
        return True
    return any(
        layer.kind == "InnerProduct" and precisions[name] == FLOAT
        for name, layer in program.products.items()
    )
