"""What may be chosen for each operator of a network, read off Vela's schedule of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ethosu.vela.api import NpuBlockTraversal
from ethosu.vela.architecture_allocator import to_upscale
from ethosu.vela.numeric_util import round_up
from ethosu.vela.operation import NpuBlockType
from ethosu.vela.tensor import TensorPurpose

from npu_tune.targets.ethos_u.compiler.blocks import (
    BlockCost,
    block_cost,
    block_costs,
    useful_blocks,
)
from npu_tune.targets.ethos_u.compiler.fitting import (
    block_of,
    buffers_weights,
    can_cascade,
    can_stripe,
    whole_block,
)
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.plan import Block, NetworkPlan

SLICE_DEPTHS = (16, 32, 64, 128, 256)
"""Output channels per weight slice that are offered; Vela slices in multiples of 16."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the memory of a cascade depends on.

    Args:
        ofm_row_bytes: of one row of the OFM in a rolling buffer, whole bricks of 16 channels.
        kernel_rows: height of the dilated kernel.
        stride_rows: rows of the IFM between rows of the OFM.
        resampled: True where the IFM is upscaled on the fly.
    """

    ofm_row_bytes: int
    kernel_rows: int
    stride_rows: int
    resampled: bool


@dataclass(frozen=True, slots=True)
class OperatorChoices:
    """One operator as Vela schedules it, and what may be chosen for it.

    Args:
        name: unique and printable.
        shape: height, width and depth of the OFM.
        geometry: for the memory of cascades.
        vendor_block: the block Vela takes by default.
        vendor_part_kernel: the traversal Vela takes.
        blocks: blocks worth trying with their costs, each in the traversals in which it is
            legal and worth it; only these are offered, of up to hundreds of legal ones.
        unit_height: rows of a micro-block; blocks have multiples of it.
        vendor: the cost of Vela's own block.
        legal: of the blocks on offer and Vela's own, those that the hardware takes for the whole
            operator, by traversal (True: part-kernel first); tells which of a block and a
            traversal gives way where they do not go together.
        traversals: True where both traversals are worth trying.
        joins_next: True where it can be cascaded with the next operator.
        stripe_heights: rows per stripe worth trying where it is in a cascade.
        buffers_weights: True where its weights can be copied to fast storage in slices.
        formats: OFM formats other than Vela's choice.
        elementwise: True where it or a reader of its OFM goes element by element, which takes as
            many cycles as the elements stored, those that fill up bricks included.
        spills: True where its OFM may live in fast storage or in slow memory.
        weight_transfer_cycles: to read all encoded weights once from where they are stored.
        weight_bytes: of the encoded weights.
        weight_elements: how many weights there are; 0 without weights.
    """

    name: str
    shape: Block
    geometry: Geometry
    vendor_block: Block
    vendor_part_kernel: bool
    blocks: tuple[BlockCost, ...]
    unit_height: int
    vendor: BlockCost
    legal: Mapping[bool, frozenset[Block]]
    traversals: bool
    joins_next: bool
    stripe_heights: tuple[int, ...]
    buffers_weights: bool
    formats: tuple[str, ...]
    elementwise: bool
    spills: bool
    weight_transfer_cycles: float
    weight_bytes: int
    weight_elements: int

    def blocks_for(self, stripe_height: int) -> list[BlockCost]:
        """Blocks in Vela's traversal that are not higher than a stripe."""
        limit = -(-stripe_height // self.unit_height) * self.unit_height
        return [
            cost
            for cost in self.blocks
            if cost.part_kernel == self.vendor_part_kernel and cost.block[0] <= limit
        ]

    def in_place_cycles(self, cost: BlockCost) -> float:
        """Cycles to read the weights from where they are stored, as often as a block needs."""
        return cost.costs[3] / self.weight_elements * self.weight_transfer_cycles

    @property
    def slice_depths(self) -> tuple[int, ...]:
        """Output channels per weight slice worth trying."""
        return tuple(n for n in SLICE_DEPTHS if n < self.shape[2]) if self.buffers_weights else ()


def operator_choices(session: Session) -> tuple[OperatorChoices, ...]:
    """Every operator that runs on the NPU, in execution order."""
    schedulers = session.schedule(NetworkPlan())
    every = [(scheduler, op) for scheduler in schedulers for op in scheduler.sched_ops]
    known: dict[Any, Any] = {}
    return tuple(
        _choices(name, scheduler, op, known)
        for name, (scheduler, op) in zip(session.operator_names(), every, strict=True)
    )


def _choices(name: str, scheduler: Any, op: Any, known: dict[Any, Any]) -> OperatorChoices:
    cost = scheduler.sg.schedule.cost_map[op]
    weights = cost.npu_weights_tensor
    part_kernel = bool(weights and weights.hw_traversal == NpuBlockTraversal.PART_KERNEL_FIRST)
    shape = op.ofm.shape
    vendor_block = block_of(cost.block_config)
    signature = _signature(op, part_kernel, vendor_block, cost.stripe.height)
    if signature not in known:
        known[signature] = _useful(scheduler, op, cost, part_kernel=part_kernel)
    blocks, vendor = known[signature]
    candidates = {vendor_block, *(found.block for found in blocks)}
    cascades = can_cascade(op, scheduler.sched_ops)
    joined = op.index > 0 and can_cascade(scheduler.sched_ops[op.index - 1], scheduler.sched_ops)
    spills = op.arch.is_spilling_enabled() and bool(op.get_dependants()) and _is_map(op)
    return OperatorChoices(
        name=name,
        shape=(shape.height, shape.width, shape.depth),
        geometry=_geometry(op),
        vendor_block=vendor_block,
        vendor_part_kernel=part_kernel,
        blocks=blocks,
        unit_height=op.arch.ofm_ublock.height,
        vendor=vendor,
        legal={
            traversal: frozenset(
                b for b in candidates if whole_block(op, b, part_kernel=traversal) is not None
            )
            for traversal in (False, True)
        },
        traversals=any(found.part_kernel != part_kernel for found in blocks),
        joins_next=cascades,
        stripe_heights=_powers_of_two(shape.height // 2) if cascades or joined else (),
        buffers_weights=buffers_weights(scheduler, op),
        formats=_other_formats(scheduler, op),
        elementwise=any(
            o.op_type.npu_block_type == NpuBlockType.ElementWise
            for o in (op, *op.get_dependants())
        ),
        spills=spills,
        weight_transfer_cycles=_transfer_cycles(op, weights) if weights else 0.0,
        weight_bytes=len(weights.buffer) if weights else 0,
        weight_elements=op.parent_op.weights.elements() if weights else 0,
    )


def _signature(op: Any, *rest: Any) -> tuple[Any, ...]:
    """What the costs of an operator's blocks depend on."""
    tensors = [t and (tuple(t.shape), str(t.dtype), t.format, t.mem_area) for t in _ends(op)]
    kernel = op.kernel
    parent = op.parent_op
    return (
        op.op_type,
        *tensors,
        (kernel.width, kernel.height, kernel.stride, kernel.dilation),
        (op.ifm_read_shape, op.ofm_write_shape),
        (op.activation and op.activation.op_type, parent.activation_lut is not None),
        (parent.has_scaling(), op.resampling_mode, op.uses_scalar, bool(parent.bias)),
        can_stripe(op),
        *rest,
    )


def _ends(op: Any) -> list[Any]:
    for tensor in (op.ifm, op.ifm2, op.ofm):
        if tensor is not None:
            tensor.mem_area = tensor.connection.parent_tens.mem_area
    return [op.ifm, op.ifm2, op.ofm]


def _useful(
    scheduler: Any, op: Any, cost: Any, *, part_kernel: bool
) -> tuple[tuple[BlockCost, ...], BlockCost]:
    """Blocks that can beat Vela's choice in some respect, and the cost of Vela's choice."""
    traversals = [part_kernel]
    if op.parent_op.weights and op.op_type.npu_block_type == NpuBlockType.ConvolutionMxN:
        traversals.append(not part_kernel)
    every = [c for t in traversals for c in block_costs(scheduler, op, part_kernel=t)]
    striped = can_stripe(op)
    found = useful_blocks(every, striped=striped, unit_height=op.arch.ofm_ublock.height)
    vendor = block_cost(scheduler, op, block_of(cost.block_config), cost.block_config)
    if not striped:
        found = [c for c in found if (c.encoding, c.costs) != (vendor.encoding, vendor.costs)]
    return tuple(found), vendor


def _powers_of_two(most: int) -> tuple[int, ...]:
    return tuple(1 << n for n in range(most.bit_length()) if 1 << n <= most)


def _geometry(op: Any) -> Geometry:
    shape = op.ofm.shape
    element = op.ofm.dtype.size_in_bytes()
    return Geometry(
        ofm_row_bytes=shape.width * round_up(shape.depth, 16) * element,
        kernel_rows=op.kernel.area_height(),
        stride_rows=op.kernel.stride.y,
        resampled=to_upscale(op.resampling_mode) > 1,
    )


def _transfer_cycles(op: Any, weights: Any) -> float:
    width = op.arch.memory_bandwidths_per_cycle[op.parent_op.weights.mem_area]
    return float(len(weights.buffer) / width)


def _is_map(op: Any) -> bool:
    """False for a single column of channels, too small for its place or layout to matter."""
    return bool(op.ofm.shape.elements_wh() > 1)


def _other_formats(scheduler: Any, op: Any) -> tuple[str, ...]:
    tensor = op.ofm.connection.parent_tens
    if not _is_map(op):
        return ()
    if tensor in scheduler.sg.output_tensors or tensor.purpose != TensorPurpose.FeatureMap:
        return ()
    if not tensor.use_linear_format:
        # NHCWB16 moves whole bricks of 16 channels and is never slower where they are full.
        return ("NHWC",) if op.ofm.shape.depth % 16 else ()
    if scheduler.avoid_nhcwb16_for_ofm(tensor, op.parent_ps, op.arch):
        return ("NHCWB16",)
    return ()
