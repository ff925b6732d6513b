"""Configurations worth evaluating before a search: what Vela's two cores would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.base import Start
from npu_tune.targets.ethos_u.cpp_core import CppCore, PrintedOperator, network_starts
from npu_tune.targets.ethos_u.knobs import block_text

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices


def python_core_starts(
    space: SearchSpace,
    operators: Sequence[OperatorChoices],
    stripe_heights: Callable[[Configuration], Sequence[int]],
    cpp_core: CppCore,
) -> tuple[Start, ...]:
    """The vendor's front, the C++ core's schedule, and faster blocks upon each.

    Args:
        space: of the network.
        operators: its operators.
        stripe_heights: rows per stripe of each operator under network-wide knobs alone.
        cpp_core: the other core on the same network.
    """
    front = (Start("Vela default", space.default), *network_starts(space))
    starts = list(front[1:])
    starts.append(Start("Vela C++ core's schedule", from_printed(space, operators, cpp_core)))
    slices = _small_slices(space)
    for start in front:
        heights = stripe_heights(start.configuration)
        blocks = fastest_blocks(operators, heights)
        in_place = weights_in_place(operators, heights)
        for label, changes in (
            ("fastest blocks", blocks),
            ("weights in place", {**blocks, **in_place}),
            ("weights in place or in small slices", {**blocks, **slices, **in_place}),
        ):
            configuration = start.configuration.replace(changes)
            starts.append(Start(f"{start.label}, {label}", configuration))
    return tuple(starts)


def _small_slices(space: SearchSpace) -> dict[str, Value]:
    """Two small buffers for the weights of each operator that has enough of them."""
    return {
        name: "double-16"
        for name, knob in space.by_name.items()
        if knob.name == "weight_buffer" and "double-16" in knob.values
    }


def weights_in_place(
    operators: Sequence[OperatorChoices], stripe_heights: Sequence[int]
) -> dict[str, Value]:
    """Reads weights where they are stored, with the block for it, where that costs nothing."""
    changes: dict[str, Value] = {}
    for operator, height in zip(operators, stripe_heights, strict=True):
        block = operator.block_for_weights_in_place(height)
        if block is not None:
            changes[f"{operator.name}/ofm_block"] = block_text(block)
            changes[f"{operator.name}/weight_buffer"] = "none"
    return changes


def fastest_blocks(
    operators: Sequence[OperatorChoices], stripe_heights: Sequence[int]
) -> dict[str, Value]:
    """For each operator the block with the fewest cycles when nothing else changes."""
    return {
        f"{operator.name}/ofm_block": block_text(block)
        for operator, height in zip(operators, stripe_heights, strict=True)
        if (block := operator.fastest_block(height)) is not None
    }


def from_printed(
    space: SearchSpace, operators: Sequence[OperatorChoices], cpp_core: CppCore
) -> Configuration:
    """The C++ core's schedule as far as this space can say it.

    The two cores break a network up differently; operators are matched in order by the shape
    of their OFMs.
    """
    printed = cpp_core.schedule()
    matcher = SequenceMatcher(
        None, [p.shape for p in printed], [o.shape for o in operators], autojunk=False
    )
    changes: dict[str, Value] = {}
    for start, position, size in matcher.get_matching_blocks():
        for offset in range(size):
            source = printed[start + offset]
            following = printed[start + offset + 1] if offset + 1 < size else None
            for knob, value in _choices(source, following):
                name = f"{operators[position + offset].name}/{knob}"
                if name in space.by_name and value in space.by_name[name].values:
                    changes[name] = value
    return space.configuration(changes)


def _choices(
    printed: PrintedOperator, following: PrintedOperator | None
) -> Iterator[tuple[str, Value]]:
    if printed.block is not None:
        yield "ofm_block", block_text(printed.block)
    if printed.cascade:
        yield "stripe_height", printed.stripe_height
        if following and following.cascade == printed.cascade:
            yield "cascade", "join"
    if printed.buffering == "Single":
        yield "weight_buffer", "single"
    elif printed.buffering == "Double" and len(printed.slices) > 1:
        yield "weight_buffer", f"double-{printed.slices[-1] - printed.slices[-2]}"
    elif printed.buffering == "None":
        yield "weight_buffer", "none"
