"""A scheduler that follows a plan instead of searching."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any

from ethosu.vela import npu_performance, scheduler, weight_compressor
from ethosu.vela.architecture_allocator import is_nearest, to_upscale, try_block_config
from ethosu.vela.architecture_features import Block
from ethosu.vela.cascade_builder import BufferMap, CascadeBuilder, CascadeInfo
from ethosu.vela.numeric_util import round_up
from ethosu.vela.operation import Op
from ethosu.vela.shape4d import Shape4D
from ethosu.vela.tensor import TensorSubPurpose

from npu_tune.errors import IllegalConfigurationError
from npu_tune.targets.ethos_u.plan import UNBUFFERED, WHOLE, OperatorPlan, settled
from npu_tune.targets.ethos_u.plan import Block as OfmBlock

NO_LIMIT = 1 << 32
"""What Vela passes as memory limit while it looks for the fastest schedule."""


@dataclass(frozen=True, slots=True)
class VendorChoice:
    """What Vela's own search decided for one operator.

    Args:
        cascade: index of the last operator of its cascade; 0 where it is in none.
        stripe_height: rows of the OFM per stripe.
    """

    cascade: int
    stripe_height: int


@dataclass(frozen=True, slots=True)
class VendorSchedule:
    """What Vela's own search decided for one subgraph.

    Args:
        choices: per operator, in order.
        buffer_limit: the memory limit under which weights were buffered, in bytes.
        sram_limit: the limit for feature maps in fast storage, in bytes.
        reserved: bytes of fast storage kept free of weight buffers, by operator.
    """

    choices: tuple[VendorChoice, ...]
    buffer_limit: int
    sram_limit: int
    reserved: tuple[int, ...]


class VendorScheduler(scheduler.Scheduler):  # type: ignore[misc]
    """Vela's own scheduler, which can also say what it decided."""

    def decisions(self) -> VendorSchedule:
        """Call it once a schedule is applied."""
        schedule = self.sg.schedule
        costs = [schedule.cost_map[op] for op in self.sched_ops]
        fastest = schedule.label == "MAX_BUFFERED"
        return VendorSchedule(
            tuple(VendorChoice(cost.cascade, cost.stripe.height) for cost in costs),
            NO_LIMIT if fastest else self.sram_limit,
            self.sram_limit,
            tuple(op.evicted_fms_size for op in self.sched_ops),
        )


