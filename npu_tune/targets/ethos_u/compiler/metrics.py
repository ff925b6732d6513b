"""Reads metrics out of a compiled graph: Vela's own estimate, network-wide and per operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from ethosu.vela import npu_performance
from ethosu.vela.nn_graph import PassPlacement
from ethosu.vela.npu_performance import PassCycles
from ethosu.vela.operation import Op
from ethosu.vela.tensor import MemArea, TensorSubPurpose

from npu_tune.targets.metrics import ProfileSchema

_FLASH = (MemArea.OnChipFlash, MemArea.OffChipFlash)
_OFF_CHIP = (MemArea.Dram, MemArea.OffChipFlash)
_ON_CHIP_FLASH = "on_chip_flash_cycles"
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


def profile_schema(arch: Any) -> ProfileSchema:
    """What the columns of :meth:`OperatorRows.row` mean on a system."""
    causes = {"compute_cycles": "compute", "fetch_cycles": "weights", "sram_cycles": "SRAM"}
    areas = {arch.permanent_storage_mem_area, arch.feature_map_storage_mem_area}
    if MemArea.OnChipFlash in areas:
        causes[_ON_CHIP_FLASH] = "on-chip flash"
    elif areas & {*_OFF_CHIP}:
        causes["off_chip_cycles"] = "DRAM" if MemArea.Dram in areas else "flash"
    return ProfileSchema(causes=causes)


class OperatorRows:
    """Records what Vela's estimate says of each operator while it adds them up.

    Args:
        schema: of the profile on this system.
    """

    def __init__(self, schema: ProfileSchema) -> None:
        self._has_on_chip_flash = _ON_CHIP_FLASH in schema.causes
        self._cycles: dict[Any, Any] = {}
        self._traffic: dict[Any, Any] = {}
        self._computed: dict[Any, float] = {}
        self._slack: dict[Any, float] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Listens to Vela's estimate."""
        estimate = npu_performance.estimate_full_op_performance
        measure = npu_performance.measure_cycle_cost
        computed = 0.0

        def measured(*query: Any) -> Any:
            nonlocal computed
            found = measure(*query)
            computed = float(found.op_cycles)
            return found

        def estimated(arch: Any, schedule: Any, op: Any, before: Any, *rest: Any) -> Any:
            found = estimate(arch, schedule, op, before, *rest)
            self._traffic[op], _, self._cycles[op] = found
            self._computed[op] = computed
            slack = schedule.cost_map[before].slack_buffering_cycles if before else 0
            self._slack[op] = float(slack)
            return found

        with (
            patch.object(npu_performance, "estimate_full_op_performance", estimated),
            patch.object(npu_performance, "measure_cycle_cost", measured),
        ):
            yield

    def row(self, op: Any, schedule: Any) -> dict[str, float]:
        """One operator's row of the profile.

        ``cycles`` is what the operator adds to the total: the largest of ``npu_cycles``, its
        computation with the copying of weights that is not hidden, and of its memory traffic,
        ``sram_cycles``, ``off_chip_cycles`` and ``on_chip_flash_cycles``, which overlap with it.
        ``npu_cycles`` stand a second time in ``compute_cycles`` or in ``fetch_cycles``, whichever
        of computing and copying takes longer; the other column says what the other one takes.
        ``sram_bytes`` is all the SRAM in use while it runs.
        """
        cycles, traffic = self._cycles[op], self._traffic[op]
        cost = schedule.cost_map[op]
        snapshot = schedule.memory_snapshot
        live = snapshot[cost.time_index] if cost.time_index < len(snapshot) else 0
        off_chip = max(cycles[PassCycles.DramAccess], cycles[PassCycles.OffChipFlashAccess])
        npu = float(cycles[PassCycles.Npu])
        busy, compute = max(npu, 0.0), self._computed[op]
        fetch = self._fetch_cycles(op, cost, npu)
        bound_by_compute = compute >= fetch
        row = {
            "cycles": float(cycles[PassCycles.Total]),
            "npu_cycles": npu,
            "compute_cycles": busy if bound_by_compute else compute,
            "fetch_cycles": fetch if bound_by_compute else busy,
            "sram_cycles": float(cycles[PassCycles.SramAccess]),
            "off_chip_cycles": float(off_chip),
            "off_chip_bytes": float(sum(np.sum(traffic[area]) for area in _OFF_CHIP)),
            "sram_bytes": float(live),
        }
        if self._has_on_chip_flash:
            row[_ON_CHIP_FLASH] = float(cycles[PassCycles.OnChipFlashAccess])
        return row

    def _fetch_cycles(self, op: Any, cost: Any, npu: float) -> float:
        """Of copying weights and tables, what the operator before does not hide.

        Slices that are copied in turn to two buffers arrive beside the computation; anything else
        has arrived before it. Inside a cascade Vela counts no copy, and yet takes off what the
        operator before hides of it, so that ``npu_cycles`` may fall below the computation.
        """
        buffers = cost.buffered_weight_tensors
        if buffers and buffers[0].sub_purpose == TensorSubPurpose.DoubleBuffer:
            return max(float(cost.full_weight_transfer_cycles) - self._slack[op], 0.0)
        return max(npu - self._computed[op], 0.0)
