"""What the hardware takes: operators in stripes, weights in slices, blocks of a size.

Vela's own rules, asked about one operator at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ethosu.vela.architecture_allocator import try_block_config
from ethosu.vela.architecture_features import Block
from ethosu.vela.cascade_builder import CascadeBuilder
from ethosu.vela.numeric_util import round_up
from ethosu.vela.operation import Op
from ethosu.vela.shape4d import Shape4D

from npu_tune.targets.ethos_u.plan import Block as OfmBlock


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


def buffers_weights(scheduler: Any, op: Any) -> bool:
    """Whether Vela can bring an operator's weights to fast storage before it reads them."""
    weights = op.parent_op.weights
    return bool(
        weights and op.op_type != Op.FullyConnected and scheduler.weights_needs_dma(weights)
    )


def whole_shapes(op: Any) -> tuple[Any, Any, bool, Any]:
    """What Vela's search for a block is asked with where an operator is not striped."""
    return op.ifm.shape, op.ifm2.shape if op.ifm2 else None, op.uses_scalar, op.ofm.shape


def whole_block(op: Any, block: OfmBlock, *, part_kernel: bool, rows: int | None = None) -> Any:
    """Vela's description of a block for an operator that is not striped; None if illegal.

    With ``rows`` for a stripe of so many rows of the OFM, of which only the height matters.
    """
    ifm_shape, ifm2_shape, _, ofm_shape = whole_shapes(op)
    if rows is not None:
        ofm_shape = ofm_shape.with_height(rows)
    return _fitted_block(op, block, ifm_shape, ifm2_shape, ofm_shape, part_kernel)


def striped_block(op: Any, block: OfmBlock, cost: Any, *, part_kernel: bool) -> Any:
    """The same for the stripes of an entry in a schedule."""
    shapes = cost.stripe_input, cost.stripe_input2, cost.stripe
    return _fitted_block(op, block, *shapes, part_kernel)


def planned_block(
    block: OfmBlock | None, vendor_block: OfmBlock, *, part_kernel: bool
) -> Callable[..., Any]:
    """A method to stand in for an operator's own search for a block.

    Args:
        block: the block to use, cut to the stripe; None for Vela's own, made to fit.
        vendor_block: Vela's own block where the operator is not striped.
        part_kernel: the traversal that the weights have.
    """

    def block_config(
        op: Any, ifm_shape: Any, ifm2_shape: Any, uses_scalar: bool, ofm_shape: Any
    ) -> Any:
        def fitted(candidate: OfmBlock) -> Any:
            return _fitted_block(op, candidate, ifm_shape, ifm2_shape, ofm_shape, part_kernel)

        if block is not None:
            return fitted(block)
        # Vela's own block for the stripe may not fit in the other traversal; for the whole
        # operator it does, and so it does when cut to the stripe.
        own = type(op)._get_block_config(op, ifm_shape, ifm2_shape, uses_scalar, ofm_shape)  # noqa: SLF001
        return fitted(block_of(own)) or fitted(vendor_block)

    return block_config


def block_of(config: Any) -> OfmBlock:
    """Height, width and depth of the block that Vela describes."""
    block = config.ofm_block
    return block.height, block.width, block.depth


def _fitted_block(  # noqa: PLR0917 -- the shapes in Vela's order
    op: Any, block: OfmBlock, ifm_shape: Any, ifm2_shape: Any, ofm_shape: Any, part_kernel: bool
) -> Any:
    """Vela's description of a block, no higher than the OFM's stripe; None if it can't be."""
    height, width, depth = block
    height = min(height, round_up(ofm_shape.height, op.arch.ofm_ublock.height))
    config = try_block_config(
        Block(width, height, depth),
        op.arch,
        op.op_type.npu_block_type,
        ofm_shape,
        ifm_shape,
        ifm2_shape,
        op.uses_scalar,
        op.ifm.dtype.size_in_bits(),
        part_kernel,
        op.kernel,
        2 if op.parent_op.activation_lut else 0,
        op.parent_op.has_scaling(),
        op.resampling_mode,
    )
    if config is not None:
        # A block that Vela's search has found is a Shape4D; one that was tried is not.
        config.ofm_block = Shape4D(1, height, width, depth)
    return config
