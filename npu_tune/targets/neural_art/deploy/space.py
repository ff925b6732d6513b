"""The deployable space: network-wide options of the vendor's compiler, and stripes by rewriting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from npu_tune.space import NETWORK_SCOPE, Knob, Value
from npu_tune.targets.neural_art.compiler.choice import FEWEST_STRIPES, Choice
from npu_tune.targets.neural_art.compiler.placement import PING_PONG
from npu_tune.targets.neural_art.compiler.rows import RECOMPUTE
from npu_tune.targets.neural_art.compiler.scheduler import Settings
from npu_tune.targets.neural_art.free import Values, network_value, order_of
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware
from npu_tune.targets.neural_art.knobs import (
    EPOCH_ORDER,
    PLACEMENT,
    VIRTUAL_POOLS,
    depth_first_knobs,
    network_knobs,
)
from npu_tune.targets.neural_art.orders import LOAD
from npu_tune.targets.neural_art.vendor import VendorOptions, settings_of, vendor_choices
from npu_tune.targets.neural_art.vendor.options import (
    CONSTANTS,
    LEVELS,
    NO_SPLIT,
    PIPES,
    SPLITS,
    THRESHOLDS,
)

LEVEL = "optimization_level"
CA_PIPE = "max_ca_pipe"
SPLIT = "conv_split"
THRESHOLD = "conv_split_threshold"
CONSTANTS_POOL = "constants"

_SHIPPED = VendorOptions()

_OPTIONS: tuple[tuple[str, tuple[Value, ...], Value, bool, str], ...] = (
    (LEVEL, LEVELS, _SHIPPED.level, True, "-O0 to -O3 of the vendor's compiler"),
    (CA_PIPE, PIPES, _SHIPPED.ca_pipe, True, "--Omax-ca-pipe: accelerators chained at most"),
    (SPLIT, SPLITS, _SHIPPED.split, False, "--Oconv-split-...: how convolutions are cut"),
    (THRESHOLD, THRESHOLDS, _SHIPPED.threshold, True,
     "--Oconv-split-th: share of all products below which they are not"),
)  # fmt: skip


@dataclass(frozen=True)
class DeployableSpace:
    """What the vendor's tools, its pool file and a rewritten model can express.

    Args:
        external_ram: whether RAM outside the chip may be used.
    """

    external_ram: bool

    def network_knobs(self, graph: OperationGraph) -> tuple[Knob, ...]:
        """One for each option of the vendor's compiler."""
        shared = [
            knob
            for knob in network_knobs(graph)
            if knob.name in {EPOCH_ORDER, PLACEMENT, VIRTUAL_POOLS}
        ]
        options = [
            Knob(NETWORK_SCOPE, name, values, default, ordered, text)
            for name, values, default, ordered, text in _OPTIONS
        ]
        kinds = [kind for kind in CONSTANTS if kind != "external" or self.external_ram]
        constants = Knob(
            NETWORK_SCOPE, CONSTANTS_POOL, tuple(kinds), _SHIPPED.constants,
            description="kind of the pools that the pool file prefers for constants",
        )  # fmt: skip
        return (*options, *shared, constants)

    def layer_knobs(
        self,
        graph: OperationGraph,
        hardware: Sequence[Hardware],  # noqa: ARG002 - the same for any
        chained: Sequence[bool],  # noqa: ARG002 - an option of the whole network
    ) -> tuple[tuple[Knob, ...], ...]:
        """Depth-first segments alone, whose stripes compute the rows around them again."""
        return tuple(
            tuple(knob for knob in knobs if knob.name != "halo" and _is_in_file(graph, position))
            for position, knobs in enumerate(depth_first_knobs(graph))
        )

    def settings(self, values: Values) -> Settings:
        """Placement and pools as chosen."""
        return settings_of(vendor_options(values), external_ram=self.external_ram)

    def choices(
        self, graph: OperationGraph, hardware: Hardware, values: Values
    ) -> tuple[Choice, ...]:
        """What the options of the whole network make of each layer."""
        choices = vendor_choices(graph, hardware, vendor_options(values))
        return tuple(choice._replace(halo=RECOMPUTE, stripes=FEWEST_STRIPES) for choice in choices)


def vendor_options(values: Values) -> VendorOptions:
    """The vendor's options that a configuration states."""

    def value(name: str, otherwise: Value) -> Value:
        return network_value(values, name, otherwise)

    return VendorOptions(
        level=int(value(LEVEL, _SHIPPED.level)),
        ca_pipe=int(value(CA_PIPE, _SHIPPED.ca_pipe)),
        split=str(value(SPLIT, NO_SPLIT)),
        threshold=float(value(THRESHOLD, 0.0)),
        epoch_order=order_of(values),
        placement=str(value(PLACEMENT, PING_PONG)),
        virtual_pools=bool(value(VIRTUAL_POOLS, True)),
        constants=str(value(CONSTANTS_POOL, _SHIPPED.constants)),
    )


def _is_in_file(graph: OperationGraph, position: int) -> bool:
    """Tells whether an operation is a node of the file, and not the copy of an input."""
    return graph.operations[position].op != LOAD
