"""The graph that is compiled: inputs loaded, operations in an order."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind

FILE_ORDER = "file"
MEMORY_ORDER = "memory"

LOAD = "Load"


def with_loads(graph: OperationGraph) -> OperationGraph:
    """The graph with operations that bring input images into the accelerator's element order.

    ST's compiler starts with such an epoch (the reports of MobileNetV2 and MobileNetV1 show it);
    inputs of one channel or one pixel are in that order already.
    """
    loads, maps, renamed = [], dict(graph.maps), {}
    for name in graph.inputs:
        source = graph.maps[name]
        is_state = name in graph.outputs
        if is_state or source.channels == 1 or source.height * source.width == 1:
            continue
        loaded = replace(source, name=_new_name(f"{name}/loaded", maps))
        maps[loaded.name] = loaded
        renamed[name] = loaded.name
        taken = {operation.name for operation in graph.operations}
        loads.append(
            Operation(
                _new_name(f"{name}/load", taken), LOAD, OperationKind.COPY, (name,), loaded.name
            )
        )
    operations = tuple(
        replace(operation, inputs=tuple(renamed.get(name, name) for name in operation.inputs))
        for operation in graph.operations
    )
    return replace(graph, operations=(*loads, *operations), maps=maps)


def in_order(graph: OperationGraph, order: str) -> OperationGraph:
    """The graph with its operations in the file's order, or in one that needs little memory.

    The latter always goes on with the operation that leaves the fewest bytes in use, and where
    several do, with the one that comes first in the file. It looks one operation ahead, so where
    branches differ in length it can need more than the file's order.
    """
    if order == FILE_ORDER:
        return graph
    waiting = list(range(len(graph.operations)))
    written = set(graph.inputs)
    readers = {name: set(positions) for name, positions in graph.readers.items()}
    chosen: list[int] = []
    while waiting:
        ready = [i for i in waiting if written.issuperset(graph.operations[i].inputs)]
        best = min(ready, key=lambda i: (_growth(graph, readers, i), i))
        operation = graph.operations[best]
        for name in operation.inputs:
            readers[name].discard(best)
        written.update(operation.outputs)
        waiting.remove(best)
        chosen.append(best)
    return replace(graph, operations=tuple(graph.operations[i] for i in chosen))


def _growth(graph: OperationGraph, readers: dict[str, set[int]], position: int) -> int:
    """Bytes in use after an operation, against before."""
    operation = graph.operations[position]
    freed = sum(
        graph.maps[name].size_bytes
        for name in set(operation.inputs)
        if readers[name] == {position} and name not in graph.outputs
    )
    return sum(graph.maps[name].size_bytes for name in operation.outputs) - freed


def _new_name(base: str, taken: Container[str]) -> str:
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}#{count}"
    return name
