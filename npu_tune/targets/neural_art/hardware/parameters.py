"""The tables of a hardware file: their keys, with the type and range of each parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from npu_tune.quantities import parse_size
from npu_tune.targets.neural_art.hardware.description import PoolKind
from npu_tune.validation import Table

WEIGHT_BITS = (16, 8, 4)
"""Widths a description may list; 8 is required, because networks are int8."""

POOL_NAME = r"[A-Za-z][A-Za-z0-9_]*"
"""Pool names become part of knob names, in which points and slashes separate."""


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    size = parse_size(value)
    if size != int(size):
        raise ValueError("it takes whole bytes")
    return int(size)


def _weight_bits(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(value)) < len(value):
        raise ValueError("a width is named twice")
    if 8 not in value or not set(value) <= set(WEIGHT_BITS):
        raise ValueError("it takes 8 and, where the hardware has them, 4 and 16")
    return value


def _kind(value: object) -> object:
    kinds = [kind.value for kind in PoolKind]
    if value not in kinds:
        raise ValueError(f"it takes one of {', '.join(kinds)}")
    return PoolKind(value)


Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Clock = Annotated[float, Field(ge=0.001, le=100_000)]
"""From 1 kHz to 100 GHz."""
Scale = Annotated[float, Field(gt=0, le=1024)]
Accelerators = Annotated[int, Field(ge=1, le=64)]
AtLeastOne = Annotated[int, Field(ge=1)]
Engines = Annotated[int, Field(ge=2)]
"""An epoch needs one stream to read and one to write."""
Count = Annotated[int, Field(ge=0)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=1)]
BytesOrNone = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
Address = Annotated[int, Field(ge=0, lt=2**32)]
Width = Annotated[int, Field(ge=1, le=64)]
WeightBits = Annotated[tuple[int, ...], Field(strict=False), AfterValidator(_weight_bits)]


class UnitParameters(Table):
    """``[units]``."""

    accelerators: Accelerators
    macs_per_cycle: AtLeastOne
    kernel_buffer_bytes: Bytes
    feature_buffer_bytes: Bytes
    stream_engines: Engines
    pools: AtLeastOne
    activations: AtLeastOne
    arithmetics: AtLeastOne
    decompressors: Count
    line_buffer_bytes: BytesOrNone


class PoolParameters(Table):
    """``[pools.NAME]``."""

    kind: Annotated[PoolKind, BeforeValidator(_kind)]
    base: Address
    size_bytes: Bytes
    width_bytes: Width
    clock_ratio: Positive
    read_power: NotNegative
    write_power: NotNegative


class EnergyParameters(Table):
    """``[energy]``."""

    mac: NotNegative
    element: NotNegative
    cpu_cycle: NotNegative
    idle_cycle: NotNegative


class CalibrationParameters(Table):
    """``[calibration]``."""

    flash_cycles_per_byte: Positive
    epoch_cycles: NotNegative
    software_epoch_cycles: NotNegative
    compute_factor: Positive


class DimcParameters(Table):
    """``[dimc]``."""

    tiles: AtLeastOne
    rows: AtLeastOne
    columns: AtLeastOne
    cycles_per_pass: AtLeastOne
    load_bytes_per_cycle: Positive
    mac_power: NotNegative


class HardwareParameters(Table):
    """A whole hardware file."""

    name: Text
    description: Text
    clock_mhz: Clock
    cpu_clock_mhz: Clock
    cpu_cycles_per_element: NotNegative
    weight_bits: WeightBits
    units: UnitParameters
    pools: dict[Annotated[str, Field(pattern=rf"^{POOL_NAME}$")], PoolParameters]
    energy: EnergyParameters
    calibration: CalibrationParameters
    dimc: DimcParameters | None = None


def values_of(table: Table) -> Mapping[str, Any]:
    """The values of a table by key, as arguments of the dataclass with the same names."""
    return {name: getattr(table, name) for name in type(table).model_fields}
