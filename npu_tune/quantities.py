"""Sizes, durations and limits as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from npu_tune.errors import UsageError

_BYTES = {
    "b": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "kib": 1024.0,
    "mib": 1024.0**2,
    "gib": 1024.0**3,
}
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_BYTE_NAMES = ("b", "byte", "bytes")
_NUMBER_AND_UNIT = re.compile(
    r"\s*([-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)\s*([a-zµ%]*)\s*"
)
_LIMIT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=|=|<|>)\s*([^\s=].*)")
_SIZE_REMEDY = "Write a number, if need be with B, kB, KiB, MB, MiB, GB or GiB."
_LIMIT_REMEDY = (
    "Write such as `sram_bytes <= 256 KiB`, `latency_ms <= 300 us` or `accuracy >= 0.88`."
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with the unit it was written with.

    Args:
        number: as written.
        unit: in lower case; "" for a number in the metric's own unit.
    """

    number: float
    unit: str = ""

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Reads ``256 KiB``, ``300us``, ``0.88`` or ``90 %``.

        Raises:
            UsageError: if it is not a finite number with a known unit.
        """
        number, unit = _split(text)
        if not math.isfinite(number) or unit not in {"", "%", *_BYTES, *_SECONDS}:
            raise UsageError(f"Cannot read {text!r}.", remedy=_LIMIT_REMEDY, value=text)
        return cls(number, unit)

    def in_unit(self, unit: str, *, metric: str) -> float:
        """The number in a metric's unit.

        Args:
            unit: of the metric, such as ``ms``, ``bytes``, ``cycles`` or "" for a ratio.
            metric: its name, for errors.

        Raises:
            UsageError: if it was written with a unit of something else.
        """
        own = unit.lower()
        if self.unit in ("", own):
            return self.number
        if self.unit == "%" and own == "":
            return self.number / 100.0
        if self.unit in _BYTES and own in (*_BYTE_NAMES, *_BYTES):
            return self.number * _BYTES[self.unit] / _BYTES.get(own, 1.0)
        if self.unit in _SECONDS and own in _SECONDS:
            return self.number * (_SECONDS[self.unit] / _SECONDS[own])
        what = f"counted in {unit}" if unit else "a ratio without a unit"
        raise UsageError(
            f"The limit of {metric!r} is {self}, but {metric!r} is {what}.",
            remedy="Write the number alone, or with a unit of the same kind.",
            value=str(self),
        )

    def __str__(self) -> str:
        return f"{self.number:g} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a metric must keep to.

    Args:
        most: upper bound, or None.
        least: lower bound, or None.
    """

    most: Quantity | None = None
    least: Quantity | None = None

    @classmethod
    def parse(cls, operator: str, text: str) -> Bounds:
        """Reads the right-hand side of a limit.

        Args:
            operator: ``<=`` or ``=`` for an upper bound, ``>=`` for a lower one.
            text: number and unit.

        Raises:
            UsageError: if the operator is another one, or the text no quantity.
        """
        if operator in {"<=", "="}:
            return cls(most=Quantity.parse(text))
        if operator == ">=":
            return cls(least=Quantity.parse(text))
        raise UsageError(
            f"The limit {operator + text!r} uses {operator!r}, but limits include their bound.",
            remedy="Write <= for an upper bound, >= for a lower one.",
            value=operator,
        )

    def joined(self, other: Bounds) -> Bounds:
        """Both bounds of a metric.

        Raises:
            ValueError: if both give the same bound.
        """
        if (self.most and other.most) or (self.least and other.least):
            raise ValueError("a metric has two limits")
        return Bounds(self.most or other.most, self.least or other.least)

    def to_document(self) -> float | str | list[str]:
        """The form in a file: a number alone for an upper bound in the metric's own unit."""
        most, least = self.most, self.least
        if least is None and most is not None and not most.unit:
            return most.number
        texts = [
            f"{operator} {quantity.number!r} {quantity.unit}".rstrip()
            for operator, quantity in (("<=", most), (">=", least))
            if quantity is not None
        ]
        return texts[0] if len(texts) == 1 else texts

    def to_digest(self) -> float | str | list[str]:
        """The form that digests of recorded runs are made of: upper bounds of sizes in bytes."""
        most = self.most
        if self.least is None and most is not None and most.unit in _BYTES:
            return most.number * _BYTES[most.unit]
        return self.to_document()


def parse_size(text: str) -> float:
    """Reads ``256 KiB``, ``1.5 MB`` or a plain number.

    Raises:
        UsageError: if it is not a number with a known unit.
    """
    return _parse(text, {"": 1.0, **_BYTES}, _SIZE_REMEDY)


def parse_duration_s(text: str) -> float:
    """Reads ``90s``, ``15 min``, ``2h``, ``1h30m`` or a plain number of seconds.

    Raises:
        UsageError: if it is not a positive duration.
    """
    remedy = "Write seconds, or such as 90s, 15m, 2h, 1h30m."
    parts = re.findall(r"[^a-zµ]+[a-zµ]*", text.strip().lower()) or [text]
    units = {"": 1.0, **_SECONDS}
    seconds = [_parse(part, units, remedy, whole=text) for part in parts]
    if sum(seconds) <= 0 or min(seconds) < 0:
        raise UsageError(f"The duration {text!r} is not positive.", remedy=remedy, value=text)
    return sum(seconds)


def parse_limit(text: str) -> tuple[str, Bounds]:
    """Reads ``sram_bytes <= 256 KiB``, ``sram_bytes=262144`` or ``accuracy>=0.88``.

    Returns:
        The metric's name and its bounds.

    Raises:
        UsageError: if it is anything else.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no limit.", remedy=_LIMIT_REMEDY, value=text)
    name, operator, bound = match.groups()
    return name, Bounds.parse(operator, bound)


def parse_bounds(texts: str | Iterable[str]) -> Bounds:
    """Reads what stands behind a metric's name in a file: ``<= 256 KiB``, ``>= 0.88``, ``262144``.

    Args:
        texts: one bound, or an upper and a lower one.

    Raises:
        UsageError: if one of them is no bound.
        ValueError: if the same bound is given twice.
    """
    bounds = Bounds()
    for text in (texts,) if isinstance(texts, str) else texts:
        operator = re.match(r"\s*(<=|>=|=|<|>)?", text)
        sign = operator.group(1) if operator else None
        rest = text[operator.end() :] if operator else text
        bounds = bounds.joined(Bounds.parse(sign or "<=", rest))
    return bounds


def _parse(text: str, units: dict[str, float], remedy: str, *, whole: str | None = None) -> float:
    number, unit = _split(text)
    if unit not in units or not math.isfinite(number):
        raise UsageError(f"Cannot read {whole or text!r}.", remedy=remedy, value=whole or text)
    return number * units[unit]


def _split(text: str) -> tuple[float, str]:
    """Number and unit, in lower case; NaN where there is none."""
    match = _NUMBER_AND_UNIT.fullmatch(text.lower())
    return (float(match.group(1).replace("_", "")), match.group(2)) if match else (math.nan, "")
