"""Variants of a hardware description: parameters that a study fixes or explores as knobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

from npu_tune.errors import TargetError
from npu_tune.space import NETWORK_SCOPE, Knob, Value
from npu_tune.targets.neural_art.hardware.change import (
    CLOCKS,
    DIMC,
    POOL,
    RAM_SCALE,
    UNITS,
    change_hardware,
    parameter_value,
)
from npu_tune.targets.neural_art.hardware.description import Hardware
from npu_tune.targets.neural_art.hardware.load import require_valid_pools
from npu_tune.targets.neural_art.hardware.parameters import (
    Accelerators,
    AtLeastOne,
    Bytes,
    BytesOrNone,
    Clock,
    Count,
    Engines,
    Positive,
    Scale,
)
from npu_tune.validation import Table, known_remedy, validated

SOURCE = "[target.hardware]"
"""Name of the overrides in errors."""

_KNOB = "hardware_"

T = TypeVar("T")


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Choices = Annotated[tuple[T, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class _Overrides(Table):
    clock_mhz: Choices[Clock] | None = None
    cpu_clock_mhz: Choices[Clock] | None = None
    accelerators: Choices[Accelerators] | None = None
    macs_per_cycle: Choices[AtLeastOne] | None = None
    kernel_buffer_bytes: Choices[Bytes] | None = None
    feature_buffer_bytes: Choices[Bytes] | None = None
    line_buffer_bytes: Choices[BytesOrNone] | None = None
    stream_engines: Choices[Engines] | None = None
    pool_units: Choices[AtLeastOne] | None = None
    activation_units: Choices[AtLeastOne] | None = None
    arithmetic_units: Choices[AtLeastOne] | None = None
    decompressors: Choices[Count] | None = None
    dimc_tiles: Choices[Count] | None = None
    dimc_rows: Choices[AtLeastOne] | None = None
    dimc_columns: Choices[AtLeastOne] | None = None
    dimc_cycles_per_pass: Choices[AtLeastOne] | None = None
    dimc_load_bytes_per_cycle: Choices[Positive] | None = None
    internal_ram_scale: Choices[Scale] | None = None
    pools: dict[str, Choices[BytesOrNone]] = Field(default_factory=dict)


VARIABLE_PARAMETERS = tuple(_Overrides.model_fields)
"""The keys of ``[target.hardware]``."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A hardware parameter that a study explores.

    Args:
        parameter: its key in ``[target.hardware]``; ``pools.NAME`` for the bytes of a pool.
        values: to explore, in rising order.
        default: the description's own value if it is among them, else the first one given.
    """

    parameter: str
    values: tuple[Value, ...]
    default: Value

    @property
    def knob(self) -> Knob:
        """The parameter as a network-wide knob."""
        name, _, pool = self.parameter.partition(".")
        return Knob(
            NETWORK_SCOPE,
            f"{_KNOB}pool_{pool}_bytes" if pool else _KNOB + name,
            self.values,
            self.default,
            ordered=True,
            description=f"size of {pool} in bytes" if pool else f"{name} of the hardware",
        )


@dataclass(frozen=True)
class HardwareVariants:
    """A hardware description, and its parameters that are explored with the compilation.

    Args:
        base: the description, with the fixed parameters applied.
        variants: the parameters that are knobs.
    """

    base: Hardware
    variants: tuple[Variant, ...] = ()

    @classmethod
    def of(cls, hardware: Hardware, overrides: Mapping[str, Any]) -> HardwareVariants:
        """Makes the variants that a study's ``[target.hardware]`` asks for.

        Args:
            hardware: the description that is varied.
            overrides: per parameter a value, which fixes it, or a list, which makes it a knob.

        Raises:
            TargetError: if a key is unknown or a value out of range; names the key.
        """
        choices = _parse_choices(hardware, overrides)
        fixed = {name: values[0] for name, values in choices.items() if len(values) == 1}
        base = change_hardware(hardware, fixed)
        variants = tuple(
            Variant(name, tuple(sorted(values)), own if own in values else values[0])
            for name, values in choices.items()
            if name not in fixed
            for own in [parameter_value(base, name)]
        )
        for extreme in (min, max):
            ends = {variant.parameter: extreme(variant.values) for variant in variants}
            require_valid_pools(change_hardware(base, ends).pools, source=SOURCE)
        return cls(base, variants)

    def knobs(self) -> tuple[Knob, ...]:
        """One network-wide knob per explored parameter."""
        return tuple(variant.knob for variant in self.variants)

    @property
    def text(self) -> str:
        """Every parameter that is explored, with its values and its default, in a fixed order.

        Part of a target's identity: the base alone does not say what may be chosen.
        """
        return "; ".join(
            f"{variant.parameter} = {json.dumps(variant.values)}, by default "
            f"{json.dumps(variant.default)}"
            for variant in sorted(self.variants, key=lambda variant: variant.parameter)
        )

    def hardware(self, choices: Mapping[str, Value]) -> Hardware:
        """The hardware of a configuration.

        Args:
            choices: values by full knob name, such as ``network/hardware_accelerators``; other
                knobs are ignored, and a missing one has its default.
        """
        if not self.variants:
            return self.base
        return change_hardware(
            self.base,
            {
                variant.parameter: choices.get(variant.knob.full_name, variant.default)
                for variant in self.variants
            },
        )


def _parse_choices(
    hardware: Hardware, overrides: Mapping[str, Any]
) -> dict[str, tuple[Value, ...]]:
    """Validates the overrides; returns the values of every parameter that they name."""
    parsed = validated(
        _Overrides, dict(overrides), source=SOURCE, whole="hardware", kind=TargetError
    )
    named = {name: getattr(parsed, name) for name in (*CLOCKS, *UNITS, *DIMC, RAM_SCALE)}
    choices = {name: values for name, values in named.items() if values is not None}
    choices |= {POOL + name: values for name, values in parsed.pools.items()}
    for name, values in choices.items():
        if len(set(values)) < len(values):
            raise TargetError(
                f"{SOURCE}: the key {name!r} has a value twice: {list(values)}.",
                remedy="Leave it out.",
                key=name,
            )
    _require_existing(hardware, parsed, choices)
    return choices


def _require_existing(
    hardware: Hardware, parsed: _Overrides, choices: Mapping[str, tuple[Value, ...]]
) -> None:
    """Checks that the hardware has the tiles and pools whose parameters are varied."""
    tiles = next((name for name in choices if name in DIMC), None)
    if tiles is not None and hardware.dimc is None:
        raise TargetError(
            f"{SOURCE}: the key {tiles!r} is given, but {hardware.name!r} has no "
            "in-memory-computing tiles.",
            remedy="Take the target neural-art-dimc, or a hardware file with a table [dimc].",
            key=tiles,
        )
    pools = [pool.name for pool in hardware.pools]
    for name in parsed.pools:
        if name not in pools:
            raise TargetError(
                f"{SOURCE}: the key {POOL + name!r} is given, but {hardware.name!r} has no pool "
                f"{name!r}.",
                remedy=known_remedy(name, pools),
                key=POOL + name,
            )
    if parsed.pools and parsed.internal_ram_scale is not None:
        raise TargetError(
            f"{SOURCE}: the keys {RAM_SCALE!r} and 'pools' both say how large pools are.",
            remedy="Give one of them.",
            key=RAM_SCALE,
        )
