"""The OFM blocks an operator can use, and those of them that are worth trying."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import le
from typing import Any

from ethosu.vela import npu_performance
from ethosu.vela.architecture_features import ArchitectureFeatures
from ethosu.vela.shape4d import Shape4D

from npu_tune.targets.ethos_u.compiler.fitting import whole_block
from npu_tune.targets.ethos_u.plan import Block


@dataclass(frozen=True, slots=True)
class BlockCost:
    """What Vela's estimate sees of a block, apart from the weights' encoding.

    Args:
        block: height, width, depth.
        part_kernel: the traversal.
        encoding: the block depth that the weights are encoded for; 0 without weights.
        cycles: what the operator adds to the total with its weights in fast storage.
        costs: NPU cycles, bytes of IFM and of OFM traffic, weight elements fetched.
    """

    block: Block
    part_kernel: bool
    encoding: int
    cycles: float
    costs: tuple[float, ...]


def legal_blocks(
    op: Any, *, part_kernel: bool, rows: int | None = None
) -> Iterator[tuple[Block, Any]]:
    """Every block the hardware takes for an operator, with Vela's description of it.

    The steps are those of Vela's own search: whole micro-blocks in height and width, and in
    depth also whole slices of 16 unless the block takes the full depth.

    Args:
        op: Vela's operator.
        part_kernel: the traversal.
        rows: of a stripe of the OFM; None for the whole OFM.
    """
    arch, shape = op.arch, op.ofm.shape if rows is None else op.ofm.shape.with_height(rows)
    unit, split = arch.ofm_ublock, ArchitectureFeatures.OFMSplitDepth
    most = Shape4D.min(shape, Shape4D(arch.ofm_block_max.to_hwc()))
    most = Shape4D.round_up(most, Shape4D(unit.to_hwc()))
    for depth in range(unit.depth, most.depth + 1, unit.depth):
        if depth < shape.depth and depth % split:
            continue
        for height in range(unit.height, most.height + 1, unit.height):
            for width in range(unit.width, most.width + 1, unit.width):
                block = (height, width, depth)
                config = whole_block(op, block, part_kernel=part_kernel, rows=rows)
                if config is None:
                    break  # wider ones do not fit either
                yield block, config


def block_costs(scheduler: Any, op: Any, *, part_kernel: bool) -> list[BlockCost]:
    """The cost of every legal block of an operator in one traversal."""
    blocks = legal_blocks(op, part_kernel=part_kernel)
    return [block_cost(scheduler, op, block, config) for block, config in blocks]


def block_cost(scheduler: Any, op: Any, block: Block, config: Any) -> BlockCost:
    """The cost of one block of an operator."""
    query = performance_query(op)
    query.config = config
    cycles = scheduler.estimate_op_performance(op, config, op.ofm.shape.depth).op_cycles
    access = npu_performance.measure_element_access(op.arch, query)
    ifm = bus_bytes(op.arch, query, "ifm", access.ifm_read[0])
    ofm = bus_bytes(op.arch, query, "ofm", access.ofm_write)
    encoding = min(block[2], op.ofm.shape.depth) if op.parent_op.weights else 0
    costs = (float(cycles), ifm, ofm, float(access.const_read[0]))
    total = max(cycles, *_memory_cycles(op, ifm, ofm))
    return BlockCost(block, bool(config.is_partkernel), encoding, float(total), costs)


def _memory_cycles(op: Any, ifm_bytes: float, ofm_bytes: float) -> list[float]:
    """Cycles of the feature maps' traffic in each memory they are in."""
    width = op.arch.memory_bandwidths_per_cycle
    ifm, ofm = op.ifm.connection.parent_tens.mem_area, op.ofm.connection.parent_tens.mem_area
    if ifm == ofm:
        return [(ifm_bytes + ofm_bytes) / width[ifm]]
    return [ifm_bytes / width[ifm], ofm_bytes / width[ofm]]


def useful_blocks(
    costs: Iterable[BlockCost], *, striped: bool, unit_height: int
) -> list[BlockCost]:
    """Those of some blocks that no other one beats or equals in everything.

    Blocks with different encodings of the weights are kept apart, because the size of the
    encoded weights is not known before encoding. Where the operator may run in stripes, which
    limit the height of a block, the best blocks up to one, two, four and eight micro-blocks of
    height are kept as well.
    """
    costs = list(costs)
    limits = [1 << 16] + ([unit_height * n for n in (1, 2, 4, 8)] if striped else [])
    kept: dict[tuple[Block, bool], BlockCost] = {}
    for limit in limits:
        groups: dict[int, list[BlockCost]] = defaultdict(list)
        for cost in costs:
            if cost.block[0] <= limit:
                groups[cost.encoding].append(cost)
        for group in groups.values():
            kept.update({(cost.block, cost.part_kernel): cost for cost in _front(group)})
    return sorted(kept.values(), key=lambda c: (c.block[2], c.block[0], c.block[1]))


def _front(group: list[BlockCost]) -> list[BlockCost]:
    front: list[BlockCost] = []
    for cost in sorted(group, key=lambda c: (c.costs, c.block, c.part_kernel)):
        if not any(all(map(le, kept.costs, cost.costs)) for kept in front):
            front.append(cost)
    return front


def performance_query(op: Any) -> Any:
    """What Vela's estimate is asked about an operator, but for its block and its constants."""
    query = npu_performance.PerformanceQuery(op.op_type.npu_block_type)
    query.ifm_shape = op.ifm_read_shape
    query.ifm_format = op.ifm.format
    query.ifm_memory_area = op.ifm.connection.parent_tens.mem_area
    query.ifm_bits = op.ifm.dtype.size_in_bits()
    query.ifm2_shape = op.ifm2_read_shape
    query.ifm2_bits = op.ifm2 and op.ifm2.dtype.size_in_bits()
    query.ofm_shape = op.ofm_write_shape
    query.ofm_format = op.ofm.format
    query.ofm_memory_area = op.ofm.connection.parent_tens.mem_area
    query.ofm_bits = op.ofm.dtype.size_in_bits()
    query.kernel = op.kernel
    return query


def bus_bytes(arch: Any, query: Any, side: str, elements: float) -> float:
    """Bytes on the bus for some elements of a feature map, with the burst efficiency.

    Args:
        arch: Vela's architecture.
        query: about the operator.
        side: ``ifm``, ``ifm2`` or ``ofm``.
        elements: that are moved.
    """
    bits = getattr(query, f"{side}_bits")
    block = query.config.ofm_block if side == "ofm" else query.config.ifm_block
    return float(
        npu_performance._estimate_memory_transfer_efficiency(  # noqa: SLF001
            arch,
            side != "ofm",
            getattr(query, f"{side}_memory_area"),
            getattr(query, f"{side}_format"),
            bits,
            block,
            getattr(query, f"{side}_shape"),
            elements * bits / 8,
        )
    )
