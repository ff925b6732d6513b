"""What lies in SRAM and DRAM while a compiled network runs, where Vela's allocator placed it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from ethosu.vela import tensor_allocation
from ethosu.vela.tensor import MemArea, MemType

from npu_tune.network import printable_names
from npu_tune.targets.ethos_u.compiler.metrics import NOT_OPERATORS
from npu_tune.targets.memory import MemoryBuffer, MemoryTimeline

_ARENAS = {MemType.Scratch, MemType.Scratch_fast}


@dataclass(slots=True)
class Allocations:
    """What Vela's allocator did in one compilation.

    Attributes:
        ranges: the live ranges of each memory that feature maps and buffers are in.
        host_steps: Vela's time of each operator on the CPU, with its name.
    """

    ranges: list[tuple[MemArea, list[Any]]] = field(default_factory=list)
    host_steps: list[tuple[int, str]] = field(default_factory=list)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Listens to Vela's allocator."""
        original = tensor_allocation.allocate

        def recorded(
            subgraph: Any, arch: Any, area: Any, kinds: Any, *rest: Any, **more: Any
        ) -> Any:
            found = original(subgraph, arch, area, kinds, *rest, **more)
            if kinds <= _ARENAS:
                self.ranges.append((area, found[0].lrs))
                self.host_steps = [*_host_steps(subgraph)]
            return found

        with patch.object(tensor_allocation, "allocate", recorded):
            yield


def _host_steps(root: Any) -> Iterator[tuple[int, str]]:
    """The operators on the CPU, which Vela gives other times when it places constants later."""
    for step in root.cascaded_passes:
        for operator in step.passes[0].ops[:1]:
            if operator.type not in NOT_OPERATORS:
                yield step.time, operator.name


def memory_timeline(
    allocations: Allocations,
    subgraphs: Sequence[Any],
    names: Sequence[str],
    capacities: Mapping[str, int],
) -> MemoryTimeline:
    """The buffers of a compiled network over its operators.

    The operators of a cascade take turns, so that what one of them needs is there while any of
    them runs. What Vela fuses, a map and the one that is written in its place, is one buffer.

    Args:
        allocations: of the compilation.
        subgraphs: those on the NPU, compiled.
        names: of all their operators, in execution order.
        capacities: bytes by pool, where the pool has a size.
    """
    owners = _Owners(subgraphs, names)
    ranges = [(area, each) for area, found in allocations.ranges for each in found]
    host = printable_names(name for _, name in allocations.host_steps)
    on_cpu = [
        (time, f"{name} (CPU)")
        for (time, _), name in zip(allocations.host_steps, host, strict=True)
    ]
    steps = _Steps([*owners.times, *on_cpu], [each for _, each in ranges])
    labels = iter(printable_names(t.name for _, each in ranges for t in each.tensors))
    buffers = []
    for area, each in ranges:
        tensors = [next(labels) for _ in each.tensors]
        name, layer = owners.describe(each, tensors)
        first, last = steps.of(each)
        buffers.append(
            MemoryBuffer(
                name,
                layer,
                area.display_name(),
                int(each.tensors[0].address),
                int(each.size),
                first,
                last,
            )
        )
    buffers.sort(key=lambda b: (b.first, b.last, b.address))
    return MemoryTimeline(steps.names, tuple(buffers), capacities)


class _Owners:
    """Which operator writes, or needs, what lies in memory.

    Attributes:
        times: Vela's time of each operator, with its name.
    """

    def __init__(self, subgraphs: Sequence[Any], names: Sequence[str]) -> None:
        self.times: list[tuple[int, str]] = []
        self._writers: dict[Any, str] = {}
        self._rolling: set[Any] = set()
        self._weights: dict[Any, tuple[str, str]] = {}
        left = iter(names)
        for subgraph in subgraphs:
            for op in subgraph.sched_ops:
                self._add(op, subgraph.schedule, next(left))

    def _add(self, op: Any, schedule: Any, name: str) -> None:
        cost = schedule.cost_map[op]
        self.times.append((cost.time_index, name))
        for tensor in op.parent_ps.outputs:
            self._writers.setdefault(tensor.equivalence_id, name)
        cascade = schedule.cascades.get(cost.cascade)
        if cascade is not None and op in cascade.buffers:
            self._rolling.add(op.parent_ps.ifm_tensor.equivalence_id)
        count = len(cost.buffered_weight_tensors)
        for turn, tensor in enumerate(cost.buffered_weight_tensors, start=1):
            label = f"weights of {name}" + (f" ({turn} of {count})" if count > 1 else "")
            self._weights[tensor.equivalence_id] = (label, name)

    def describe(self, live: Any, labels: Sequence[str]) -> tuple[str, str]:
        """The name of what lies there, and the layer that writes it first."""
        key = live.tensors[0].equivalence_id
        if key in self._weights:
            return self._weights[key]
        name = labels[0]
        if len(labels) > 1:
            between = "... " if len(labels) > 2 else ""
            name = f"{labels[0]}, {between}{labels[-1]} in its place"
        elif key in self._rolling:
            name = f"{name} (rolling)"
        return name, self._writers.get(key, "")


class _Steps:
    """Vela's time in steps: one for each operator, and one more for its end where that differs.

    Vela gives a cascade, or an operator alone, two moments. Weights that are in slices give up one
    buffer in the second, and the weights of the next operator may be fetched in it.

    Attributes:
        names: of the steps.
    """

    def __init__(self, operators: Sequence[tuple[int, str]], ranges: Sequence[Any]) -> None:
        starts = {each.start_time for each in ranges}
        ends = {each.end_time for each in ranges}
        groups: dict[int, list[str]] = {}
        for time, name in sorted(operators, key=lambda each: each[0]):
            groups.setdefault(time, []).append(name)
        moments: list[tuple[int, str]] = []
        for time, names in groups.items():
            moments += [(time, name) for name in names]
            if time in ends or time + 1 in starts:
                moments.append((time + 1, f"{names[-1]} (end)"))
        self._times = [time for time, _ in moments]
        self.names = tuple(name for _, name in moments)

    def of(self, live: Any) -> tuple[int, int]:
        """The first and the last step in which something is in use."""
        final = len(self._times) - 1
        first = min(bisect_left(self._times, live.start_time), final)
        return first, max(first, bisect_right(self._times, live.end_time) - 1)
