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


class LeastCosts:
    """Finds the least cycles of operators; what operators of one kind have in common, once.

    Args:
        scheduler: of the operators, whose schedule has no cascades.
        ways: of all feature maps.
        encoder: encodes their weights.
    """

    def __init__(self, scheduler: Any, ways: Ways, encoder: WeightEncoder) -> None:
        self._scheduler, self._ways, self._encoder = scheduler, ways, encoder
        self._known: dict[Any, list[_LeastOption]] = {}

    def costs(self, op: Any, *, traversals: bool) -> OperatorCosts:
        """The least cycles of one operator, and what its weights cost.

        Args:
            op: Vela's operator.
            traversals: True where the traversal of its weights can be chosen.
        """
        if op.op_type.npu_block_type == NpuBlockType.Dma:
            return OperatorCosts(0.0)
        options = self._options(op)
        excess = max(0.0, *(o.slack - min(o.cycles, o.slow_cycles) for o in options))
        least = min(option.least for option in options)
        weights = op.parent_op.weights
        if not weights:
            return OperatorCosts(least, excess=excess)
        sizes = self._encoded_bytes(op, options, traversals=traversals)
        width = op.arch.memory_bandwidths_per_cycle[weights.mem_area]
        in_place = min(
            option.in_place(weights.mem_area, sizes[option.depth], weights.elements(), width)
            for option in options
        )
        if not buffers_weights(self._scheduler, op):
            return OperatorCosts(in_place, excess=excess)
        # As ``full_weight_transfer_cycles``.
        fast, fewest = op.arch.fast_storage_mem_area, min(sizes.values())
        transfer = npu_performance.measure_mem2mem_cycles(op.arch, weights.mem_area, fast, fewest)
        return OperatorCosts(min(least, in_place), in_place, float(transfer), excess)

    def _options(self, op: Any) -> list[_LeastOption]:
        ends = [end for end in (op.ifm, op.ifm2, op.ofm) if end is not None]
        search = _OperatorWays(op, [self._ways[end.connection.parent_tens] for end in ends])
        if search.key not in self._known:
            self._known[search.key] = list(search.options())
        return self._known[search.key]

    def _encoded_bytes(
        self, op: Any, options: Sequence[_LeastOption], *, traversals: bool
    ) -> Mapping[int, int]:
        """By block depth, of the weights in the traversal that needs the fewest bytes."""
        configs = {option.depth: option.config for option in options}
        return {
            depth: min(
                self._encoder.encoded_bytes(op, config, part_kernel=part_kernel)
                for part_kernel in ((False, True) if traversals else (None,))
            )
            for depth, config in configs.items()
        }


@dataclass(frozen=True, slots=True)
class _LeastOption:
    """One block with one layout of the feature maps around it.

    Args:
        config: Vela's description of the block.
        depth: of the block that weights are encoded for.
        cycles: of the computation, with weights in fast storage.
        slow_cycles: the same with weights where they are stored.
        slack: the most that may count as time to fetch the next weights ahead.
        traffic: by memory, cycles to move the feature maps, for each place they may be in.
        reads: weights and scales that are read, in elements.
    """

    config: Any
    depth: int
    cycles: float
    slow_cycles: float
    slack: float
    traffic: Sequence[Mapping[MemArea, float]]
    reads: tuple[float, float]

    @property
    def least(self) -> float:
        """With weights in fast storage, or without weights."""
        return max(self.cycles, min(max(way.values()) for way in self.traffic))

    def in_place(self, area: MemArea, encoded: int, elements: int, width: float) -> float:
        """With weights read from where they are stored, as often as the block needs.

        Args:
            area: they are in.
            encoded: bytes that they take with their scales.
            elements: number of weights.
            width: bytes of the memory per cycle.
        """
        weights, scales = self.reads[0], self.reads[1] * SCALE_BYTES
        moved = (weights * (encoded - scales) / elements + scales) / width
        traffic = min(
            max(cycles + (moved if where == area else 0.0) for where, cycles in way.items())
            for way in self.traffic
        )
        return max(self.slow_cycles, traffic, moved)


