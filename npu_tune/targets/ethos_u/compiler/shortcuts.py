"""Quicker ways to answers that Vela computes again and again within a process.

Each stands in for one of Vela's functions while a compilation runs and gives the same answer;
that a compilation with them equals one without is tested on whole networks.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any
from unittest.mock import patch

from ethosu.vela import architecture_allocator, live_range, scheduler
from ethosu.vela.api import NpuDataType
from ethosu.vela.ethos_u55_regs.ethos_u55_regs import cmd0, cmd1
from ethosu.vela.live_range import LiveRange, LiveRangeGraph
from ethosu.vela.operation import Op
from ethosu.vela.register_command_stream_generator import CmdMode, CommandStreamEmitter
from ethosu.vela.tensor import Tensor


class Shortcuts:
    """The stand-ins for one architecture."""

    def __init__(self) -> None:
        self._blocks: dict[Any, Any] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts the stand-ins in their places."""
        with (
            patch.object(scheduler, "find_block_config", self._find_block_config),
            patch.object(scheduler, "namedtuple", _named_tuple),
            patch.object(live_range, "namedtuple", _named_tuple),
            patch.object(LiveRangeGraph, "get_or_create_range", _get_or_create_range),
            patch.object(CommandStreamEmitter, "cmd0_with_param", _cmd0_with_param),
            patch.object(CommandStreamEmitter, "cmd1_with_offset", _cmd1_with_offset),
        ):
            yield

    def _find_block_config(self, arch: Any, *query: Any) -> Any:
        """Vela's exhaustive search for a block, once per question."""
        key = tuple(_hashable(item) for item in query)
        if key not in self._blocks:
            self._blocks[key] = architecture_allocator.find_block_config(arch, *query)
        return self._blocks[key]


def _hashable(item: Any) -> Any:
    if hasattr(item, "dilation"):  # a kernel
        return (item.width, item.height, item.stride, item.dilation)
    return item


@cache
def _class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)  # noqa: PYI024


def _named_tuple(name: str, fields: list[str]) -> Any:
    """A class that Vela makes anew in each call of a function, at a fifth of a millisecond."""
    return _class(name, tuple(fields))


def _get_or_create_range(self: Any, tens: Any, alignment: int = Tensor.AllocationQuantum) -> Any:
    """Finds a tensor's live range by its key instead of comparing it with every tensor."""
    known = self.__dict__.setdefault("_by_equivalence", {})
    if len(known) < len(self.ranges):
        for tensor, found in self.ranges.items():
            known.setdefault(tensor.equivalence_id, found)
    live = known.get(tens.equivalence_id)
    if live is None:
        live = LiveRange(tens, alignment)
        known[tens.equivalence_id] = live
        self.ranges[tens] = live
        self.lrs.append(live)
    else:
        live.set_alignment(alignment)
    return live


for _kind in (Op, NpuDataType, cmd0, cmd1):
    # Python 3.11 looks up an enum member's value in Python code; this does it in C.
    _kind.value = property(attrgetter("_value_"))

_CODES = {cmd: (int(cmd.value), "DMA" in cmd.name) for cmd in (*cmd0, *cmd1)}
"""Code of each command, and whether it goes to the DMA's registers."""

_PAYLOAD = int(CmdMode.Payload32.value)


def _cmd0_with_param(self: Any, cmd: Any, param: Any) -> None:
    """Writes a command unless the register holds its value already."""
    code, dma = _CODES[cmd]
    number = int(param.value if isinstance(param, Enum) else param) & 0xFFFF
    command = code | (number << 16)
    machine = self.reg_machine[dma]
    registers = machine.registers[machine.bank_idx]
    if registers[cmd] != (command, number):
        registers[cmd] = (command, number)
        self.cmd_stream.append((command,))
        self.offset += CommandStreamEmitter.WORD_SIZE


def _cmd1_with_offset(self: Any, cmd: Any, offset: Any, param: Any = 0) -> None:
    """Writes a command with a payload unless the register holds its value already."""
    code, dma = _CODES[cmd]
    payload = int(offset) & 0xFFFFFFFF
    command = code | _PAYLOAD | ((int(param) & 0xFFFF) << 16)
    machine = self.reg_machine[dma]
    registers = machine.registers[machine.bank_idx]
    if registers[cmd] != (command, payload):
        registers[cmd] = (command, payload)
        self.cmd_stream.append((command, payload))
        self.offset += CommandStreamEmitter.WORD_SIZE * 2