class PlannedScheduler(scheduler.Scheduler):  # type: ignore[misc]
    """Builds the schedule that a plan describes.

    Vela's driver calls a scheduler's methods in a fixed order to build a fastest and a smallest
    schedule and to search between them; here the first call builds the planned schedule and
    the others hand it on.
    """

    def __init__(
        self,
        *arguments: Any,
        plans: Sequence[OperatorPlan],
        vendor: VendorSchedule,
        encoder: Any,
    ) -> None:
        super().__init__(*arguments)
        self.sched_ops: list[Any]
        self._plans = plans
        self._vendor = vendor
        self._encoder = encoder
        self._final: Any = None

    # What Vela's driver calls, in its order.

    def create_scheduler_representation(self, arch: Any) -> None:
        """Vela's, with the planned formats, blocks and traversals."""
        passes = [ps for ps in self.sg.passes if ps.primary_op]
        self._plan_of_pass = dict(zip(passes, self._plans, strict=True))
        for ps, plan in self._plan_of_pass.items():
            if plan.linear_format and ps.ofm_tensor not in self.sg.output_tensors:
                ps.ofm_tensor.force_linear_format = True
        super().create_scheduler_representation(arch)
        for op, plan, reserved in zip(
            self.sched_ops, self._plans, self._vendor.reserved, strict=True
        ):
            op.evicted_fms_size = reserved
            if plan.block is not None or plan.part_kernel is not None:
                self._plan_block(op, plan)

    def _plan_block(self, op: Any, plan: OperatorPlan) -> None:
        """Sets an operator's block and traversal, as far as the hardware takes them."""
        own = op._get_block_config(*_whole_shapes(op))  # noqa: SLF001
        vendor_block = (own.ofm_block.height, own.ofm_block.width, own.ofm_block.depth)
        natural = self._encoder.part_kernel(op, own)
        block, part_kernel = settled(
            plan.block,
            plan.part_kernel,
            vendor_block=vendor_block,
            vendor_part_kernel=natural,
            fits=lambda b, traversal: whole_block(op, b, part_kernel=traversal) is not None,
        )
        if part_kernel is not None:
            self._encoder.force_traversal(op.parent_op, part_kernel=part_kernel)
        traversal = natural if part_kernel is None else part_kernel
        if block is not None or part_kernel is not None:
            find = _planned_block(block, vendor_block, part_kernel=traversal)
            op._get_block_config = MethodType(find, op)  # noqa: SLF001

    def avoid_nhcwb16_for_ofm(self, tens: Any, ps: Any, arch: Any) -> bool:
        """Vela's rule, unless the plan asks for NHCWB16."""
        if self._plan_of_pass[ps].linear_format is False:
            return False
        return bool(super().avoid_nhcwb16_for_ofm(tens, ps, arch))

    def create_initial_schedule(self) -> Any:
        """The planned schedule, complete."""
        schedule = scheduler.Schedule(self.sg, "PLANNED")
        for op, stripe_height in zip(self.sched_ops, self._stripe_heights(), strict=True):
            cost = op.create_scheduler_info(self.nng, op.ofm.shape.with_height(stripe_height))
            cost.cycles = self.estimate_op_performance(op, cost.block_config, op.ofm.shape.depth)
            schedule.cost_map[op] = cost
        self._number_cascades(schedule)
        self.sg.schedule = schedule
        super().update_op_memory_snapshot(schedule)
        self._final = self._buffered(schedule)
        self.sg.schedule = self._final
        super().update_op_memory_snapshot(self._final)
        return self._final

    def update_op_memory_snapshot(self, schedule: Any) -> None:
        """Done already."""

    def propose_schedule_buffering(self, ref_schedule: Any, _limit: int) -> Any:
        """Done already."""
        return ref_schedule

    def propose_minimal_schedule(self) -> Any:
        """The planned schedule is the only one."""
        return self._final

    def build_cascades_for_min_schedule(self, *_: Any) -> None:
        """The plan has cascades of its own."""

    def optimize_schedule(self, *_: Any) -> Any:
        """Nothing is left to search."""
        return self._final

    def optimize_weight_buffering_size(self, *_: Any) -> None:
        """Weights are buffered as planned."""

    def use_fast_storage_for_feature_maps(self, schedule: Any, _limit: int) -> None:
        """Vela's choice among the feature maps that are not planned to stay in slow memory."""
        everything = self.sched_ops
        slow = {
            op.ofm.connection
            for op, plan in zip(everything, self._plans, strict=True)
            if plan.fast_storage is False
        }
        self.sched_ops = [op for op in everything if op.ofm.connection not in slow]
        spills = self.arch.is_spilling_enabled()
        try:
            super().use_fast_storage_for_feature_maps(
                schedule, self._vendor.sram_limit if spills else NO_LIMIT
            )
        except AssertionError as error:
            raise IllegalConfigurationError(
                "Buffers and cascades leave no room for feature maps in fast storage."
            ) from error
        finally:
            self.sched_ops = everything
        if spills:
            self._check_fast_storage(schedule)

    def _check_fast_storage(self, schedule: Any) -> None:
        """Dedicated SRAM has a size; Vela would spend minutes trying to fit what is beyond it."""
        super().update_op_memory_snapshot(schedule)
        used, size = schedule.fast_storage_peak_usage, self.arch.arena_cache_size
        if used > size:
            raise IllegalConfigurationError(
                f"Buffers and cascades take {used} bytes of fast storage, which has {size}.",
                used_bytes=int(used),
                size_bytes=int(size),
            )

    # Cascades.

    def _stripe_heights(self) -> list[int]:
        """Rows per stripe for each operator; the full height outside cascades."""
        heights = [op.ofm.shape.height for op in self.sched_ops]
        self._cascades = []
        for start, end in self._runs():
            last = end
            while last > start:
                cascade = self._cascade_ending(last, start)
                if len(cascade) > 1:
                    self._cascades.append((min(cascade), last))
                    for index, height in cascade.items():
                        heights[index] = height
                last -= max(len(cascade), 1)
        return heights

    def _runs(self) -> list[tuple[int, int]]:
        """First and last index of each row of operators that the plan wants cascaded."""
        runs, start = [], 0
        for index, op in enumerate(self.sched_ops):
            if not (self._joined(index) and can_cascade(op, self.sched_ops)):
                if index > start:
                    runs.append((start, index))
                start = index + 1
        return runs

    def _joined(self, index: int) -> bool:
        planned = self._plans[index].cascade
        if planned is not None:
            return planned
        choices = self._vendor.choices
        cascade = choices[index].cascade
        return cascade != 0 and index + 1 < len(choices) and choices[index + 1].cascade == cascade

    def _cascade_ending(self, last: int, start: int) -> dict[int, int]:
        """Stripe heights of the longest cascade from ``last`` backwards, not before ``start``.

        What is left to Vela follows its own cascade where that ends here too; otherwise a stripe
        has ``stride`` times the rows of the one behind it. Where a stripe reaches the whole
        feature map, the cascade begins behind that operator.
        """
        ops = self.sched_ops
        even = any(is_nearest(op.resampling_mode) for op in ops[start : last + 1])
        heights: dict[int, int] = {}
        derived = 1
        for index in range(last, start - 1, -1):
            op = ops[index]
            height = self._stripe_height(index, last, derived)
            if index < last:
                height = max(height, ops[index + 1].kernel.stride.y)
            height += height % 2 if even else 0
            if height >= op.ofm.shape.height:
                break
            heights[index] = height
            odd = 0 if even else height % to_upscale(op.resampling_mode)
            derived = (height + odd) * op.kernel.stride.y
        return heights

    def _stripe_height(self, index: int, last: int, derived: int) -> int:
        """Rows per stripe of an operator in a cascade that ends with ``last``."""
        planned = self._plans[index].stripe_height
        if planned is not None:
            return planned
        vendor = self._vendor.choices[index]
        return vendor.stripe_height if vendor.cascade == last else derived

    def _number_cascades(self, schedule: Any) -> None:
        buffers = BufferMap()
        for start, end in sorted(self._cascades):
            shapes = {}
            for before, op in zip(
                self.sched_ops[start:end], self.sched_ops[start + 1 : end + 1], strict=True
            ):
                shapes[op], _ = buffers.get_buffer(before, op, schedule.cost_map)
            for op in self.sched_ops[start : end + 1]:
                schedule.cost_map[op].cascade = end
            schedule.cascades[end] = CascadeInfo(start, end, shapes, 0)

    # Weights.

    def _buffered(self, reference: Any) -> Any:
        buffered = scheduler.Schedule(self.sg, "PLANNED_BUFFERED")
        buffered.cascades = reference.cascades
        before = None
        for op, plan in zip(self.sched_ops, self._plans, strict=True):
            limit = self._vendor.buffer_limit
            if plan.weight_slices is None or not self._buffers_weights(op):
                self.propose_operator_buffering(op, before, buffered, reference, limit)
            else:
                self._buffer_as_planned(op, before, buffered, reference, plan.weight_slices)
            before = op
        return buffered

    def _buffers_weights(self, op: Any) -> bool:
        weights = op.parent_op.weights
        return bool(
            weights and op.op_type != Op.FullyConnected and self.weights_needs_dma(weights)
        )

    def _buffer_as_planned(
        self, op: Any, before: Any, buffered: Any, reference: Any, slices: int
    ) -> None:
        """Vela's ``propose_weight_buffering`` with the decision taken."""
        cost = copy.copy(reference.cost_map[op])
        buffered.cost_map[op] = cost
        cost.slack_buffering_cycles = cost.cycles.op_cycles
        usage = reference.memory_snapshot[cost.time_index]
        cost.slack_buffering_memory = self._vendor.buffer_limit - usage
        depth = cost.stripe.depth
        cost.ofm_depth_slices = [0, depth]
        if slices > 0 and not cost.cascade:
            cost.ofm_depth_slices = [*range(0, depth, slices), depth]
        full, _ = self._encoded(op, cost.block_config, [0, depth])
        cost.npu_weights_tensor, cost.npu_scales_tensor = self._encoded(
            op, cost.block_config, cost.ofm_depth_slices
        )
        if slices == UNBUFFERED:
            return
        weights = cost.npu_weights_tensor
        if not cost.cascade:
            cost.full_weight_transfer_cycles = npu_performance.measure_mem2mem_cycles(
                self.arch,
                op.parent_op.weights.mem_area,
                self.arch.fast_storage_mem_area,
                len(full.buffer),
            )
            tail = cost.ofm_depth_slices[-1] - cost.ofm_depth_slices[-2]
            cost.slack_buffering_cycles = self.estimate_op_performance(
                op, cost.block_config, tail
            ).op_cycles
        count = 1 if slices == WHOLE or len(cost.ofm_depth_slices) == 2 else 2
        purpose = TensorSubPurpose.DoubleBuffer if count == 2 else TensorSubPurpose.Standard
        cost.buffered_weight_tensors = [
            self.buffer_tensor(
                weights, purpose, weights.double_buffer_sizes[turn], f"{weights.name}_buffer{turn}"
            )
            for turn in range(count)
        ]
        if not cost.cascade:
            free = buffered.cost_map[before].slack_buffering_memory if before else 0
            cost.buffered_weight_tensors[0].pre_buffer = weights.double_buffer_size() < free
        last = len(cost.ofm_depth_slices) % count
        cost.slack_buffering_memory -= weights.double_buffer_sizes[last]

    def _encoded(self, op: Any, block_config: Any, slices: list[int]) -> tuple[Any, Any]:
        weights, bias = op.parent_op.weights, op.parent_op.bias
        encoded: tuple[Any, Any] = weight_compressor.encode_weight_and_scale_tensor(
            self.arch, op.parent_op, weights, bias, op.kernel, block_config, slices
        )
        return encoded


