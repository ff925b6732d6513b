"""Reads metrics out of a compiled graph: Vela's own estimate, network-wide and per operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ethosu.vela import npu_performance
from ethosu.vela.nn_graph import PassPlacement
from ethosu.vela.npu_performance import PassCycles
from ethosu.vela.operation import Op
from ethosu.vela.tensor import MemArea

_FLASH = (MemArea.OnChipFlash, MemArea.OffChipFlash)
_OFF_CHIP = (MemArea.Dram, MemArea.OffChipFlash)
NOT_OPERATORS = (Op.Const, Op.Placeholder, Op.CustomNpuOp, Op.SubgraphInput)


def network_metrics(graph: Any, arch: Any, *, has_stream: bool = True) -> dict[str, float]:
    """Metric by name, as Vela's summary states them.

    Without constants and command streams, the bytes of the memory that they are in are left out.

    ``cycles`` is the sum over operators of the largest of NPU, SRAM, DRAM and flash cycles;
    operators on the CPU are not in it. ``full_cycles`` adds the copying of weights inside
    cascades. Bytes are exact; Vela prints KiB.
    """
    cycles = float(graph.cycles[PassCycles.Total])
    used = graph.memory_used
    npu, on_cpu = (len(operators) for operators in placed_operators(graph))
    every = npu + on_cpu
    uncounted = _uncounted_cycles(graph, arch)
    metrics = {
        "cycles": cycles,
        "full_cycles": cycles + uncounted,
        "latency_ms": cycles / arch.core_clock * 1e3,
        "sram_bytes": float(used.get(MemArea.Sram, 0)),
        "flash_bytes": float(sum(used.get(area, 0) for area in _FLASH)),
        "dram_bytes": float(used.get(MemArea.Dram, 0)),
        "traffic_off_chip_bytes": float(sum(np.sum(graph.bandwidths[a]) for a in _OFF_CHIP)),
        "traffic_sram_bytes": float(np.sum(graph.bandwidths[MemArea.Sram])),
        "npu_share": npu / every if every else 0.0,
    }
    if not has_stream:
        del metrics[bytes_name(arch.permanent_storage_mem_area)]
    return metrics


def bytes_name(area: MemArea) -> str:
    """The metric that says how much of a memory is used."""
    return {MemArea.Sram: "sram_bytes", MemArea.Dram: "dram_bytes"}.get(area, "flash_bytes")


def _uncounted_cycles(graph: Any, arch: Any) -> float:
    """Weight transfers inside cascades, which Vela's estimate of an operator leaves out.

    It counts the transfer of an operator whose ``full_weight_transfer_cycles`` is set, and
    ``propose_weight_buffering`` sets that outside cascades only (Vela 5.2.0).
    """
    total = 0.0
    for subgraph in graph.subgraphs:
        for op in subgraph.sched_ops:
            cost = subgraph.schedule.cost_map[op]
            if cost.cascade and cost.buffered_weight_tensors:
                weights = cost.npu_weights_tensor
                total += npu_performance.measure_mem2mem_cycles(
                    arch,
                    weights.mem_area,
                    cost.buffered_weight_tensors[0].mem_area,
                    len(weights.buffer),
                )
    return float(total)


def placed_operators(graph: Any) -> tuple[list[Any], list[Any]]:
    """The operators on the NPU and those on the CPU that Vela's own summary counts."""
    return _operators(graph, PassPlacement.Npu), _operators(graph, PassPlacement.Cpu)


def _operators(graph: Any, placement: PassPlacement) -> list[Any]:
    return [
        op
        for subgraph in graph.subgraphs
        if subgraph.placement == placement
        for op in subgraph.get_all_ops_from_passes()
        if op.type not in NOT_OPERATORS
    ]


class OperatorRows:
    """Records what Vela's estimate says of each operator while it adds them up."""

    def __init__(self) -> None:
        self._cycles: dict[Any, Any] = {}
        self._traffic: dict[Any, Any] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Listens to Vela's estimate."""
        original = npu_performance.estimate_full_op_performance

        def recorded(arch: Any, schedule: Any, op: Any, *rest: Any) -> Any:
            found = original(arch, schedule, op, *rest)
            self._traffic[op], _, self._cycles[op] = found
            return found

        npu_performance.estimate_full_op_performance = recorded
        try:
            yield
        finally:
            npu_performance.estimate_full_op_performance = original

    def row(self, op: Any, schedule: Any) -> dict[str, float]:
        """One operator's row of the profile.

        ``cycles`` is what the operator adds to the total; ``npu_cycles`` is its computation,
        ``sram_cycles`` and ``off_chip_cycles`` are its memory traffic, which overlap with it.
        ``sram_bytes`` is all the SRAM in use while it runs.
        """
        cycles, traffic = self._cycles[op], self._traffic[op]
        cost = schedule.cost_map[op]
        snapshot = schedule.memory_snapshot
        live = snapshot[cost.time_index] if cost.time_index < len(snapshot) else 0
        off_chip = max(cycles[PassCycles.DramAccess], cycles[PassCycles.OffChipFlashAccess])
        return {
            "cycles": float(cycles[PassCycles.Total]),
            "npu_cycles": float(cycles[PassCycles.Npu]),
            "sram_cycles": float(cycles[PassCycles.SramAccess]),
            "off_chip_cycles": float(off_chip),
            "off_chip_bytes": float(sum(np.sum(traffic[area]) for area in _OFF_CHIP)),
            "sram_bytes": float(live),
        }
