"""The free space: whatever the model knows may be chosen, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from npu_tune.space import NETWORK_SCOPE, Knob, Value
from npu_tune.targets.neural_art.compiler.choice import NEUTRAL, Choice
from npu_tune.targets.neural_art.compiler.placement import PING_PONG
from npu_tune.targets.neural_art.compiler.scheduler import Settings
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware
from npu_tune.targets.neural_art.knobs import (
    EPOCH_ORDER,
    PLACEMENT,
    SPLIT_THRESHOLD,
    VIRTUAL_POOLS,
    layer_knobs,
    network_knobs,
)
from npu_tune.targets.neural_art.orders import FILE_ORDER

Values = Mapping[str, Value]
"""Of the knobs of the whole network, by full name."""


class ChoiceSpace(Protocol):
    """Which choices a configuration makes, and what they mean to the compiler."""

    @property
    def external_ram(self) -> bool:
        """Whether RAM outside the chip may be used."""

    def network_knobs(self, graph: OperationGraph) -> tuple[Knob, ...]:
        """Knobs of the whole network, those of the hardware left out."""

    def layer_knobs(
        self, graph: OperationGraph, hardware: Sequence[Hardware], chained: Sequence[bool]
    ) -> tuple[tuple[Knob, ...], ...]:
        """Knobs of each operation, named after fields of :class:`~.choice.Choice`.

        Args:
            graph: that is compiled.
            hardware: the base first, then every variant that may be chosen.
            chained: per operation, whether it is joined with the next one by default.
        """

    def settings(self, values: Values) -> Settings:
        """The compiler's settings."""

    def choices(
        self, graph: OperationGraph, hardware: Hardware, values: Values
    ) -> tuple[Choice, ...]:
        """The choice of each operation but for its own knobs."""


@dataclass(frozen=True)
class FreeSpace:
    """Every choice there is.

    Args:
        four_bit_weights: whether weights of 4 bits are offered.
        external_ram: whether RAM outside the chip may be used.
        reported_chains: whether only such chains are offered as the vendor's reports show.
    """

    four_bit_weights: bool
    external_ram: bool
    reported_chains: bool = False

    def network_knobs(self, graph: OperationGraph) -> tuple[Knob, ...]:
        """Order, placement, and where convolutions are split."""
        return network_knobs(graph)

    def layer_knobs(
        self, graph: OperationGraph, hardware: Sequence[Hardware], chained: Sequence[bool]
    ) -> tuple[tuple[Knob, ...], ...]:
        """All of :mod:`.knobs`."""
        return layer_knobs(
            graph,
            hardware,
            four_bit_weights=self.four_bit_weights,
            external_ram=self.external_ram,
            reported_chains=self.reported_chains,
            chained=chained,
        )

    def settings(self, values: Values) -> Settings:
        """As chosen."""
        return Settings(
            placement=str(network_value(values, PLACEMENT, PING_PONG)),
            virtual_pools=bool(network_value(values, VIRTUAL_POOLS, True)),
            split_threshold=float(network_value(values, SPLIT_THRESHOLD, 0.0)),
            external_ram=self.external_ram,
        )

    def choices(
        self,
        graph: OperationGraph,
        hardware: Hardware,  # noqa: ARG002 - all that matters is chosen
        values: Values,  # noqa: ARG002
    ) -> tuple[Choice, ...]:
        """Nothing but what the layers choose themselves."""
        return (NEUTRAL,) * len(graph.operations)


def order_of(values: Values) -> str:
    """The order of the epochs."""
    return str(network_value(values, EPOCH_ORDER, FILE_ORDER))


def network_value(values: Values, name: str, otherwise: Value) -> Value:
    """The value of a knob of the whole network, or what it is where there is no such knob."""
    return values.get(f"{NETWORK_SCOPE}/{name}", otherwise)
