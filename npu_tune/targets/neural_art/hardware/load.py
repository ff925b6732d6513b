"""Loads hardware descriptions from TOML files: the built-in ones and a user's own."""

from __future__ import annotations

import itertools
import os
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from npu_tune.errors import TargetError
from npu_tune.targets.neural_art.hardware.description import (
    Calibration,
    Dimc,
    Energy,
    Hardware,
    MemoryPool,
    PoolKind,
    Units,
)
from npu_tune.targets.neural_art.hardware.parameters import HardwareParameters, values_of
from npu_tune.validation import known_remedy, parse_toml, read_toml, validated

_DATA = files("npu_tune.targets.neural_art.hardware") / "data"
_SUFFIX = ".toml"
_WHOLE = "hardware file"
_BASED_ON = "based_on"
_ADDRESSES = 2**32
_ORDER = (PoolKind.NPU, PoolKind.CPU, PoolKind.EXTERNAL, PoolKind.FLASH)


@cache
def hardware_names() -> tuple[str, ...]:
    """Names of the built-in descriptions, sorted."""
    names = (entry.name for entry in _DATA.iterdir())
    return tuple(sorted(n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX)))


def load_hardware(name_or_path: str | os.PathLike[str]) -> Hardware:
    """Loads a built-in description by name, or one from a TOML file.

    Text that ends in ``.toml`` or holds a path separator is a file; any other is a name.

    Raises:
        TargetError: if there is no such description, or a parameter is missing, unknown or out of
            range; names the file and the key.
    """
    text = os.fspath(name_or_path)
    if text.endswith(_SUFFIX) or os.sep in text:
        document = read_toml(Path(text), whole=_WHOLE, kind=TargetError)
        return _parse_document(document, source=text)
    if text not in hardware_names():
        raise TargetError(
            f"There is no hardware description {text!r}.",
            remedy=f"{known_remedy(text, hardware_names())} A file of your own ends in {_SUFFIX}.",
            hardware=text,
        )
    return _built_in(text)


@cache
def _built_in(name: str) -> Hardware:
    return parse_hardware(_text(name), source=name)


def parse_hardware(text: str, *, source: str) -> Hardware:
    """Parses a description from the text of a TOML file.

    The key ``based_on`` names a built-in description, which gives all parameters that the file
    leaves out.

    Args:
        text: the file's content.
        source: name of the file in errors.

    Raises:
        TargetError: if a parameter is missing, unknown or out of range; names the source and the
            key.
    """
    document = parse_toml(text, source=source, whole=_WHOLE, kind=TargetError)
    return _parse_document(document, source=source)


def _parse_document(document: dict[str, Any], *, source: str) -> Hardware:
    parameters = validated(
        HardwareParameters,
        _complete_document(document, source),
        source=source,
        whole=_WHOLE,
        kind=TargetError,
    )
    hardware = _build_hardware(parameters)
    require_valid_pools(hardware.pools, source=source)
    return hardware


def require_valid_pools(pools: Iterable[MemoryPool], *, source: str) -> None:
    """Checks that memory pools can exist side by side and suffice for a network.

    Raises:
        TargetError: if there is not exactly one flash, no RAM on the chip, or pools overlap or
            exceed 32-bit addresses.
    """
    pools = tuple(pools)
    flashes = [pool.name for pool in pools if pool.kind is PoolKind.FLASH]
    if len(flashes) != 1:
        raise TargetError(
            f"{source}: the key 'pools' has {len(flashes) or 'no'} pools of kind 'flash'.",
            remedy="Exactly one is needed, for the weights.",
            key="pools",
            flashes=flashes,
        )
    if not any(pool.kind in (PoolKind.NPU, PoolKind.CPU) for pool in pools):
        raise TargetError(
            f"{source}: the key 'pools' has no pool of kind 'npu' or 'cpu', so no RAM on the chip.",
            remedy="Add one.",
            key="pools",
        )
    for pool in pools:
        if pool.end > _ADDRESSES:
            raise TargetError(
                f"{source}: the pool {pool.name!r} ends at {pool.end:#x}, beyond what 32 bits address.",
                remedy=f"Change 'pools.{pool.name}.base' or 'pools.{pool.name}.size_bytes'.",
                key=f"pools.{pool.name}.size_bytes",
            )
    for first, second in itertools.pairwise(sorted(pools, key=lambda pool: pool.base)):
        if second.base < first.end:
            raise TargetError(
                f"{source}: the pools {first.name!r} (to {first.end:#x}) and {second.name!r} "
                f"(from {second.base:#x}) overlap.",
                remedy=f"Change 'pools.{second.name}.base' or 'pools.{first.name}.size_bytes'.",
                key=f"pools.{second.name}.base",
            )


def _complete_document(document: dict[str, Any], source: str) -> dict[str, Any]:
    if _BASED_ON not in document:
        return document
    own = {key: value for key, value in document.items() if key != _BASED_ON}
    base = document[_BASED_ON]
    if base not in hardware_names():
        raise TargetError(
            f"{source}: the key {_BASED_ON!r} is {base!r}, which is no built-in description.",
            remedy=known_remedy(str(base), hardware_names()),
            key=_BASED_ON,
        )
    return _merge_tables(_complete_document(tomllib.loads(_text(base)), base), own)


def _merge_tables(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Overrides one document by another, table by table."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge_tables(base[key], value) if both else value
    return merged


def _text(name: str) -> str:
    return (_DATA / f"{name}{_SUFFIX}").read_text(encoding="utf-8")


def _build_hardware(parameters: HardwareParameters) -> Hardware:
    pools = [MemoryPool(name=name, **values_of(pool)) for name, pool in parameters.pools.items()]
    plain: dict[str, Any] = dict(values_of(parameters))
    return Hardware(
        **plain
        | {
            "units": Units(**values_of(parameters.units)),
            # The order of the file is the order of preference on the chip, whatever the kind.
            "pools": tuple(sorted(pools, key=lambda pool: max(_ORDER.index(pool.kind), 1))),
            "energy": Energy(**values_of(parameters.energy)),
            "calibration": Calibration(**values_of(parameters.calibration)),
            "dimc": Dimc(**values_of(parameters.dimc)) if parameters.dimc is not None else None,
        }
    )
