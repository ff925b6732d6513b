"""Configurations worth evaluating before a search: what Vela's two cores would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.ethos_u.cascades import CascadePlanner
from npu_tune.targets.ethos_u.cpp_core import CppCore
from npu_tune.targets.ethos_u.planner import Frame, plan_choices
from npu_tune.targets.ethos_u.translation import translate
from npu_tune.targets.problem import Start

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices

FramesOf = Callable[[Configuration], tuple[Frame, ...] | None]
"""Finds the cascades of a configuration and what feature maps take in them; None where it cannot
be compiled."""

ROOM = (0.0, 0.04, 0.08, 0.16, 0.32, 1.0)
"""Room for weight buffers in a plan, relative to the peak of the feature maps."""


def python_core_starts(
    space: SearchSpace,
    operators: Sequence[OperatorChoices],
    frames_of: FramesOf,
    cpp_core: CppCore,
) -> Iterator[Start]:
    """The vendor's front, planned cascades, the C++ core's front and plans upon the vendor's.

    Each is found when it is asked for. A configuration that several come to is given once.

    Args:
        space: of the network.
        operators: its operators.
        frames_of: the cascades of a configuration and what feature maps take in them.
        cpp_core: the other core on the same network.
    """
    front = (Start("Vela default", space.default), *network_starts(space))
    known: set[Configuration] = set()
    for start in chain(
        front[1:],
        cascaded_starts(space, operators, frames_of),
        cpp_core_starts(space, operators, cpp_core),
        starts_upon(front, operators, frames_of),
    ):
        if start.configuration not in known:
            known.add(start.configuration)
            yield start


def cascaded_starts(
    space: SearchSpace,
    operators: Sequence[OperatorChoices],
    frames_of: FramesOf,
) -> Iterator[Start]:
    """Planned cascades, with plans upon each."""
    for linear, words in linear_maps(operators).items():
        frames = frames_of(space.configuration(uncascaded(operators, linear)))
        if frames is None:
            continue
        planner = CascadePlanner(operators, frames, linear)
        for number, changes in enumerate(planner.plans()):
            cascades = Start(f"{words}cascades {number}", space.configuration(changes))
            if (cascaded := frames_of(cascades.configuration)) is not None:
                yield from planned_starts(cascades, operators, cascaded)


def cpp_core_starts(
    space: SearchSpace, operators: Sequence[OperatorChoices], cpp_core: CppCore
) -> Iterator[Start]:
    """The schedules of the C++ core's front."""
    for point in cpp_core.points():
        found = translate(point.schedule, space, operators)
        label = f"Vela C++ core's schedule, {point.name} ({found.coverage})"
        yield Start(label, found.configuration)


def starts_upon(
    front: Iterable[Start],
    operators: Sequence[OperatorChoices],
    frames_of: FramesOf,
) -> Iterator[Start]:
    """Plans upon each different set of cascades of the vendor's front."""
    known: set[tuple[Frame, ...]] = set()
    for start in front:
        frames = frames_of(start.configuration)
        if frames is not None and frames not in known:
            known.add(frames)
            yield from planned_starts(start, operators, frames)


def network_starts(space: SearchSpace) -> tuple[Start, ...]:
    """The vendor's own front: Size, and Performance at each arena limit."""
    limits = [v for v in space.by_name["network/arena_limit"].values if isinstance(v, int)]
    starts = [Start("Vela Size", space.configuration({"network/strategy": "Size"}))]
    starts += [
        Start(f"Vela arena {limit}", space.configuration({"network/arena_limit": limit}))
        for limit in limits
    ]
    return tuple(starts)


def linear_maps(operators: Sequence[OperatorChoices]) -> dict[frozenset[str], str]:
    """Sets of operators whose OFMs are NHWC between cascades, with words for each.

    NHWC needs no memory for channels that fill up bricks, and elementwise operators no cycles for
    them; other operators take longer to read and write it.
    """
    offered = [operator for operator in operators if "NHWC" in operator.formats]
    found: dict[frozenset[str], str] = {}
    for words, chosen in (
        ("NHWC at elementwise, ", [o for o in offered if o.elementwise]),
        ("", ()),
        ("NHWC ", offered),
    ):
        found.setdefault(frozenset(operator.name for operator in chosen), words)
    return found


def uncascaded(operators: Sequence[OperatorChoices], linear: frozenset[str]) -> dict[str, Value]:
    """Every operator by itself, with some OFMs as NHWC."""
    split: dict[str, Value] = {f"{o.name}/cascade": "split" for o in operators if o.joins_next}
    return split | {f"{name}/ofm_format": "NHWC" for name in linear}


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
