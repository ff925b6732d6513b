"""What a configuration changes against the default, layer by layer and in words."""

from __future__ import annotations

from collections.abc import Mapping

from npu_tune.space import Configuration, Value

LONGEST_TEXT = 240
"""Characters after which a text names no further layer: it stands in a cell of a table, and every
trial keeps it."""


def knob_changes(
    configuration: Configuration, default: Configuration
) -> dict[str, dict[str, tuple[Value | None, Value]]]:
    """By layer and knob, the default's value and the configuration's where they differ."""
    changes: dict[str, dict[str, tuple[Value | None, Value]]] = {}
    for full_name, value in configuration.difference(default).items():
        layer, _, knob = full_name.rpartition("/")
        changes.setdefault(layer, {})[knob] = (default.get(full_name), value)
    return changes


def values_text(changes: Mapping[str, tuple[Value | None, Value]]) -> str:
    """The changes of one layer in one line, such as ``stripes 1 -> 4, weights flash -> ram``."""
    return ", ".join(f"{knob} {before} -> {after}" for knob, (before, after) in changes.items())


def changes_text(
    configuration: Configuration, default: Configuration, *, longest: int = LONGEST_TEXT
) -> str:
    """The same in one line, such as ``conv1: stripes 1 -> 4, weights flash -> ram; conv2: ...``.

    Args:
        configuration: what is described.
        default: what it is held against.
        longest: about how many characters; how many changes there are beyond is said.

    Returns:
        The line; ``none`` where nothing differs.
    """
    changes = knob_changes(configuration, default)
    parts: list[str] = []
    length, left = 0, sum(map(len, changes.values()))
    for layer, knobs in changes.items():
        part = f"{layer}: {values_text(knobs)}"
        if parts and length + len(part) > longest:
            parts.append(f"and {left} more")
            break
        parts.append(part)
        length, left = length + len(part) + 2, left - len(knobs)
    return "; ".join(parts) or "none"
