"""What a compiled TFLite file needs of memory at run time, read from the file itself.

TFLite Micro keeps all tensors that are no constants in one *arena*, a buffer that the firmware
hands it. Vela has given each of them its place, and writes the places as the file's metadata
``OfflineMemoryAllocation``: the number of the format, of subgraphs and of tensors, and an offset for
each tensor, or -1 for one that TFLite Micro places itself (TFLite Micro, ``memory_management.md``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from npu_tune.targets.needs import MemoryNeed

PLAN = b"OfflineMemoryAllocation"
"""Name of the metadata that hold the places."""

ALIGNMENT = 16
"""TFLite Micro rounds sizes in the arena up to so many bytes (``MicroArenaBufferAlignment``)."""

FAST_SCRATCH = 3
"""Position of the fast scratch tensor among the inputs of an ``ethos-u`` operator."""

OF_TFLITE_MICRO = (
    "What TFLite Micro keeps at the arena's other end: tables of tensors and operators.",
    "Buffers that operators ask for: `ethos-u` some bytes per input and output, those on the CPU more.",
    "What both come to depends on its version and build: ask `MicroInterpreter::arena_used_bytes()`.",
)


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    """A tensor that is no constant, and its place.

    Args:
        size_bytes: of the tensor.
        offset: from the beginning of the arena; -1 where TFLite Micro chooses.
        is_variable: True where it keeps its value between inferences.
        is_fast_scratch: True for what the NPU uses of fast storage.
    """

    size_bytes: int
    offset: int
    is_variable: bool
    is_fast_scratch: bool

    @property
    def end(self) -> int:
        """The first offset behind it that something else may have."""
        return self.offset + -(-self.size_bytes // ALIGNMENT) * ALIGNMENT


def memory_needs(model_bytes: bytes, *, memory: str, fast: str | None) -> tuple[MemoryNeed, ...]:
    """The arena of a compiled network, and the fast memory that the NPU has beside it.

    Args:
        model_bytes: content of the compiled TFLite file.
        memory: that feature maps are in, as Vela calls it.
        fast: the memory that is faster than that one and the NPU's own; None where there is none.

    Returns:
        nothing where the file holds no plan.
    """
    tensors = planned_tensors(model_bytes)
    placed = [tensor for tensor in tensors if tensor.offset >= 0]
    if not placed:
        return ()
    open_bytes = sum(t.size_bytes for t in tensors if t.offset < 0 and not t.is_variable)
    kept_bytes = sum(t.size_bytes for t in tensors if t.is_variable)
    left_out = [
        *_some(open_bytes, "of tensors that TFLite Micro places itself"),
        *_some(kept_bytes, "of variables, which keep their values between inferences"),
        *OF_TFLITE_MICRO,
    ]
    counted = (
        "The end of the last tensor that the file's metadata `OfflineMemoryAllocation` give a place: "
        "inputs, outputs and the scratch of the NPU."
    )
    needs = []
    if fast is not None:
        scratch = [tensor for tensor in placed if tensor.is_fast_scratch]
        size = max((tensor.end for tensor in scratch), default=0)
        beside = max((t.end for t in placed if not t.is_fast_scratch), default=0)
        counted += (
            f" The fast scratch of the NPU has a place there too, since TFLite Micro knows of one "
            f"memory only; without it the arena would end at {beside:,} bytes."
        )
        needs.append(
            MemoryNeed(
                "fast memory of the NPU",
                fast,
                size,
                "The tensor of fast scratch, the fourth input of the operator `ethos-u`; the "
                "firmware names this memory when it initialises the driver (`ethosu_init`).",
            )
        )
    arena = MemoryNeed(
        "tensor arena", memory, max(t.end for t in placed), counted, tuple(left_out)
    )
    return (arena, *needs)


def planned_tensors(model_bytes: bytes) -> tuple[PlannedTensor, ...]:
    """The tensors of a compiled file that are no constants; none where it holds no plan."""
    import tflite  # noqa: PLC0415 - heavy, and needed here only

    model = tflite.Model.GetRootAs(model_bytes, 0)
    offsets = _offsets(model)
    if offsets is None:
        return ()
    graphs = [model.Subgraphs(index) for index in range(model.SubgraphsLength())]
    return tuple(
        planned
        for graph, own in zip(graphs, _divided(offsets, graphs), strict=True)
        for planned in _tensors(model, graph, own)
    )


def _offsets(model: Any) -> Any:
    for index in range(model.MetadataLength()):
        metadata = model.Metadata(index)
        if metadata.Name() == PLAN:
            numbers = model.Buffers(metadata.Buffer()).DataAsNumpy().view(np.int32)
            return numbers[3:]
    return None


def _divided(offsets: Any, graphs: list[Any]) -> Iterator[Any]:
    first = 0
    for graph in graphs:
        yield offsets[first : first + graph.TensorsLength()]
        first += graph.TensorsLength()


def _tensors(model: Any, graph: Any, offsets: Any) -> Iterator[PlannedTensor]:
    import tflite  # noqa: PLC0415 - as above

    sizes = _sizes(tflite.TensorType)
    fast = set(_fast_scratch(model, graph))
    for index, offset in enumerate(offsets):
        tensor = graph.Tensors(index)
        size = prod(tensor.ShapeAsNumpy().tolist()) if tensor.ShapeLength() else 1
        size *= sizes.get(tensor.Type(), 1)
        if size and not model.Buffers(tensor.Buffer()).DataLength():
            yield PlannedTensor(size, int(offset), bool(tensor.IsVariable()), index in fast)


def _fast_scratch(model: Any, graph: Any) -> Iterator[int]:
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        if model.OperatorCodes(operator.OpcodeIndex()).CustomCode() == b"ethos-u":
            yield int(operator.Inputs(FAST_SCRATCH))


def _sizes(types: Any) -> dict[int, int]:
    """Bytes of an element by type; those that an Ethos-U and TFLite Micro compute with."""
    return {
        types.FLOAT32: 4,
        types.INT32: 4,
        types.UINT32: 4,
        types.INT64: 8,
        types.INT16: 2,
        types.UINT8: 1,
        types.INT8: 1,
        types.BOOL: 1,
    }


def _some(size: int, what: str) -> list[str]:
    return [f"{size:,} bytes {what}."] if size else []
