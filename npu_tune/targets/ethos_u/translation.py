"""The C++ core's schedules in the words of the Python core's search space.

The two cores break a network up differently; operators are matched in order by the number of
elements of their OFMs. The C++ core runs an elementwise operator on whatever shape of as many
elements fills its blocks best, which takes feature maps without bricks: where it does so, the maps
that elementwise operators read and write are NHWC here. What this search space does not offer is
dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.ethos_u.knobs import block_text
from npu_tune.targets.ethos_u.printed import PrintedOperator

if TYPE_CHECKING:
    from npu_tune.targets.ethos_u.compiler.operators import OperatorChoices

_TRAVERSALS = {"PartKernel": "part-kernel-first", "DepthFirst": "depth-first"}


@dataclass(frozen=True, slots=True)
class Translation:
    """A schedule of the C++ core as a configuration.

    Args:
        configuration: of the Python core's search space.
        matched: operators of the Python core that were found in the schedule.
        operators: all operators of the Python core.
    """

    configuration: Configuration
    matched: int
    operators: int

    @property
    def coverage(self) -> str:
        """How much of the network was found in the schedule."""
        return f"{self.matched} of {self.operators} operators"


def translate(
    printed: Sequence[PrintedOperator],
    space: SearchSpace,
    operators: Sequence[OperatorChoices],
) -> Translation:
    """Says a schedule of the C++ core in the words of a search space.

    Args:
        printed: the schedule.
        space: of the network.
        operators: of the same network, as the Python core has them.
    """
    matcher = SequenceMatcher(
        None,
        [p.elements for p in printed],
        [math.prod(o.shape) for o in operators],
        autojunk=False,
    )
    pairs = [
        (printed[start + offset], operators[position + offset], offset + 1 < size)
        for start, position, size in matcher.get_matching_blocks()
        for offset in range(size)
    ]
    folded = any(source.shape != own.shape for source, own, _ in pairs if own.elementwise)
    changes: dict[str, Value] = {}
    for index, (source, own, goes_on) in enumerate(pairs):
        following = pairs[index + 1][0] if goes_on else None
        for knob, value in _choices(source, own, following, folded=folded):
            name = f"{own.name}/{knob}"
            if name in space.by_name and value in space.by_name[name].values:
                changes[name] = value
    return Translation(space.configuration(changes), len(pairs), len(operators))


def _choices(
    printed: PrintedOperator,
    own: OperatorChoices,
    following: PrintedOperator | None,
    *,
    folded: bool,
) -> Iterator[tuple[str, Value]]:
    if folded and own.elementwise:
        yield "ofm_format", "NHWC"
    if printed.shape != own.shape:
        return
    if printed.block is not None:
        yield "ofm_block", block_text(printed.block)
    if printed.traversal in _TRAVERSALS:
        yield "traversal", _TRAVERSALS[printed.traversal]
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