def can_cascade(op: Any, operators: Sequence[Any]) -> bool:
    """Whether an operator can run stripe by stripe together with the one behind it.

    These are the conditions of Vela's ``CascadeBuilder``, but for the stripe height.
    """
    dependants = op.get_dependants()
    if len(dependants) != 1 or op.index + 1 >= len(operators):
        return False
    following = operators[op.index + 1]
    return (
        dependants[0] is following
        and can_stripe(op)
        and can_stripe(following)
        and op.ofm.shape == following.ifm.shape
        and not following.requires_full_ifm
        and not op.requires_full_ofm
    )


class _OneRow:
    """Stands for a cost whose stripe is smaller than any feature map of two rows or more."""

    class stripe:  # noqa: N801
        height = 1


def can_stripe(op: Any) -> bool:
    """Whether an operator can be computed in stripes at all."""
    return bool(CascadeBuilder([], False)._is_cascadable(op, _OneRow))  # noqa: SLF001


def fitted_block(op: Any, ofm_shape: Any, block: OfmBlock, **query: Any) -> Any:
    """Vela's description of a block for an operator, cut to its stripe; None if it can't be."""
    height, width, depth = block
    height = min(height, round_up(ofm_shape.height, op.arch.ofm_ublock.height))
    config = try_block_config(
        Block(width, height, depth),
        op.arch,
        op.op_type.npu_block_type,
        ofm_shape,
        query["ifm_shape"],
        query["ifm2_shape"],
        op.uses_scalar,
        op.ifm.dtype.size_in_bits(),
        query["part_kernel"],
        op.kernel,
        2 if op.parent_op.activation_lut else 0,
        op.parent_op.has_scaling(),
        op.resampling_mode,
    )
    if config is not None:
        config.ofm_block = Shape4D(1, height, width, depth)
    return config


