"""What may be chosen for a network in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

from npu_tune.space import NETWORK_SCOPE, Configuration, Knob, SearchSpace
from npu_tune.targets.cpu_onnxruntime.engine import OPTIMIZATIONS
from npu_tune.targets.cpu_onnxruntime.plan import changed_by_range, is_quantizable
from npu_tune.targets.measured.calibration import METHODS
from npu_tune.targets.measured.knobs import PRECISION, RANGE, thread_knobs
from npu_tune.targets.measured.layers import LayeredGraph

OPTIMIZATION = f"{NETWORK_SCOPE}/optimization"
FLOAT, INT8 = "float32", "int8"


def make_space(layered: LayeredGraph, threads: Sequence[int]) -> SearchSpace:
    """The search space of a network.

    Args:
        layered: the network.
        threads: that may be chosen.
    """
    knobs = [
        Knob(
            NETWORK_SCOPE,
            "optimization",
            tuple(OPTIMIZATIONS),
            "all",
            description="how far onnxruntime rewrites the graph",
        )
    ]
    knobs += thread_knobs(threads)
    for layer in layered.layers:
        if is_quantizable(layered, layer):
            knobs += [
                Knob(
                    layer.name,
                    PRECISION,
                    (FLOAT, INT8),
                    FLOAT,
                    description="what the layer computes in; int8 has uint8 activations and int8 "
                    "weights per output channel",
                ),
                Knob(
                    layer.name,
                    RANGE,
                    METHODS,
                    METHODS[0],
                    description="how the range of the layer's int8 output is made of what was "
                    "seen on typical inputs",
                ),
            ]

    def effective(configuration: Configuration) -> Configuration:
        """Ranges of tensors that nobody stores in int8 make no difference."""
        told = changed_by_range(layered, layers_in_int8(configuration))
        idle = {
            name: METHODS[0]
            for name, value in configuration.items_
            if name.endswith(f"/{RANGE}")
            and value != METHODS[0]
            and name.removesuffix(f"/{RANGE}") not in told
        }
        return configuration.replace(idle) if idle else configuration

    return SearchSpace(tuple(knobs), effective=effective)


def layers_in_int8(configuration: Configuration) -> frozenset[str]:
    """Names of the layers that compute in int8."""
    ending = f"/{PRECISION}"
    return frozenset(
        name.removesuffix(ending)
        for name, value in configuration.items_
        if value == INT8 and name.endswith(ending)
    )
