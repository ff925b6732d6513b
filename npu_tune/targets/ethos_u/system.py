"""The system that Vela compiles for, by the names of its ini file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from npu_tune.errors import MissingExtraError

STOPPED = "Compile the file with `vela` alone to see more of it; the file may be damaged."
"""What a person can do where Vela stops with an error of its own."""


@dataclass(frozen=True, slots=True)
class System:
    """An accelerator in a system.

    Args:
        accelerator: as Vela's ``--accelerator-config``.
        system_config: a section ``System_Config.<name>`` of the ini file.
        memory_mode: a section ``Memory_Mode.<name>`` of the ini file.
        ini: path of the ini file.
    """

    accelerator: str
    system_config: str
    memory_mode: str
    ini: str


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
