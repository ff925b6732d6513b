"""Where feature maps may be, in which format, and how long they are in use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ethosu.vela.nn_graph import PassPlacement
from ethosu.vela.numeric_util import round_up
from ethosu.vela.operation import Op
from ethosu.vela.tensor import (
    MemArea,
    MemType,
    TensorFormat,
    TensorPurpose,
    shape_round_to_quantum,
)

from npu_tune.targets.ethos_u.bound import MapLife, OperatorMaps
from npu_tune.targets.ethos_u.compiler.fitting import can_stripe
from npu_tune.targets.ethos_u.compiler.least import Way, Ways

BOTH_FORMATS = (TensorFormat.NHWC, TensorFormat.NHCWB16)


def map_ways(scheduler: Any) -> Ways:
    """All places and formats of every feature map, over all configurations.

    Args:
        scheduler: with a schedule that has no cascades.
    """
    ways: dict[Any, list[Way]] = {}
    for op in scheduler.sched_ops:
        for end in (op.ifm, op.ifm2):
            if end is not None:
                tensor = end.connection.parent_tens
                ways.setdefault(tensor, [Way(tensor.mem_area, tensor.format)])
    for op in scheduler.sched_ops:
        tensor = op.ofm.connection.parent_tens
        formats, areas = _formats(scheduler, op, tensor), _areas(op, tensor)
        found = ways.get(tensor, [])
        more = [Way(area, each) for area in areas for each in formats]
        ways[tensor] = list(dict.fromkeys([*found, *more]))
    return ways


def _formats(scheduler: Any, op: Any, tensor: Any) -> tuple[TensorFormat, ...]:
    """An OFM's format, and the other one where the plan or a rule may choose it.

    A rule of Vela's may choose NHWC wherever channels do not fill the bricks, depending on what
    was chosen for other operators.
    """
    if tensor in scheduler.sg.output_tensors or tensor.purpose != TensorPurpose.FeatureMap:
        return (tensor.format,)
    if tensor.use_linear_format:
        by_rule = scheduler.avoid_nhcwb16_for_ofm(tensor, op.parent_ps, op.arch)
        return BOTH_FORMATS if by_rule else (tensor.format,)
    return BOTH_FORMATS if op.ofm.shape.depth % 16 else (tensor.format,)


def _areas(op: Any, tensor: Any) -> tuple[MemArea, ...]:
    arch = op.arch
    if arch.is_spilling_enabled() and op.get_dependants():
        return (arch.feature_map_storage_mem_area, arch.fast_storage_mem_area)
    return (tensor.mem_area,)


def map_lives(scheduler: Any, ways: Ways) -> tuple[list[OperatorMaps], list[MapLife]]:
    """When feature maps in fast storage are in use, and what each operator may do with its own.

    Args:
        scheduler: with a schedule that has no cascades.
        ways: of all feature maps.
    """
    operators = scheduler.sched_ops
    fast = scheduler.arch.fast_storage_mem_area
    spans: dict[Any, tuple[float, int, int]] = {}
    for position, op in enumerate(operators):
        for tensor, written in _used(op.parent_ps, fast):
            key = tensor.equivalence_id
            is_input = not written and key not in spans
            own = (_least_bytes(op.arch, tensor, ways), -1 if is_input else position, position)
            size, first, last = spans.get(key, own)
            spans[key] = (min(size, own[0]), min(first, own[1]), max(last, own[2]))
    for tensor in scheduler.sg.output_tensors:
        if tensor.equivalence_id in spans:
            size, first, _ = spans[tensor.equivalence_id]
            spans[tensor.equivalence_id] = (size, first, len(operators))
    indices = {key: index for index, key in enumerate(spans)}
    lives = [MapLife(*span) for span in spans.values()]
    return [_maps(op, operators, scheduler, indices, lives) for op in operators], lives


def host_bytes(graph: Any, area: MemArea) -> float:
    """The most bytes of feature maps that an operator on the CPU has in use in a memory.

    While the CPU runs an operator, what it reads and what it writes are in use as a whole
    (``extract_live_ranges_from_cascaded_passes``). No configuration changes their format.

    Args:
        graph: Vela's, scheduled.
        area: the memory.
    """
    steps = (
        step
        for subgraph in graph.subgraphs
        if subgraph.placement == PassPlacement.Cpu
        for step in subgraph.cascaded_passes
    )
    return max((_step_bytes(step, area) for step in steps if _is_on_host(step)), default=0.0)


def _is_on_host(step: Any) -> bool:
    """Whether a step of a graph on the CPU is an operator, not a call of another graph."""
    operators = step.passes[0].ops
    return bool(operators) and operators[0].attrs.get("subgraph") is None


def _step_bytes(step: Any, area: MemArea) -> float:
    sizes = {t.equivalence_id: float(t.storage_size()) for t, _ in _used(step, area)}
    return math.fsum(sizes.values())


def _used(ps: Any, area: MemArea) -> Iterator[tuple[Any, bool]]:
    """The feature maps of a pass, or of cascaded passes, in a memory, and whether it writes them."""
    written = {*ps.outputs, *ps.intermediates}
    for tensor in [*ps.inputs, *ps.outputs, *ps.intermediates]:
        is_map = tensor.purpose not in {TensorPurpose.Weights, TensorPurpose.FSBias}
        in_use = tensor.mem_type in {MemType.Scratch, MemType.Scratch_fast}
        if is_map and in_use and tensor.mem_area == area:
            yield tensor, tensor in written


def _least_bytes(arch: Any, tensor: Any, ways: Ways) -> float:
    formats = {way.format for way in ways.get(tensor, ())} or {tensor.format}
    return float(min(_bytes(arch, tensor, each) for each in formats))


def _bytes(arch: Any, tensor: Any, chosen: TensorFormat) -> int:
    shape = list(tensor.shape)
    if len(shape) <= len(arch.storage_rounding_quantums[chosen]):
        quantum = arch.storage_rounding_quantums[chosen][-len(shape) or None :]
        shape = shape_round_to_quantum(shape, tuple(quantum[: len(shape)]))
    raw = max(math.ceil(math.prod(shape) * tensor.element_size()), 1)
    return int(round_up(raw, tensor.alignment))


def _maps(
    op: Any, operators: list[Any], scheduler: Any, indices: dict[Any, int], lives: list[MapLife]
) -> OperatorMaps:
    ifm = op.ifm.connection.parent_tens
    producer = operators[op.index - 1] if op.index else None
    rolling = 0.0
    if producer is not None:
        rows = min(2 * min(op.min_stripe_input_h, op.ifm.shape.height), op.ifm.shape.height)
        row = producer.ofm.shape.width * round_up(producer.ofm.shape.depth, 16)
        rolling = float(rows * row * op.ifm.dtype.size_in_bytes())
    own = indices.get(op.ofm.connection.parent_tens.equivalence_id)
    saves = 0.0
    if own is not None:
        replaced = [
            indices[t.equivalence_id] for t in _replaceable(op) if t.equivalence_id in indices
        ]
        saves = max((min(lives[own].size, lives[i].size) for i in replaced), default=0.0)
    return OperatorMaps(
        indices.get(ifm.equivalence_id), rolling, saves, _may_join(op, operators, scheduler)
    )


def _replaceable(op: Any) -> list[Any]:
    """IFMs whose place the OFM may take (``_get_ifm_to_fuse``), whatever their formats."""
    parent = op.parent_op
    if op.op_type == Op.Memcpy:
        return [parent.ifm]
    if not op.op_type.is_elementwise_op():
        return []
    return [
        tensor
        for tensor, shape in zip((parent.ifm, parent.ifm2), parent.ifm_shapes, strict=False)
        if tensor is not None
        and shape == parent.ofm_shapes[0]
        and tensor.dtype == parent.ofm.dtype
        and len(tensor.consumer_list) == 1
    ]


def _may_join(op: Any, operators: list[Any], scheduler: Any) -> bool:
    """Whether a cascade may go on behind an operator, if formats allow it."""
    dependants = op.get_dependants()
    if len(dependants) != 1 or op.index + 1 >= len(operators):
        return False
    following = operators[op.index + 1]
    tensor = op.ofm.connection.parent_tens
    return (
        dependants[0] is following
        and can_stripe(op)
        and can_stripe(following)
        and op.ofm.shape == following.ifm.shape
        and tensor not in scheduler.sg.output_tensors
        and op.parent_op.memory_function != Op.ConcatSliceWrite
        and len(tensor.consumer_list) <= 1
    )
