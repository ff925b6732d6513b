"""Memory that whoever runs an exported network has to provide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """A stretch of memory that a program on the device sets aside for the network.

    Args:
        name: what it is called where the network runs, such as ``tensor arena``.
        memory: where it lies, such as ``SRAM``.
        size_bytes: as far as it is known.
        counted: what ``size_bytes`` is made of, and where that can be read again.
        left_out: what comes on top and is not known here, a sentence each.
    """

    name: str
    memory: str
    size_bytes: int
    counted: str
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> Mapping[str, Any]:
        """JSON values."""
        return {
            "name": self.name,
            "memory": self.memory,
            "size_bytes": self.size_bytes,
            "counted": self.counted,
            "left_out": list(self.left_out),
        }
