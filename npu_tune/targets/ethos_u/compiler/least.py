"""The least that each operator can cost, over all that may be chosen for it and around it.

What the bound rests on (:mod:`npu_tune.targets.ethos_u.bound`). Everything is asked of Vela's own
functions, with the shapes that they are asked with in a compilation: an operator in stripes is
costed as if it ran in one piece, with the block that it has in a stripe.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from ethosu.vela import npu_performance
from ethosu.vela.operation import NpuBlockType
from ethosu.vela.shape4d import Shape4D
from ethosu.vela.tensor import MemArea, TensorFormat

from npu_tune.targets.ethos_u.bound import OperatorCosts
from npu_tune.targets.ethos_u.compiler.blocks import bus_bytes, legal_blocks, performance_query
from npu_tune.targets.ethos_u.compiler.fitting import buffers_weights, can_stripe
from npu_tune.targets.ethos_u.compiler.weights import SCALE_BYTES, WeightEncoder


class Way(NamedTuple):
    """Where and in which layout a feature map may be."""

    area: MemArea
    format: TensorFormat


Ways = Mapping[Any, Sequence[Way]]
"""By tensor of Vela's: all that a configuration can make of it."""


def least_costs(
    scheduler: Any, op: Any, ways: Ways, encoder: WeightEncoder, *, traversals: bool
) -> OperatorCosts:
    """The least cycles of one operator, and what its weights cost.

    Args:
        scheduler: of the operator, whose schedule has no cascades.
        op: Vela's operator.
        ways: of all feature maps.
        encoder: encodes its weights.
        traversals: True where the traversal of its weights can be chosen.
    """
    return _Search(scheduler, op, ways, encoder, traversals=traversals).costs()


@dataclass(frozen=True)
class _Option:
    """One block with one layout of the feature maps around it.

    Args:
        cycles: of the computation, with weights in fast storage.
        slow_cycles: the same with weights where they are stored.
        slack: the most that may count as time to fetch the next weights ahead.
        traffic: by memory, cycles to move the feature maps, for each place they may be in.
        weights: by memory, cycles to read the weights in place.
    """

    cycles: float
    slow_cycles: float
    slack: float
    traffic: Sequence[Mapping[MemArea, float]]
    weights: Mapping[MemArea, float]

    @property
    def least(self) -> float:
        return max(self.cycles, min(max(way.values()) for way in self.traffic))

    @property
    def in_place(self) -> float:
        return max(
            self.slow_cycles,
            min(
                max(way.get(area, 0.0) + self.weights.get(area, 0.0) for area in MemArea)
                for way in self.traffic
            ),
        )


