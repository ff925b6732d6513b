"""Configurations worth evaluating before a search: what Vela's two cores would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.base import Start
from npu_tune.targets.ethos_u.cpp_core import CppCore, PrintedOperator, network_starts
from npu_tune.targets.ethos_u.knobs import block_text

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices


def python_core_starts(
    space: SearchSpace, operators: Sequence[OperatorChoices], cpp_core: CppCore
) -> tuple[Start, ...]:
    """The vendor's front, the fastest blocks alone and upon it, and the C++ core's schedule."""
    fastest = fastest_blocks(space, operators)
    front = network_starts(space)
    starts = [Start("fastest blocks", fastest), *front]
    starts.append(Start("Vela C++ core's schedule", from_printed(space, operators, cpp_core)))
    blocks = fastest.difference(space.default)
    starts += [
        Start(f"fastest blocks, {start.label}", start.configuration.replace(blocks))
        for start in front
    ]
    return tuple(starts)


def fastest_blocks(space: SearchSpace, operators: Sequence[OperatorChoices]) -> Configuration:
    """For each operator the block with the fewest cycles when nothing else changes."""
    changes: dict[str, Value] = {
        f"{operator.name}/ofm_block": block_text(operator.fastest)
        for operator in operators
        if operator.fastest is not None
    }
    return space.configuration(changes)


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
        if following and following.cascade == printed.cascade:
            yield "cascade", "join"
        else:
            yield "stripe_height", printed.stripe_height
    if printed.buffering == "Single":
        yield "weight_buffer", "single"
    elif printed.buffering == "Double" and len(printed.slices) > 1:
        yield "weight_buffer", f"double-{printed.slices[-1] - printed.slices[-2]}"
    elif printed.buffering == "None":
        yield "weight_buffer", "none"
