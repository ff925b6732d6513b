"""What Vela checks while it makes command streams, checked without making them.

Vela 5.2.0 refuses some schedules only there. All of its checks that a plan can fail are known
here well enough to tell schedules that pass from those that may not; for the latter the command
stream is made, and Vela decides.

* Addresses: ``check_mem_limits`` compares every access with the size of its memory. Nothing
  lies beyond what the allocator has used in all.
* Blocks: ``get_arch_block_config`` tries each block again with the traversal that the weights
  have. Where that is the traversal the block was chosen in, it fits, since the last stripe of an
  operator is lower than the others, and a lower one needs no more accumulators.
* Formats: tile padding needs bricks, strides between elements and REDUCE_SUM need NHWC.
* Stripes: rows that are read and written are counted out for each stripe. Outside cascades they
  are those of every schedule; cascades are counted out once for all schedules that have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ethosu.vela.api import NpuBlockTraversal
from ethosu.vela.high_level_command_stream_generator import (
    generate_high_level_commands_for_sched_op,
)
from ethosu.vela.operation import NpuBlockType, Padding
from ethosu.vela.tensor import MemType, TensorFormat

from npu_tune.targets.ethos_u.compiler.fitting import block_of, striped_block


class StreamRules:
    """The checks for one network on one architecture; remembers cascades that pass."""

    def __init__(self) -> None:
        self._cascades: set[Any] = set()

    def hold(self, graph: Any, subgraphs: list[Any], arch: Any) -> bool:
        """True where Vela makes the command streams of a schedule without complaint.

        False where it may or may not.
        """
        return _fits_memories(graph, arch) and all(
            all(map(_has_formats, subgraph.sched_ops))
            and all(_fits_block(op, subgraph.schedule.cost_map[op]) for op in subgraph.sched_ops)
            and self._has_stripes(subgraph)
            for subgraph in subgraphs
        )

    def _has_stripes(self, subgraph: Any) -> bool:
        schedule = subgraph.schedule
        for cascade in schedule.cascades.values():
            key = (subgraph, *_stripes(subgraph, cascade))
            if key in self._cascades:
                continue
            last = subgraph.sched_ops[cascade.end]
            try:
                for _ in generate_high_level_commands_for_sched_op(last, schedule):
                    pass
            except Exception:  # noqa: BLE001 - whatever it is, Vela says it again
                return False
            self._cascades.add(key)
        return True


def _stripes(subgraph: Any, cascade: Any) -> Iterator[Any]:
    """What the stripes of a cascade depend on."""
    yield cascade.start
    for op in subgraph.sched_ops[cascade.start : cascade.end + 1]:
        yield subgraph.schedule.cost_map[op].stripe.height


def _fits_memories(graph: Any, arch: Any) -> bool:
    used = graph.get_root_subgraph().memory_used_per_type
    return all(used.get(each, 0) <= arch.mem_type_size(each) for each in MemType.all())


def _fits_block(op: Any, cost: Any) -> bool:
    weights = cost.npu_weights_tensor
    if not weights:
        return True
    part_kernel = weights.hw_traversal == NpuBlockTraversal.PART_KERNEL_FIRST
    return part_kernel == cost.block_config.is_partkernel or (
        striped_block(op, block_of(cost.block_config), cost, part_kernel=part_kernel) is not None
    )


def _has_formats(op: Any) -> bool:
    parent = op.parent_op
    ifm, ofm = (end.connection.parent_tens.format for end in (op.ifm, op.ofm))
    if parent.attrs.get("padding") == Padding.TILE and ifm != TensorFormat.NHCWB16:
        return False
    if op.op_type.npu_block_type == NpuBlockType.ReduceSum and ifm != TensorFormat.NHWC:
        return False
    spread = [parent.ofm_stride_multiplier, *parent.ifm_stride_multiplier]
    return all(each in (None, [1, 1, 1]) for each in spread) or (ifm == ofm == TensorFormat.NHWC)
