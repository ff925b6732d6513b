"""What CPU and GPU have in common of what may be chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.targets.measured.calibration import METHODS
from npu_tune.targets.measured.knobs import PRECISION, RANGE
from npu_tune.targets.ncnn.plan import CONVOLUTIONS, FLOAT, LayerPlan, range_owners
from npu_tune.targets.ncnn.program import NcnnLayer, NcnnProgram

FP16 = f"{NETWORK_SCOPE}/fp16"
WINOGRAD = "winograd"

OFF = "off"


class Choices(Protocol):
    """The search space of one network, and what a configuration of it comes to."""

    @property
    def space(self) -> SearchSpace: ...

    def plan(self, configuration: Mapping[str, Value]) -> LayerPlan:
        """What is written for each layer."""

    def options(self, configuration: Mapping[str, Value]) -> Mapping[str, Any]:
        """Of the whole network, for the engine."""


def fp16_knobs(levels: tuple[str, ...]) -> list[Knob]:
    """The choice of fp16 for the whole network, where there is any."""
    if len(levels) == 1:
        return []
    text = "how far what is left in float32 is stored, or computed too, in fp16"
    return [Knob(NETWORK_SCOPE, "fp16", levels, OFF, description=text)]


def precision_knobs(name: str, precisions: tuple[str, ...]) -> list[Knob]:
    """The choice of a layer's precision, and of the range that int8 needs."""
    if len(precisions) == 1:
        return []
    return [
        Knob(
            name,
            PRECISION,
            precisions,
            FLOAT,
            description="what the layer computes in; int8 has int8 activations and int8 weights "
            "per output channel, and chained leaves its result in int8",
        ),
        Knob(
            name,
            RANGE,
            METHODS,
            METHODS[0],
            description="how the range of what the layer reads in int8 is made of what was seen "
            "on typical inputs; of several readers of a tensor the first one decides",
        ),
    ]


def chosen_precisions(program: NcnnProgram, values: Mapping[str, Value]) -> dict[str, str]:
    """Precisions by layer, as they are chosen."""
    return {name: str(values.get(f"{name}/{PRECISION}", FLOAT)) for name in program.products}


def idle_precisions(
    program: NcnnProgram, configuration: Configuration, precisions: Mapping[str, str]
) -> dict[str, Value]:
    """Changes that make no difference: resolved precisions, and the default of idle ranges."""
    owners = set(range_owners(program, precisions).values())
    changes: dict[str, Value] = {}
    for name, resolved in precisions.items():
        if f"{name}/{PRECISION}" in configuration:
            changes[f"{name}/{PRECISION}"] = resolved
            if name not in owners:
                changes[f"{name}/{RANGE}"] = METHODS[0]
    return changes


def with_changes(configuration: Configuration, changes: Mapping[str, Value]) -> Configuration:
    """The configuration itself where nothing changes."""
    real = {name: value for name, value in changes.items() if configuration[name] != value}
    return configuration.replace(real) if real else configuration


def is_ordinary(layer: NcnnLayer) -> bool:
    """True of a convolution that is not depthwise."""
    product = layer.product
    return layer.kind in CONVOLUTIONS and product is not None and not product.is_depthwise


def channels_per_group(layer: NcnnLayer) -> tuple[int, int]:
    """Channels of input and output within a group of a convolution."""
    product = layer.product
    if product is None:
        return 0, 0
    return layer.weights[0].shape[1], product.channels // product.groups
