"""A scheduler that follows a plan instead of searching."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from types import MethodType
from typing import Any

from ethosu.vela import npu_performance, scheduler, weight_compressor
from ethosu.vela.cascade_builder import BufferMap, CascadeInfo
from ethosu.vela.tensor import TensorSubPurpose

from npu_tune.errors import IllegalConfigurationError
from npu_tune.targets.ethos_u.compiler.fitting import (
    block_of,
    buffers_weights,
    planned_block,
    whole_block,
    whole_shapes,
)
from npu_tune.targets.ethos_u.compiler.striping import planned_striping
from npu_tune.targets.ethos_u.compiler.vendor import NO_LIMIT, VendorSchedule
from npu_tune.targets.ethos_u.compiler.weights import WeightEncoder
from npu_tune.targets.ethos_u.plan import UNBUFFERED, OperatorPlan, settle


class PlannedScheduler(scheduler.Scheduler):  # type: ignore[misc]
    """Builds the schedule that a plan describes.

    Vela's driver calls a scheduler's methods in a fixed order to build a fastest and a smallest
    schedule and to search between them; here the first call builds the planned schedule and
    the others hand it on.

    Args:
        arguments: those of Vela's scheduler.
        plans: one per operator of the subgraph, in order.
        vendor: what Vela's own search decides under the same network-wide options.
        encoder: where traversals are forced.
    """

    def __init__(
        self,
        *arguments: Any,
        plans: Sequence[OperatorPlan],
        vendor: VendorSchedule,
        encoder: WeightEncoder,
    ) -> None:
        super().__init__(*arguments)
        self.sched_ops: list[Any]
        self._plans = plans
        self._vendor = vendor
        self._encoder = encoder
        self._plan_of_pass: dict[Any, OperatorPlan] = {}
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
        own = op._get_block_config(*whole_shapes(op))  # noqa: SLF001
        vendor_block = block_of(own)
        natural = self._encoder.part_kernel(op, own)
        block, part_kernel = settle(
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
            find = planned_block(block, vendor_block, part_kernel=traversal)
            op._get_block_config = MethodType(find, op)  # noqa: SLF001

    def avoid_nhcwb16_for_ofm(self, tens: Any, ps: Any, arch: Any) -> bool:
        """Vela's rule, unless the plan asks for NHCWB16."""
        if self._plan_of_pass[ps].linear_format is False:
            return False
        return bool(super().avoid_nhcwb16_for_ofm(tens, ps, arch))

    def create_initial_schedule(self) -> Any:
        """The planned schedule, complete."""
        schedule = scheduler.Schedule(self.sg, "PLANNED")
        striping = planned_striping(self.sched_ops, self._plans, self._vendor.choices)
        for op, height in zip(self.sched_ops, striping.heights, strict=True):
            cost = op.create_scheduler_info(self.nng, op.ofm.shape.with_height(height))
            cost.cycles = self.estimate_op_performance(op, cost.block_config, op.ofm.shape.depth)
            schedule.cost_map[op] = cost
        self._note_cascades(schedule, striping.cascades)
        self.sg.schedule = schedule
        super().update_op_memory_snapshot(schedule)
        self._final = self._buffered(schedule)
        self.sg.schedule = self._final
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
            if plan.slow_storage
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

    def _note_cascades(self, schedule: Any, cascades: Sequence[tuple[int, int]]) -> None:
        """Vela numbers a cascade by its last operator."""
        buffers = BufferMap()
        for start, end in cascades:
            inside = self.sched_ops[start : end + 1]
            shapes = {
                op: buffers.get_buffer(before, op, schedule.cost_map)[0]
                for before, op in pairwise(inside)
            }
            for op in inside:
                schedule.cost_map[op].cascade = end
            schedule.cascades[end] = CascadeInfo(start, end, shapes, 0)

    # Weights.

    def _buffered(self, reference: Any) -> Any:
        buffered = scheduler.Schedule(self.sg, "PLANNED_BUFFERED")
        buffered.cascades = reference.cascades
        before = None
        for op, plan in zip(self.sched_ops, self._plans, strict=True):
            limit = self._vendor.buffer_limit
            if plan.weight_slices is None or not buffers_weights(self, op):
                self.propose_operator_buffering(op, before, buffered, reference, limit)
            else:
                self._buffer_as_planned(op, before, buffered, reference, plan.weight_slices)
            before = op
        return buffered

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
        if slices != UNBUFFERED:
            free = buffered.cost_map[before].slack_buffering_memory if before else 0
            self._add_buffers(op, cost, len(full.buffer), free)

    def _add_buffers(self, op: Any, cost: Any, weight_bytes: int, free_before: int) -> None:
        """One buffer for whole weights, two for slices; inside a cascade weights are whole.

        Args:
            op: the operator.
            cost: its entry in the schedule.
            weight_bytes: of all its encoded weights in one piece.
            free_before: bytes of fast storage left while the operator before it runs.
        """
        weights, offsets = cost.npu_weights_tensor, cost.ofm_depth_slices
        count = min(len(offsets) - 1, 2)
        purpose = TensorSubPurpose.DoubleBuffer if count == 2 else TensorSubPurpose.Standard
        cost.buffered_weight_tensors = [
            self.buffer_tensor(
                weights, purpose, weights.double_buffer_sizes[turn], f"{weights.name}_buffer{turn}"
            )
            for turn in range(count)
        ]
        if not cost.cascade:
            cost.full_weight_transfer_cycles = npu_performance.measure_mem2mem_cycles(
                self.arch,
                op.parent_op.weights.mem_area,
                self.arch.fast_storage_mem_area,
                weight_bytes,
            )
            tail = self.estimate_op_performance(op, cost.block_config, offsets[-1] - offsets[-2])
            cost.slack_buffering_cycles = tail.op_cycles
            cost.buffered_weight_tensors[0].pre_buffer = weights.double_buffer_size() < free_before
        last_used = len(offsets) % count  # offsets tell one more than there are slices
        cost.slack_buffering_memory -= weights.double_buffer_sizes[last_used]

    def _encoded(self, op: Any, block_config: Any, slices: list[int]) -> tuple[Any, Any]:
        weights, bias = op.parent_op.weights, op.parent_op.bias
        encoded: tuple[Any, Any] = weight_compressor.encode_weight_and_scale_tensor(
            self.arch, op.parent_op, weights, bias, op.kernel, block_config, slices
        )
        return encoded
