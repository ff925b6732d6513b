"""The Ethos-U targets by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from configparser import ConfigParser, Error
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from npu_tune.errors import MissingExtraError, TargetError
from npu_tune.targets.base import TargetOptions
from npu_tune.targets.ethos_u.system import vendor_ini
from npu_tune.targets.ethos_u.target import EthosUTarget
from npu_tune.targets.options import OptionInfo, read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import Table, bounded_text, known_remedy, option_name, sentence

ACCELERATORS: Mapping[str, str] = {
    "ethos-u55-32": "32 MACs per cycle",
    "ethos-u55-64": "64 MACs per cycle",
    "ethos-u55-128": "128 MACs per cycle",
    "ethos-u55-256": "256 MACs per cycle",
    "ethos-u65-256": "256 MACs per cycle",
    "ethos-u65-512": "512 MACs per cycle in two cores",
    "ethos-u85-128": "128 MACs per cycle; network-wide options only",
    "ethos-u85-256": "256 MACs per cycle; network-wide options only",
    "ethos-u85-512": "512 MACs per cycle; network-wide options only",
    "ethos-u85-1024": "1024 MACs per cycle; network-wide options only",
    "ethos-u85-2048": "2048 MACs per cycle; network-wide options only",
}

DEFAULTS: Mapping[str, tuple[str, str]] = {
    "ethos-u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": ("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "ethos-u85": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
"""System config and memory mode that Vela 5.2.0 itself takes where none is named."""

SYSTEM = "System_Config"

SECTIONS: Mapping[str, str] = {"system_config": SYSTEM, "memory_mode": "Memory_Mode"}
"""The kind of section that an option names."""


def _vendor_sections(option: str) -> str:
    try:
        ini = vendor_ini()
    except MissingExtraError:
        return ""
    return f"Vela's own has {', '.join(_sections(_read(ini), ini, SECTIONS[option]))}"


class EthosUOptions(Table):
    """A study's ``[target]`` table without the name."""

    system_config: Annotated[
        str | None, OptionInfo(flag=True, more=partial(_vendor_sections, "system_config"))
    ] = Field(default=None, description="a System_Config section of the ini file")
    memory_mode: Annotated[
        str | None, OptionInfo(flag=True, more=partial(_vendor_sections, "memory_mode"))
    ] = Field(default=None, description="a Memory_Mode section of the ini file")
    config: Annotated[Path | None, Field(strict=False), OptionInfo(flag=True)] = Field(
        default=None,
        description="path of a Vela ini file; Vela's own where absent; a name that is not in it "
        "is answered with those that are",
    )
    allow_cpu: Annotated[bool, OptionInfo(flag=True)] = Field(
        default=False,
        description="true to accept operators that stay on the CPU, whose time Vela does not "
        "count",
    )


class EthosUFamily:
    """Arm Ethos-U55, U65 and U85 through Vela."""

    @property
    def options(self) -> type[EthosUOptions]:
        """System config, memory mode and the file that describes them."""
        return EthosUOptions

    def names(self) -> tuple[str, ...]:
        """Accelerators as Vela spells them."""
        return tuple(ACCELERATORS)

    def describe(self, name: str) -> str:
        """One line on one accelerator."""
        system, memory = _defaults(name)
        return f"Arm {name}, {ACCELERATORS[name]}; by default {system} with {memory}"

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target.

        Raises:
            TargetError: for an unknown name, option, system config or memory mode.
            MissingExtraError: where Vela is not installed.
        """
        if name not in ACCELERATORS:
            raise TargetError(
                f"There is no target {name!r}.", remedy=known_remedy(name, ACCELERATORS)
            )
        read = read_options(EthosUOptions, options, target=name)
        ini = read.config or vendor_ini()
        text = _read(ini)
        named = {
            option: _section(text, ini, option, getattr(read, option) or default)
            for option, default in zip(SECTIONS, _defaults(name), strict=True)
        }
        _require_own(name, named["system_config"], _sections(text, ini, SYSTEM))
        return EthosUTarget(
            accelerator=name,
            **named,
            ini=str(ini.resolve()),
            ini_sha256=hashlib.sha256(text.encode()).hexdigest(),
            allow_cpu=read.allow_cpu,
        )


def _defaults(name: str) -> tuple[str, str]:
    return DEFAULTS[name.rpartition("-")[0]]


def _read(ini: Path) -> str:
    if ini.suffix != ".ini":
        raise TargetError(
            f"Vela takes no ini file without the suffix .ini, such as {ini}.",
            remedy="Rename it.",
        )
    try:
        return bounded_text(ini)
    except (OSError, ValueError) as error:
        raise TargetError(
            f"The Vela ini file {ini} cannot be read: {error}.",
            remedy=f"Give the path of a readable file as {option_name('config')}.",
        ) from error


def _sections(text: str, ini: Path, kind: str) -> list[str]:
    """The names of all sections of a kind, in the order of the file."""
    parser = ConfigParser()
    try:
        parser.read_string(text)
    except Error as error:
        raise TargetError(
            f"{ini} is not a valid ini file: {str(error).splitlines()[0]}.",
            remedy="Vela's own vela.ini shows the form.",
        ) from error
    return [s.removeprefix(f"{kind}.") for s in parser.sections() if s.startswith(f"{kind}.")]


def _require_own(name: str, system: str, known: Iterable[str]) -> None:
    """Refuses a system config whose name says that it is of another accelerator.

    Vela compiles with any of them, and its figures then are those of a chip that does not exist.
    """
    own = _accelerator(name)
    named = _accelerator(system)
    if named is None or named == own:
        return
    fitting = [each for each in known if _accelerator(each) in {own, None}]
    raise TargetError(
        f"{sentence(option_name('system_config'))} is {system!r}, "
        f"which is of an Ethos-U{named}, and {name!r} is an Ethos-U{own}.",
        remedy=known_remedy(system, fitting),
        name=system,
    )


def _accelerator(name: str) -> str | None:
    """The number of the Ethos-U that a name mentions."""
    found = re.search(r"ethos[-_ ]?u(\d+)", name, re.IGNORECASE)
    return found[1] if found else None


def _section(text: str, ini: Path, option: str, name: str) -> str:
    known = _sections(text, ini, SECTIONS[option])
    if name not in known:
        words = option.replace("_", " ")
        raise TargetError(
            f"There is no {words} {name!r} in {ini.name}.",
            remedy=known_remedy(name, known),
            name=name,
        )
    return name
