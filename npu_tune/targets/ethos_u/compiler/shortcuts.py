"""Quicker ways to answers that Vela computes again and again within a process.

Each stands in for one of Vela's functions while a compilation runs and gives the same answer;
that a compilation with them equals one without is tested on whole networks.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache, lru_cache
from itertools import combinations, islice
from operator import attrgetter
from typing import Any
from unittest.mock import patch

from ethosu.vela import (
    architecture_allocator,
    live_range,
    npu_performance,
    scheduler,
    tensor_allocation,
    weight_compressor,
)
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
        self._estimates = Estimates()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts the stand-ins in their places."""
        with (
            patch.object(scheduler, "find_block_config", self._find_block_config),
            patch.object(npu_performance, "measure_cycle_cost", self._estimates.cycle_cost),
            patch.object(
                npu_performance, "measure_element_access", self._estimates.element_access
            ),
            patch.object(tensor_allocation, "verify_allocation", _verify_allocation),
            patch.object(weight_compressor, "encode_bias", _encode_bias),
            patch.object(weight_compressor, "quantise_scale", _quantise_scale),
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
    return _kernel(item) if hasattr(item, "dilation") else item


def _kernel(kernel: Any) -> Any:
    return kernel.width, kernel.height, kernel.stride, kernel.dilation


class Estimates:
    """Vela's estimates of an operator by itself, each made once per question."""

    _cycle_cost = staticmethod(npu_performance.measure_cycle_cost)
    _element_access = staticmethod(npu_performance.measure_element_access)

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def cycle_cost(self, arch: Any, op_type: Any, faf_type: Any, query: Any) -> Any:
        """As ``measure_cycle_cost``."""
        key = (op_type, faf_type, *_question(query))
        if key not in self._known:
            self._known[key] = self._cycle_cost(arch, op_type, faf_type, query)
        return self._known[key]

    def element_access(self, arch: Any, query: Any) -> Any:
        """As ``measure_element_access``."""
        key = _question(query)
        if key not in self._known:
            self._known[key] = self._element_access(arch, query)
        return self._known[key]


def _question(query: Any) -> tuple[Any, ...]:
    """All that a ``PerformanceQuery`` asks."""
    values = vars(query).copy()
    config, kernel = values.pop("config"), values.pop("kernel")
    ifm, ofm = config.ifm_block, config.ofm_block
    return (
        *values.values(),
        *_kernel(kernel),
        (ifm.width, ifm.height, ifm.depth, ofm.width, ofm.height, ofm.depth),
        (config.acc_type, config.is_partkernel),
    )


_quantise_scale = lru_cache(maxsize=1 << 16)(weight_compressor.quantise_scale)
_packed_bias = lru_cache(maxsize=1 << 18)(weight_compressor.encode_bias)


def _encode_bias(bias: Any, scale: int, shift: int) -> Any:
    """Packs a bias with its scale; the channels of a network are packed for each block depth."""
    return _packed_bias(bias, scale, shift)


def _verify_allocation(live_ranges: Any, alignment: int) -> None:
    """Leaves it to Vela to say what is wrong where two live ranges share time and memory."""
    for one, other in combinations(live_ranges.lrs, 2):
        if one.start_time <= other.end_time and other.start_time <= one.end_time:
            here, there = one.tensors[0].address, other.tensors[0].address
            if here < there + other.size and there < here + one.size:
                _verify_with_vela(live_ranges, alignment)
                return
    tensor_allocation.verify_alignment(live_ranges, alignment)


_verify_with_vela = tensor_allocation.verify_allocation


@cache
def _class(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)  # noqa: PYI024


def _named_tuple(name: str, fields: list[str]) -> Any:
    """A class that Vela makes anew in each call of a function, at a fifth of a millisecond."""
    return _class(name, tuple(fields))


def _get_or_create_range(self: Any, tens: Any, alignment: int = Tensor.AllocationQuantum) -> Any:
    """Finds a tensor's live range by its key instead of comparing it with every tensor."""
    own = self.__dict__
    known = own.setdefault("_by_equivalence", {})
    if (seen := own.get("_seen", 0)) < len(self.ranges):  # Vela has fused some since
        for tensor, found in islice(self.ranges.items(), seen, None):
            known.setdefault(tensor.equivalence_id.int, found)
    key = tens.equivalence_id.int
    live = known.get(key)
    if live is None:
        live = LiveRange(tens, alignment)
        known[key] = live
        self.ranges[tens] = live
        self.lrs.append(live)
    else:
        live.set_alignment(alignment)
    own["_seen"] = len(self.ranges)
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
