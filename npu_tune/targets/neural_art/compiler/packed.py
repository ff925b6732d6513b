"""Memory whose addresses are planned before anything runs, for the placement ``by_size``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from npu_tune.targets.neural_art.compiler.epoch import Epoch
from npu_tune.targets.neural_art.compiler.layout import Resident
from npu_tune.targets.neural_art.compiler.packing import MemoryRequest, addresses
from npu_tune.targets.neural_art.compiler.placement import FIRST_FIT, Live, Memory
from npu_tune.targets.neural_art.graph import OperationGraph
from npu_tune.targets.neural_art.hardware import Hardware, PoolKind


def planned_memory(
    graph: OperationGraph,
    hardware: Hardware,
    epochs: Sequence[Epoch],
    residents: Sequence[Resident],
    *,
    external: bool,
) -> Memory | None:
    """Memory for these epochs alone, which returns planned addresses in the order of placing.

    Args:
        graph: that is compiled.
        hardware: gives the pools.
        epochs: in execution order.
        residents: weights that are in RAM for good.
        external: whether RAM outside the chip may be used.

    Returns:
        None if RAM on the chip does not suffice.
    """
    planned = addresses(hardware, list(_requests(graph, epochs, residents)))
    return None if planned is None else _PlannedMemory(hardware, planned, external=external)


def _requests(
    graph: OperationGraph, epochs: Sequence[Epoch], residents: Sequence[Resident]
) -> Iterator[MemoryRequest]:
    """The blocks that a layout places, in the same order."""
    end = len(epochs) - 1
    at = {p: i for i, e in enumerate(epochs) for p in range(e.first, e.last + 1)}

    def last(name: str) -> int:
        return end if name in graph.outputs else max(at[p] for p in graph.readers[name])

    for name in graph.inputs:
        yield MemoryRequest(graph.maps[name].size_bytes, 0, last(name))
    for resident in residents:
        if resident.pool != PoolKind.EXTERNAL:
            yield MemoryRequest(resident.size, 0, end)
    for index, epoch in enumerate(epochs):
        span = epoch.span
        if epoch.total.buffer:
            yield MemoryRequest(epoch.total.buffer, max(index - 1, 0), index)
        # Rows and sums that are there at different times of a segment are not told apart.
        for size in _rows(epoch):
            yield MemoryRequest(size, index, index)
        for name, size in ((span.output, span.output_bytes), *span.further):
            yield MemoryRequest(size, index, last(name))
        for size in _sums(epoch):
            yield MemoryRequest(size, index, index)


def _rows(epoch: Epoch) -> tuple[int, ...]:
    return () if epoch.segment is None else tuple(rows.size_bytes for rows in epoch.segment.rows)


def _sums(epoch: Epoch) -> tuple[int, ...]:
    return tuple(size for member in epoch.members for size in sorted(member.total.workspace))


class _PlannedMemory(Memory):
    """Returns addresses that were planned before, in order."""

    def __init__(self, hardware: Hardware, addresses: Sequence[int], *, external: bool) -> None:
        super().__init__(hardware, virtual_pools=True, policy=FIRST_FIT, external=external)
        self._next = iter(addresses)

    def place(self, live: Live, size: int, *, prefer: str = "auto", reads: Any = ()) -> int | None:  # noqa: ARG002 - planned before
        return next(self._next)

    def place_weights(self, live: Live, size: int, kind: str) -> int | None:
        if kind == PoolKind.EXTERNAL:
            return super().place_weights(live, size, kind)
        return next(self._next)
