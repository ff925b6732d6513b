"""Configurations worth evaluating before a search: what Vela's two cores would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.ethos_u.cascades import CascadePlanner
from npu_tune.targets.ethos_u.cpp_core import CppCore, PrintedOperator
from npu_tune.targets.ethos_u.knobs import block_text
from npu_tune.targets.ethos_u.planner import Frame, plan_choices
from npu_tune.targets.problem import Start

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices

ROOM = (0.0, 0.04, 0.08, 0.16, 0.32, 1.0)
"""Room for weight buffers in a plan, relative to the peak of the feature maps."""


def python_core_starts(
    space: SearchSpace,
    operators: Sequence[OperatorChoices],
    frames_of: Callable[[Configuration], tuple[Frame, ...]],
    cpp_core: CppCore,
) -> tuple[Start, ...]:
    """The vendor's front, the C++ core's schedule, and plans upon each of the front.

    Args:
        space: of the network.
        operators: its operators.
        frames_of: the cascades of a configuration and what feature maps take in them.
        cpp_core: the other core on the same network.
    """
    front = (Start("Vela default", space.default), *network_starts(space))
    starts = list(front[1:])
    starts.append(Start("Vela C++ core's schedule", from_printed(space, operators, cpp_core)))
    first: dict[tuple[Frame, ...], Start] = {}
    for start in front:
        first.setdefault(frames_of(start.configuration), start)
    for frames, start in first.items():
        starts += planned_starts(start, operators, frames)
    elsewhere = elsewhere_bytes(operators, next(iter(first)))  # the default's
    for linear in (False, True):
        planner = CascadePlanner(operators, elsewhere, linear)
        for number, changes in enumerate(planner.plans()):
            label = f"{'NHWC ' * linear}cascades {number}"
            cascades = Start(label, space.configuration(changes))
            starts += planned_starts(cascades, operators, frames_of(cascades.configuration))
    # A configuration that several plans come to is kept once, with its first label.
    return tuple({start.configuration: start for start in reversed(starts)}.values())[::-1]


def network_starts(space: SearchSpace) -> tuple[Start, ...]:
    """The vendor's own front: Size, and Performance at each arena limit."""
    limits = [v for v in space.by_name["network/arena_limit"].values if isinstance(v, int)]
    starts = [Start("Vela Size", space.configuration({"network/strategy": "Size"}))]
    starts += [
        Start(f"Vela arena {limit}", space.configuration({"network/arena_limit": limit}))
        for limit in limits
    ]
    return tuple(starts)


def elsewhere_bytes(
    operators: Sequence[OperatorChoices], frames: Sequence[Frame]
) -> tuple[float, ...]:
    """Per operator, what feature maps other than its own take while it runs.

    Args:
        operators: in execution order.
        frames: of a schedule without cascades.
    """
    return tuple(
        max(frame.feature_map_bytes - own.ifm_bytes - own.ofm_bytes, 0.0)
        for own, frame in zip((o.geometry for o in operators), frames, strict=True)
    )


def planned_starts(
    start: Start,
    operators: Sequence[OperatorChoices],
    frames: tuple[Frame, ...],
) -> Iterator[Start]:
    """Plans with more and more room for weight buffers beside the feature maps."""
    peak = max(frame.feature_map_bytes for frame in frames)
    before = None
    for room in ROOM:
        changes = plan_choices(operators, frames, peak * (1 + room))
        if changes and changes != before:
            label = f"{start.label}, planned with {room:.0%} for weights"
            yield Start(label, start.configuration.replace(changes))
        before = changes


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
