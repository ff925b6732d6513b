"""What a search space offers, for people and for programs."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from npu_tune.columns import text_columns
from npu_tune.space.knob import Knob, SearchSpace


def format_space(space: SearchSpace, *, most_values: int = 8) -> str:
    """A line per knob under a line per layer; the default stands in brackets.

    Args:
        space: what to list.
        most_values: longer value lists are shortened to about as many.
    """
    lines: list[str] = []
    for layer in space.layers:
        lines.append(layer)
        knobs = [knob for knob in space.knobs if knob.layer == layer]
        width = max(len(knob.name) for knob in knobs)
        lines += [_line(knob, width, most_values) for knob in knobs]
    lines.append(_total(space))
    return "\n".join(lines)


def space_as_dict(space: SearchSpace) -> dict[str, Any]:
    """The same as JSON values: layers in order, each with its knobs, and the size."""
    return {
        "layers": [
            {
                "layer": layer,
                "knobs": [_knob_as_dict(knob) for knob in space.knobs if knob.layer == layer],
            }
            for layer in space.layers
        ],
        "knobs": len(space.knobs),
        "configurations_log10": log10_size(space),
    }


def log10_size(space: SearchSpace) -> float:
    """The decimal logarithm of the number of configurations, legal or not."""
    return math.fsum(math.log10(len(knob.values)) for knob in space.knobs)


def _knob_as_dict(knob: Knob) -> dict[str, Any]:
    return {
        "name": knob.name,
        "values": list(knob.values),
        "default": knob.default,
        "ordered": knob.ordered,
        "description": knob.description,
    }


def _line(knob: Knob, width: int, most_values: int) -> str:
    """A knob, in several lines under each other where there is no room for one."""
    indent = " " * (width + 4)
    return textwrap.fill(
        f"  {knob.name:<{width}}  {_values(knob, most_values)}",
        text_columns(),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _values(knob: Knob, most: int) -> str:
    default = knob.values.index(knob.default)
    last = len(knob.values) - 1
    shown = set(range(len(knob.values)))
    if len(knob.values) > most:
        shown = {*range(most // 2), *range(last - most // 2 + 1, last + 1), default}
    parts: list[str] = []
    for index, value in enumerate(knob.values):
        if index in shown:
            parts.append(f"[{value}]" if index == default else f"{value}")
        elif parts[-1] != "...":
            parts.append("...")
    kind = "ordered" if knob.ordered else "unordered"
    text = f"{' '.join(parts)}  ({len(knob.values)} {kind})"
    return f"{text}  {knob.description}".rstrip()


def _total(space: SearchSpace) -> str:
    exponent = log10_size(space)
    product = math.prod(len(knob.values) for knob in space.knobs)
    size = f"{product:,}" if exponent < 6 else f"about 10^{exponent:.1f}"
    return f"{len(space.knobs)} knobs of {len(space.layers)} layers, {size} configurations"