class _Search:
    def __init__(
        self, scheduler: Any, op: Any, ways: Ways, encoder: WeightEncoder, *, traversals: bool
    ) -> None:
        self._op, self._arch = op, op.arch
        self._scheduler = scheduler
        self._encoder = encoder
        self._ends = [end for end in (op.ifm, op.ifm2, op.ofm) if end is not None]
        self._ways = [ways[end.connection.parent_tens] for end in self._ends]
        self._is_convolution = op.op_type.npu_block_type == NpuBlockType.ConvolutionMxN
        self._traversals = (False, True) if traversals else (None,)
        self._sizes: dict[int, int] = {}

    def costs(self) -> OperatorCosts:
        op = self._op
        if op.op_type.npu_block_type == NpuBlockType.Dma:
            return OperatorCosts(0.0)
        options = list(self._options())
        excess = max(o.slack - min(o.cycles, o.slow_cycles) for o in options)
        in_place = min(option.in_place for option in options)
        if not op.parent_op.weights:
            return OperatorCosts(in_place, excess=max(excess, 0.0))
        if not buffers_weights(self._scheduler, op):
            return OperatorCosts(in_place, excess=max(excess, 0.0))
        least = min(in_place, *(option.least for option in options))
        return OperatorCosts(least, in_place, self._transfer(), max(excess, 0.0))

    def _transfer(self) -> float:
        """The fewest cycles to copy all weights (those of ``full_weight_transfer_cycles``)."""
        area, fast = self._op.parent_op.weights.mem_area, self._arch.fast_storage_mem_area
        size = min(self._sizes.values())
        return float(npu_performance.measure_mem2mem_cycles(self._arch, area, fast, size))

    def _options(self) -> Iterator[_Option]:
        for config in self._configs():
            for formats in product(*({way.format for way in ways} for ways in self._ways)):
                yield self._option(config, formats)

    def _configs(self) -> Iterator[Any]:
        """Every block in every traversal, also where it fits a stripe of one row only.

        Where a micro-block has two rows, one row needs half the accumulators.
        """
        op = self._op
        rows = [None, 1] if can_stripe(op) and op.ofm.shape.height > 1 else [None]
        for part_kernel in (False, True) if self._is_convolution else (False,):
            for height in rows:
                for _, config in legal_blocks(op, part_kernel=part_kernel, rows=height):
                    yield config

    def _option(self, config: Any, formats: Sequence[TensorFormat]) -> _Option:
        places = [
            [way.area for way in ways if way.format == chosen]
            for ways, chosen in zip(self._ways, formats, strict=True)
        ]
        fast = self._arch.fast_storage_mem_area
        const = self._op.parent_op.weights.mem_area if self._op.parent_op.weights else fast
        cycles = [
            self._cycles(self._query(config, formats, areas), fast) for areas in product(*places)
        ]
        slow = cycles
        if const != fast and self._op.parent_op.bias:
            slow = [
                self._cycles(self._query(config, formats, areas), const)
                for areas in product(*places)
            ]
        query = self._query(config, formats, [each[0] for each in places])
        access = npu_performance.measure_element_access(self._arch, query)
        traffic = [
            self._traffic(self._query(config, formats, areas), access)
            for areas in product(*places)
        ]
        weights = self._weight_reads(config, access, const)
        return _Option(min(cycles), min(slow), max(cycles), traffic, weights)

    def _query(
        self, config: Any, formats: Sequence[TensorFormat], areas: Sequence[MemArea]
    ) -> Any:
        query = performance_query(self._op)
        query.config = config
        names = [
            name
            for name, end in (
                ("ifm", self._op.ifm),
                ("ifm2", self._op.ifm2),
                ("ofm", self._op.ofm),
            )
            if end is not None
        ]
        for name, chosen, area in zip(names, formats, areas, strict=True):
            setattr(query, f"{name}_format", chosen)
            setattr(query, f"{name}_memory_area", area)
        return query

    def _cycles(self, query: Any, const_area: MemArea) -> float:
        parent = self._op.parent_op
        if parent.bias:
            query.const_shape = Shape4D(1, 1, 1, self._op.ofm.shape.depth)
            query.const_memory_area = const_area
        activation = parent.activation and parent.activation.op_type
        found = npu_performance.measure_cycle_cost(self._arch, self._op.op_type, activation, query)
        return float(found.op_cycles)

    def _traffic(self, query: Any, access: Any) -> Mapping[MemArea, float]:
        """Cycles of each memory to move the feature maps."""
        cycles: dict[MemArea, float] = defaultdict(float)
        moved = [("ifm", access.ifm_read[0]), ("ofm", access.ofm_write)]
        if query.ifm2_shape:
            moved.append(("ifm2", access.ifm_read[1]))
        for name, elements in moved:
            area = getattr(query, f"{name}_memory_area")
            width = self._arch.memory_bandwidths_per_cycle[area]
            cycles[area] += bus_bytes(self._arch, query, name, elements) / width
        return cycles

    def _weight_reads(self, config: Any, access: Any, area: MemArea) -> Mapping[MemArea, float]:
        """Cycles to read the weights from where they are stored, as often as the block needs."""
        parent = self._op.parent_op
        if not parent.weights or not access.const_read[0]:
            return {}
        size = self._encoded_bytes(config)
        scales = access.const_read[1] * SCALE_BYTES
        share = (size - scales) / parent.weights.elements()
        width = self._arch.memory_bandwidths_per_cycle[area]
        return {area: (access.const_read[0] * share + scales) / width}

    def _encoded_bytes(self, config: Any) -> int:
        """Of the weights, in the traversal that needs the fewest bytes at this block depth."""
        depth = min(config.ofm_block.depth, self._op.ofm.shape.depth)
        if depth not in self._sizes:
            self._sizes[depth] = min(
                self._encoder.encoded_bytes(self._op, config, part_kernel=part_kernel)
                for part_kernel in self._traversals
            )
        return self._sizes[depth]