def whole_block(op: Any, block: OfmBlock, *, part_kernel: bool) -> Any:
    """Vela's description of a block for an operator that is not striped; None if illegal."""
    ifm_shape, ifm2_shape, _, ofm_shape = _whole_shapes(op)
    return fitted_block(
        op, ofm_shape, block, ifm_shape=ifm_shape, ifm2_shape=ifm2_shape, part_kernel=part_kernel
    )


def _whole_shapes(op: Any) -> tuple[Any, Any, bool, Any]:
    """What Vela's search for a block is asked with where an operator is not striped."""
    return op.ifm.shape, op.ifm2.shape if op.ifm2 else None, op.uses_scalar, op.ofm.shape


def _planned_block(block: OfmBlock | None, vendor_block: OfmBlock, *, part_kernel: bool) -> Any:
    """Stands in for an operator's search for a block."""

    def block_config(
        op: Any, ifm_shape: Any, ifm2_shape: Any, uses_scalar: bool, ofm_shape: Any
    ) -> Any:
        def fitted(candidate: OfmBlock) -> Any:
            return fitted_block(
                op,
                ofm_shape,
                candidate,
                ifm_shape=ifm_shape,
                ifm2_shape=ifm2_shape,
                part_kernel=part_kernel,
            )

        if block is not None:
            return fitted(block)
        # Vela's own block for the stripe may not fit in the other traversal; for the whole
        # operator it does, and so it does when cut to the stripe.
        own = type(op)._get_block_config(op, ifm_shape, ifm2_shape, uses_scalar, ofm_shape)  # noqa: SLF001
        shape = own.ofm_block
        return fitted((shape.height, shape.width, shape.depth)) or fitted(vendor_block)

    return block_config
