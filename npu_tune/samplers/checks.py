"""Checks of samplers' arguments and settings."""

from __future__ import annotations

import math
from typing import Any


def check_share(
    name: str, value: float, *, above: float = -math.inf, most: float = math.inf
) -> None:
    """Checks that an argument is a number from 0 on and between bounds.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, (int, float)) or not above < value <= most or not value >= 0:
        bounds = f"above {above:g}" if above >= 0 else "0 or more"
        bounds += f" and at most {most:g}" if most < math.inf else ""
        raise ValueError(f"`{name}` must be a number {bounds}, but it is {value!r}.")


def check_count(name: str, value: int | None, *, least: int = 1) -> None:
    """Checks that an argument is None or an integer of at least ``least``.

    Raises:
        ValueError: if it is not.
    """
    if value is not None and (not isinstance(value, int) or value < least):
        raise ValueError(f"`{name}` must be an integer from {least} on, but it is {value!r}.")


def check_fields(
    settings: Any,
    *,
    shares: tuple[str, ...] = (),
    rates: tuple[str, ...] = (),
    counts: tuple[str, ...] = (),
) -> None:
    """Checks fields of a settings object.

    Args:
        settings: a dataclass.
        shares: names of fields that must be from 0 to 1.
        rates: names of fields that must be above 0 and at most 1.
        counts: names of fields that must be integers from 1 on.

    Raises:
        ValueError: if one of them is out of range.
    """
    for name in shares:
        check_share(name, getattr(settings, name), most=1.0)
    for name in rates:
        check_share(name, getattr(settings, name), above=0.0, most=1.0)
    for name in counts:
        value = getattr(settings, name)
        if value is None:
            raise ValueError(f"`{name}` must be an integer from 1 on, but it is None.")
        check_count(name, value)
