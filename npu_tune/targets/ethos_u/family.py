"""The Ethos-U targets by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from configparser import ConfigParser, Error
from importlib.util import find_spec
from pathlib import Path

from npu_tune.errors import MissingExtraError, TargetError
from npu_tune.targets.base import Target, TargetOptions
from npu_tune.validation import known_remedy

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

OPTIONS: Mapping[str, str] = {
    "system_config": "a System_Config section of the ini file",
    "memory_mode": "a Memory_Mode section of the ini file",
    "config": "path of a Vela ini file; Vela's own where absent; a name that is not in it is "
    "answered with those that are",
    "allow_cpu": "true to accept operators that stay on the CPU, whose time Vela does not count",
}

SECTIONS: Mapping[str, str] = {"system_config": "System_Config", "memory_mode": "Memory_Mode"}
"""The kind of section that an option names."""


class EthosUFamily:
    """Arm Ethos-U55, U65 and U85 through Vela."""

    def names(self) -> tuple[str, ...]:
        """Accelerators as Vela spells them."""
        return tuple(ACCELERATORS)

    def describe(self, name: str) -> str:
        """One line on one accelerator."""
        system, memory = DEFAULTS[name.rpartition("-")[0]]
        return f"Arm {name}, {ACCELERATORS[name]}; by default {system} with {memory}"

    def options(self) -> Mapping[str, str]:
        """The options and what each takes, with the sections of Vela's own ini file."""
        try:
            ini = vendor_ini()
        except MissingExtraError:
            return OPTIONS
        text = _read(ini)
        named = {
            option: f"{OPTIONS[option]}; Vela's own has {', '.join(_sections(text, ini, kind))}"
            for option, kind in SECTIONS.items()
        }
        return {**OPTIONS, **named}

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target.

        Raises:
            TargetError: for an unknown name, option, system config or memory mode.
            MissingExtraError: where Vela is not installed.
        """
        from npu_tune.targets.ethos_u.target import EthosUTarget  # noqa: PLC0415

        for option in options:
            if option not in OPTIONS:
                raise TargetError(
                    f"The target {name!r} has no option {option!r}.",
                    remedy=known_remedy(option, OPTIONS),
                    option=option,
                )
        ini = Path(str(options.get("config") or vendor_ini()))
        text = _read(ini)
        defaults = dict(zip(SECTIONS, DEFAULTS[name.rpartition("-")[0]], strict=True))
        named = {
            option: _section(text, ini, kind, str(options.get(option, defaults[option])))
            for option, kind in SECTIONS.items()
        }
        allow_cpu = options.get("allow_cpu", False)
        if not isinstance(allow_cpu, bool):
            raise TargetError(
                f"The option allow_cpu is {allow_cpu!r}.", remedy="It takes true or false."
            )
        return EthosUTarget(
            accelerator=name,
            **named,
            ini=str(ini.resolve()),
            ini_sha256=hashlib.sha256(text.encode()).hexdigest(),
            allow_cpu=allow_cpu,
        )


def vendor_ini() -> Path:
    """Vela's own ini file; found without importing Vela.

    Raises:
        MissingExtraError: where Vela is not installed.
    """
    spec = find_spec("ethosu")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "config_files" / "Arm" / "vela.ini"
        if path.is_file():
            return path
    raise MissingExtraError(
        "Arm's compiler Vela is not installed.", remedy="Install npu-tune[ethos-u]."
    )


def _read(ini: Path) -> str:
    if ini.suffix != ".ini":
        raise TargetError(
            f"Vela takes no ini file without the suffix .ini, such as {ini}.",
            remedy="Rename it.",
        )
    try:
        return ini.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(
            f"The Vela ini file {ini} cannot be read: {error}.",
            remedy="Give the path of a readable file as the option config.",
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


def _section(text: str, ini: Path, kind: str, name: str) -> str:
    known = _sections(text, ini, kind)
    if name not in known:
        words = kind.replace("_", " ").lower()
        raise TargetError(
            f"There is no {words} {name!r} in {ini.name}.",
            remedy=known_remedy(name, known),
            name=name,
        )
    return name
