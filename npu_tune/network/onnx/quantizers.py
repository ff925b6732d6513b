"""Takes a network with quantizers for the float network that it stands for."""

from __future__ import annotations

import re

import numpy as np

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.fold import bypass
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.operators.scales import require_scales

_CLIP_WITH_INPUTS = 11
"""The operator set since which limits of a Clip are inputs."""
_SELECTIONS = frozenset(
    {"Concat", "Flatten", "GlobalMaxPool", "Identity", "MaxPool", "Pad", "ReduceMax", "ReduceMin",
     "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Operators whose results are elements of their inputs (or zeros), so that they keep limits."""
_WITHIN_LIMITS = _SELECTIONS | {"AveragePool", "Resize", "Upsample"}
"""Operators that keep limits, and whose int8 forms keep the scale of their input."""
_INTRINSIC = {
    "HardSigmoid": (0.0, 1.0),
    "Sigmoid": (0.0, 255 / 256),
    "Softmax": (0.0, 255 / 256),
    "Tanh": (-1.0, 127 / 128),
}
"""Limits of the results of functions, as int8 has them."""
_SLACK = 1.01 / 255
"""Share of a range by which limits may leave it: one of 256 codes, and what rounding adds."""

Range = tuple[float, float]


def remove_quantizers(graph: OnnxGraph) -> None:
    """Replaces QuantizeLinear-DequantizeLinear pairs by the saturation that they imply.

    That is a Clip, unless the values are within its limits already. The graph keeps the ranges
    that its tensors need at least for that.

    Raises:
        ModelError: if its scale is no positive number.
        UnsupportedOperatorError: if a quantizer has another reader, so that integers flow, if its
            reader does not undo what it does, or if it has no single range.
    """
    limits = _join_equal_quantizers(graph)
    if not limits:
        return
    known: dict[str, Range] = {}
    for node in list(graph.nodes):
        if node.output in limits:
            _replace_quantizer(graph, node, limits[node.output], known)
        else:
            _follow_limits(graph, node, known)
    _spread_ranges(graph)


def _replace_quantizer(
    graph: OnnxGraph, node: OnnxNode, limits: Range, known: dict[str, Range]
) -> None:
    readers = graph.consumers(node.output)
    limited = _limit(graph, node, limits, known, target=readers[0].output)
    graph.nodes.remove(node)
    if limited == readers[0].output:
        graph.nodes.remove(readers.pop(0))
    for reader in readers:
        reader.inputs = [limited]
    for reader in readers:  # which may rename what others read
        known[reader.output] = known[reader.inputs[0]]
        bypass(graph, reader)


def _join_equal_quantizers(graph: OnnxGraph) -> dict[str, Range]:
    """Leaves one quantizer per tensor and range; returns their ranges, by their outputs."""
    limits: dict[str, Range] = {}
    kept: dict[tuple[str, Range], str] = {}
    for node in [node for node in graph.nodes if node.op == "QuantizeLinear"]:
        require_scales(graph, node)
        readers = graph.consumers(node.output)
        if node.output in graph.outputs or any(r.op != "DequantizeLinear" for r in readers):
            raise _quantizer_error(node, "is not followed by a DequantizeLinear")
        for reader in readers:
            if not _undoes(graph, node, reader):
                raise _quantizer_error(
                    node, f"is not undone by the {reader}, which has another scale or zero point"
                )
        limit = _quantizer_range(graph, node)
        first = kept.setdefault((node.inputs[0], limit), node.output)
        limits[first] = limit
        if first != node.output:
            graph.replace_input(node.output, first)
            graph.nodes.remove(node)
    return limits


def _limit(
    graph: OnnxGraph, quantizer: OnnxNode, limits: Range, known: dict[str, Range], *, target: str
) -> str:
    """The tensor with the values of a quantizer's input within its limits.

    It is the same tensor if these are within the limits already. If they only have to pass
    operators that select some of them, the limits are put where they come from, whose own range
    of codes can be theirs.

    Args:
        graph: is changed.
        quantizer: that states the limits.
        limits: lowest and highest value.
        known: limits of tensors; is updated.
        target: name of the result, if there has to be a new tensor.
    """
    source = quantizer.inputs[0]
    waiting, places = [(source, quantizer)], []
    while waiting:
        name, reader = waiting.pop()
        if _keeps(graph, name, limits, known):
            continue
        origins = _selected_from(graph, name, reader)
        waiting.extend(origins)
        if origins:
            known[name] = limits
        else:
            places.append((name, reader))
    if places == [(source, quantizer)]:
        known[target] = limits
        return _add_clip(graph, source, limits, before=quantizer, target=target)
    for name, reader in places:
        result = _add_clip(
            graph, name, limits, before=reader, target=graph.new_name(f"{name}/limited")
        )
        known[result] = limits
        reader.inputs = [result if other == name else other for other in reader.inputs]
    return source


def _keeps(graph: OnnxGraph, name: str, limits: Range, known: dict[str, Range]) -> bool:
    """Tells whether a tensor is within limits, to one code."""
    if name not in known:
        return False
    low, high = known[name]
    slack = _SLACK * (limits[1] - limits[0])
    inside = limits[0] - slack <= low and high <= limits[1] + slack
    producer = graph.producer(name) if inside else None
    if producer is not None and producer.op == "HardSigmoid":
        graph.ranges[name] = known[name]
    return inside


def _follow_limits(graph: OnnxGraph, node: OnnxNode, known: dict[str, Range]) -> None:
    """Notes the limits that the results of a node keep, and their int8 form has as its range."""
    found = [_INTRINSIC[node.op]] if node.op in _INTRINSIC else []
    if node.op in _WITHIN_LIMITS and not _adds_values(graph, node):
        sources = graph.run_time_inputs(node)
        if all(name in known for name in sources):
            found = [known[name] for name in sources]
    if found:
        limits = (min(low for low, _ in found), max(high for _, high in found))
        known.update({name: limits for name in node.outputs if name})


def _selected_from(graph: OnnxGraph, name: str, reader: OnnxNode) -> list[tuple[str, OnnxNode]]:
    """The tensors, with their reader, that nothing but a selection of them for a reader reads."""
    producer = graph.producer(name)
    if (
        producer is None
        or producer.op not in _SELECTIONS
        or len(producer.outputs) > 1
        or _adds_values(graph, producer)
        or graph.only_consumer(name) is not reader
    ):
        return []
    sources = dict.fromkeys(graph.run_time_inputs(producer))
    if any(graph.only_consumer(source) is not producer for source in sources):
        return []
    return [(source, producer) for source in sources]


def _adds_values(graph: OnnxGraph, node: OnnxNode) -> bool:
    """Tells whether constants other than zero are among the results of a selection."""
    if node.op == "Concat":
        return len(graph.run_time_inputs(node)) < len(node.inputs)
    if node.op != "Pad":
        return False
    given = graph.constant(node, 2)
    value = node.attributes.get("value", 0.0) if given is None else given.reshape(-1)[0]
    return float(value) != 0.0


def _add_clip(graph: OnnxGraph, name: str, limits: Range, *, before: OnnxNode, target: str) -> str:
    graph.shapes[target] = graph.shapes[name]
    graph.ranges[target] = limits
    node = OnnxNode("Clip", target, [name], [target])
    if graph.opset < _CLIP_WITH_INPUTS:
        node.attributes = {"min": limits[0], "max": limits[1]}
    else:
        node.inputs += [
            graph.add_constant(f"{target}/{label}", np.asarray(limit, np.float32))
            for label, limit in zip(("min", "max"), limits, strict=True)
        ]
    graph.nodes.insert(graph.nodes.index(before), node)
    return target


def _spread_ranges(graph: OnnxGraph) -> None:
    """States the ranges of tensors that keep limits, and of those that are yet to be limited."""
    for node in graph.nodes:
        if node.op in _WITHIN_LIMITS - {"Concat"} and node.inputs[0] in graph.ranges:
            limits = graph.ranges[node.inputs[0]]
            graph.ranges.update({name: limits for name in node.outputs if name})
    wider: dict[str, Range] = {}
    for node in graph.nodes:
        if node.op == "Clip" and node.output in graph.ranges:
            source, (low, high) = node.inputs[0], graph.ranges[node.output]
            before = wider.get(source, (low, high))
            wider[source] = (min(low, before[0]), max(high, before[1]))
    graph.ranges = wider | graph.ranges


def _quantizer_error(node: OnnxNode, reason: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"The {node} {reason}.",
        remedy="Give the float network, or one with QuantizeLinear-DequantizeLinear pairs of one "
        "scale each.",
        node=node.name or node.output,
        op=node.op,
    )


def _undoes(graph: OnnxGraph, quantizer: OnnxNode, reader: OnnxNode) -> bool:
    """Tells whether a DequantizeLinear has the scale and zero point of its QuantizeLinear."""
    scales = [graph.constants[node.inputs[1]].reshape(-1) for node in (quantizer, reader)]
    offsets = [
        np.zeros(1, np.int64) if value is None else value.reshape(-1).astype(np.int64)
        for value in (graph.constant(quantizer, 2), graph.constant(reader, 2))
    ]
    return all(np.array_equal(*pair) for pair in (scales, offsets))


def _quantizer_range(graph: OnnxGraph, node: OnnxNode) -> Range:
    """The lowest and highest real number of a quantizer's integers.

    Raises:
        UnsupportedOperatorError: if it has several scales, or its codes are no integers.
    """
    from onnx import helper  # noqa: PLC0415 - heavy

    scale, zero_point = graph.constants[node.inputs[1]], graph.constant(node, 2)
    if scale.size != 1:
        raise _quantizer_error(node, f"has {scale.size} scales for values of the run time")
    code = int(node.attributes.get("output_dtype", 0))
    stated = helper.tensor_dtype_to_np_dtype(code) if code else np.dtype(np.uint8)
    dtype = stated if zero_point is None else zero_point.dtype
    integer = re.fullmatch(r"(u?)int(\d+)", dtype.name)
    if integer is None:
        raise _quantizer_error(node, f"quantizes to {dtype.name}, which are no integers")
    codes, step = 2 ** int(integer[2]), float(scale.reshape(-1)[0])
    lowest = 0 if integer[1] else -codes // 2
    offset = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    return (lowest - offset) * step, (lowest + codes - 1 - offset) * step