class _OperatorWays:
    """All ways to run one operator.

    Args:
        op: Vela's operator.
        ways: of its IFMs and its OFM, in that order.
    """

    def __init__(self, op: Any, ways: Sequence[Sequence[Way]]) -> None:
        self._op, self._arch, self._ways = op, op.arch, ways
        self._query = performance_query(op)
        self._names = [n for n in ("ifm", "ifm2", "ofm") if getattr(op, n) is not None]
        self._weights = op.parent_op.weights
        self._activation = op.parent_op.activation and op.parent_op.activation.op_type

    @property
    def key(self) -> tuple[Any, ...]:
        """All that the options depend on."""
        op, kernel = self._op, self._op.kernel
        query = {n: v for n, v in vars(self._query).items() if n.endswith(("_shape", "_bits"))}
        return (
            (op.op_type, self._activation, *query.values()),
            (kernel.width, kernel.height, kernel.stride, kernel.dilation),
            (op.ifm.shape, op.ifm2 and op.ifm2.shape, op.ofm.shape, op.uses_scalar),
            (op.parent_op.activation_lut is not None, op.parent_op.has_scaling()),
            (op.resampling_mode, can_stripe(op), bool(op.parent_op.bias)),
            self._weights and self._weights.mem_area,
            tuple(map(tuple, self._ways)),
        )

    def options(self) -> Iterator[_LeastOption]:
        """Every block in every traversal, with every layout of the feature maps."""
        for config in self._configs():
            for formats in product(*({way.format for way in ways} for ways in self._ways)):
                yield self._option(config, formats)

    def _configs(self) -> Iterator[Any]:
        """Every block, also where it fits a stripe of one row only.

        Where a micro-block has two rows, one row needs half the accumulators.
        """
        op = self._op
        rows = [None, 1] if can_stripe(op) and op.ofm.shape.height > 1 else [None]
        is_convolution = op.op_type.npu_block_type == NpuBlockType.ConvolutionMxN
        for part_kernel in (False, True) if is_convolution else (False,):
            known = set()
            for height in rows:
                for block, config in legal_blocks(op, part_kernel=part_kernel, rows=height):
                    if block not in known:
                        known.add(block)
                        yield config

    def _option(self, config: Any, formats: Sequence[TensorFormat]) -> _LeastOption:
        fast = self._arch.fast_storage_mem_area
        const = self._weights.mem_area if self._weights else fast
        places = list(product(*self._places(formats)))
        self._ask(config, formats, places[0])
        access = npu_performance.measure_element_access(self._arch, self._query)
        cycles, slow, traffic = [], [], []
        for areas in places:
            self._ask(config, formats, areas)
            cycles.append(self._cycles(fast))
            slow.append(cycles[-1] if const == fast else self._cycles(const))
            traffic.append(self._traffic(access))
        depth = min(config.ofm_block.depth, self._op.ofm.shape.depth)
        reads = (float(access.const_read[0]), float(access.const_read[1]))
        return _LeastOption(config, depth, min(cycles), min(slow), max(cycles), traffic, reads)

    def _places(self, formats: Sequence[TensorFormat]) -> list[list[MemArea]]:
        return [
            [way.area for way in ways if way.format == chosen]
            for ways, chosen in zip(self._ways, formats, strict=True)
        ]

    def _ask(self, config: Any, formats: Sequence[TensorFormat], areas: Sequence[MemArea]) -> None:
        """Turns the query to a block and a layout."""
        self._query.config = config
        for name, chosen, area in zip(self._names, formats, areas, strict=True):
            setattr(self._query, f"{name}_format", chosen)
            setattr(self._query, f"{name}_memory_area", area)

    def _cycles(self, const_area: MemArea) -> float:
        if self._op.parent_op.bias:
            self._query.const_shape = Shape4D(1, 1, 1, self._op.ofm.shape.depth)
            self._query.const_memory_area = const_area
        asked = (self._op.op_type, self._activation, self._query)
        return float(npu_performance.measure_cycle_cost(self._arch, *asked).op_cycles)

    def _traffic(self, access: Any) -> Mapping[MemArea, float]:
        """Cycles of each memory to move the feature maps."""
        cycles: dict[MemArea, float] = defaultdict(float)
        moved = [("ifm", access.ifm_read[0]), ("ofm", access.ofm_write)]
        if self._query.ifm2_shape:
            moved.append(("ifm2", access.ifm_read[1]))
        for name, elements in moved:
            area = getattr(self._query, f"{name}_memory_area")
            width = self._arch.memory_bandwidths_per_cycle[area]
            cycles[area] += bus_bytes(self._arch, self._query, name, elements) / width
        return cycles
