"""What a configuration asks of Vela, free of knob names and of Vela's own objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Block = tuple[int, int, int]
"""Height, width and depth of an OFM block, in elements."""

UNBUFFERED = 0
"""Weights are read where they are stored."""

WHOLE = -1
"""All weights are copied to fast storage before they are read."""


@dataclass(frozen=True, slots=True)
class OperatorPlan:
    """The choices for one operator; the defaults leave each to Vela's own rule.

    Args:
        block: the OFM block.
        part_kernel: traverse part-kernel first (True) or depth first (False).
        cascade: run together with the next operator, stripe by stripe.
        stripe_height: rows of the OFM per stripe, where this operator is in a cascade.
        weight_slices: how weights reach the NPU: ``UNBUFFERED``, ``WHOLE``, or slices of n > 0
            output channels copied in turn into two buffers in fast storage.
        linear_format: write the OFM as NHWC (True) or as NHCWB16 (False).
        slow_storage: keep the OFM in slow memory, where the memory mode has fast storage too.
    """

    block: Block | None = None
    part_kernel: bool | None = None
    cascade: bool | None = None
    stripe_height: int | None = None
    weight_slices: int | None = None
    linear_format: bool | None = None
    slow_storage: bool = False


VENDOR = OperatorPlan()
"""Everything left to Vela."""


def settle(
    block: Block | None,
    part_kernel: bool | None,
    *,
    vendor_block: Block,
    vendor_part_kernel: bool,
    fits: Callable[[Block, bool], bool],
) -> tuple[Block | None, bool | None]:
    """Finds the block and traversal that are used where the two asked for do not go together.

    The traversal gives way first, then the block. ``fits`` tells whether the hardware takes a
    block in a traversal (True: part-kernel first) when the operator is not striped.
    """
    asked = vendor_part_kernel if part_kernel is None else part_kernel
    traversal = None if asked == vendor_part_kernel else asked
    if fits(block or vendor_block, asked):
        return block, traversal
    if traversal is not None and fits(block or vendor_block, vendor_part_kernel):
        return block, None
    return None, traversal if fits(vendor_block, asked) else None


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A whole compilation.

    Args:
        strategy: ``Performance`` or ``Size``, as Vela's ``--optimise``.
        arena_limit: as Vela's ``--arena-cache-size``, in bytes; None for the memory mode's own.
        allocator: ``HillClimb``, ``Greedy`` or ``LinearAlloc``.
        operators: plans by operator index, for those that are not left to Vela entirely.
    """

    strategy: str = "Performance"
    arena_limit: int | None = None
    allocator: str = "HillClimb"
    operators: Mapping[int, OperatorPlan] = field(default_factory=dict)
