"""The system that Vela compiles for, by the names of its ini file."""

from __future__ import annotations

from dataclasses import dataclass


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
