"""Sizes, durations and limits as people write them."""

from __future__ import annotations

import math
import re

from npu_tune.errors import UsageError

_SIZES = {
    "": 1.0,
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 1024.0,
    "mib": 1024.0**2,
    "gib": 1024.0**3,
}
_DURATIONS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER_AND_UNIT = re.compile(
    r"\s*([-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)\s*([a-z]*)\s*"
)
_LIMIT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=|=|<|>)\s*(.+)")


def parse_size(text: str) -> float:
    """Reads ``256 KiB``, ``1.5 MB`` or a plain number.

    Raises:
        UsageError: if it is not a number with a known unit.
    """
    return _parse(text, _SIZES, "Write a number, if need be with B, kB, KiB, MB, MiB, GB or GiB.")


def parse_duration_s(text: str) -> float:
    """Reads ``90s``, ``15 min``, ``2h``, ``1h30m`` or a plain number of seconds.

    Raises:
        UsageError: if it is not a positive duration.
    """
    remedy = "Write seconds, or such as 90s, 15m, 2h, 1h30m."
    parts = re.findall(r"[^a-z]+[a-z]*", text.strip().lower()) or [text]
    seconds = [_parse(part, _DURATIONS_S, remedy, whole=text) for part in parts]
    if sum(seconds) <= 0 or min(seconds) < 0:
        raise UsageError(f"The duration {text!r} is not positive.", remedy=remedy, value=text)
    return sum(seconds)


def parse_limit(text: str) -> tuple[str, float]:
    """Reads ``sram_bytes <= 256 KiB`` or ``sram_bytes=262144`` as a metric's upper bound.

    Raises:
        UsageError: if it is anything else.
    """
    remedy = "Write such as `sram_bytes <= 256 KiB`."
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no limit.", remedy=remedy, value=text)
    name, operator, bound = match.groups()
    if operator not in {"<=", "="}:
        raise UsageError(
            f"The limit {text!r} uses {operator!r}, but limits are upper bounds.",
            remedy=remedy,
            value=text,
        )
    return name, parse_size(bound)


def parse_bound(text: str) -> float:
    """Reads the right-hand side of a limit: ``<= 256 KiB``, ``256 KiB`` or ``262144``."""
    stripped = text.strip()
    return parse_limit(f"limit {stripped if stripped[:1] in '<>=' else '<= ' + stripped}")[1]


def _parse(text: str, units: dict[str, float], remedy: str, *, whole: str | None = None) -> float:
    match = _NUMBER_AND_UNIT.fullmatch(text.lower())
    unit = units.get(match.group(2)) if match else None
    number = float(match.group(1).replace("_", "")) if match else math.nan
    if unit is None or not math.isfinite(number):
        raise UsageError(f"Cannot read {whole or text!r}.", remedy=remedy, value=whole or text)
    return number * unit
