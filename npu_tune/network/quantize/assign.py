"""Assigns every tensor of a TFLite graph its scale, zero point and int8 or int32 data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.onnx.graph import Array
from npu_tune.network.quantize.arithmetic import (
    HIGHEST,
    LOWEST,
    Parameters,
    bias_parameters,
    dequantize,
    parameters_for,
    quantize,
    quantize_bias,
    weight_parameters,
)
from npu_tune.network.quantize.ranges import Range, hull
from npu_tune.network.quantize.tflite_graph import TfliteGraph, TfliteOp, TfliteTensor
from npu_tune.network.quantize.write import WrittenTensor

# Operators whose output parameters TFLite's specification fixes.
_FIXED = {
    "LOGISTIC": Parameters((1 / 256,), -128),
    "SOFTMAX": Parameters((1 / 256,), -128),
    "TANH": Parameters((1 / 128,), 0),
}
# Operators whose kernels copy or compare codes, so that all their tensors share one scale.
_SCALE_PRESERVING = frozenset(
    {"AVERAGE_POOL_2D", "GATHER", "MAX_POOL_2D", "MIRROR_PAD", "PAD", "PADV2", "REDUCE_MAX",
     "REDUCE_MIN", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPLIT", "SPLIT_V",
     "STRIDED_SLICE", "TRANSPOSE"}
)  # fmt: skip
_JOINS = frozenset({"CONCATENATION", "MAXIMUM", "MINIMUM"})
_NARROW = 0.5
"""Share of a join's range below which an input with further readers keeps its own scale."""

# Positions of data, weights and bias among the inputs of operators with weights.
_WEIGHTED = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}


def quantize_graph(
    graph: TfliteGraph,
    ranges: Mapping[str, Range],
    means: Mapping[str, NDArray[np.float64]] | None = None,
) -> list[WrittenTensor]:
    """Quantizes a graph; inserts QUANTIZE operators where scales must differ.

    Args:
        graph: in real numbers; is changed in place.
        ranges: (lowest, highest) value of the ONNX tensors that the activations stand for.
        means: per channel of these tensors; if given, the biases correct the mean error of rounding
            the weights (Nagel et al., "Data-free quantization", 2019, section 4.2).
    """
    _settle_limits(graph, ranges)
    groups = _Groups(graph, ranges)
    tensors = {
        name: _quantize_tensor(tensor, groups.parameters(name))
        for name, tensor in graph.tensors.items()
    }
    for op in graph.ops:
        if op.op in _WEIGHTED:
            _quantize_weighted(graph, op, groups, tensors, means or {})
    return list(tensors.values())


def _quantize_tensor(tensor: TfliteTensor, parameters: Parameters | None) -> WrittenTensor:
    if tensor.role == "index":
        return WrittenTensor(tensor.name, tensor.shape, "int32", None, tensor.data)
    data: Array | None = None
    if tensor.role == "constant" and tensor.data is not None and parameters is not None:
        data = quantize(tensor.data, parameters)
    return WrittenTensor(tensor.name, tensor.shape, "int8", parameters, data)


def _quantize_weighted(
    graph: TfliteGraph,
    op: TfliteOp,
    groups: _Groups,
    tensors: dict[str, WrittenTensor],
    means: Mapping[str, NDArray[np.float64]],
) -> None:
    source, weights, bias = (graph.tensors[op.inputs[place]] for place in _WEIGHTED[op.op])
    input_parameters = groups.parameters(source.name)
    if weights.data is None or bias.data is None or input_parameters is None:
        raise AssertionError(f"{op.op} without constants")
    parameters = weight_parameters(
        weights.data,
        axis=weights.channel_axis,
        bias=bias.data,
        input_scale=input_parameters.scales[0],
    )
    codes = quantize(weights.data, parameters)
    tensors[weights.name] = WrittenTensor(weights.name, weights.shape, "int8", parameters, codes)
    errors = weights.data - dequantize(codes, parameters)
    real_bias = bias.data + _mean_rounding_error(op, errors, means.get(source.source))
    for_bias = bias_parameters(input_parameters, parameters)
    tensors[bias.name] = WrittenTensor(
        bias.name, bias.shape, "int32", for_bias, quantize_bias(real_bias, for_bias)
    )


def _mean_rounding_error(op: TfliteOp, errors: Array, means: NDArray[np.float64] | None) -> Array:
    """The mean error of each output channel due to rounded weights; ignores padding."""
    nothing = np.zeros(1)
    if means is None:
        return nothing
    if op.channel_order is not None and len(means) > max(op.channel_order):
        means = means[op.channel_order]
    if op.op == "DEPTHWISE_CONV_2D":
        per_channel = errors.sum(axis=(0, 1, 2))
        if len(per_channel) % len(means):
            return nothing
        result: Array = per_channel * np.repeat(means, len(per_channel) // len(means))
        return result
    if op.op == "TRANSPOSE_CONV" or errors.shape[-1] != len(means):
        return nothing
    per_input: Array = errors.reshape(errors.shape[0], -1, errors.shape[-1]).sum(axis=1)
    return np.asarray(per_input @ means)


def _tensor_range(tensor: TfliteTensor, ranges: Mapping[str, Range]) -> Range:
    if tensor.pinned is not None:
        return tensor.pinned
    if tensor.data is not None:
        return float(tensor.data.min()), float(tensor.data.max())
    return ranges[tensor.source]


def _settle_limits(graph: TfliteGraph, ranges: Mapping[str, Range]) -> None:
    """Limits what has the codes of limited tensors; requantizes inputs of joins of other scales."""
    origins = {name: op for op in graph.ops for name in op.outputs}
    readers = Counter(name for op in graph.ops for name in set(op.inputs))
    ops: list[TfliteOp] = []
    for op in graph.ops:
        if op.op in _JOINS:
            ops.extend(_requantize_inputs(graph, op, ranges, origins, readers))
        elif op.op in _SCALE_PRESERVING:
            limits = graph.tensors[_code_source(op)].pinned
            for name in op.outputs:
                graph.tensors[name].pinned = limits
        ops.append(op)
    graph.ops = ops


def _requantize_inputs(
    graph: TfliteGraph,
    op: TfliteOp,
    ranges: Mapping[str, Range],
    origins: Mapping[str, TfliteOp],
    readers: Mapping[str, int],
) -> list[TfliteOp]:
    """The QUANTIZE operators that a join needs before it, whose result is limited as all inputs."""
    producers = [_code_producer(name, origins) for name in op.inputs]
    limits = [
        _limits(graph.tensors[name], producer)
        for name, producer in zip(op.inputs, producers, strict=True)
    ]
    known = [each for each in limits if each is not None]
    all_limited = len(known) == len(limits)
    if all_limited:
        graph.tensors[op.outputs[0]].pinned = hull(known)
    spans = [_tensor_range(graph.tensors[name], ranges) for name in op.inputs]
    whole = hull([*spans, _tensor_range(graph.tensors[op.outputs[0]], ranges)])
    all_alike = producers[0] in _FIXED and len(set(producers)) == 1
    copies = []
    for place, name in enumerate(list(op.inputs)):
        tensor = graph.tensors[name]
        if tensor.role != "activation":
            continue
        low, high = spans[place]
        must = not all_alike and producers[place] in _FIXED
        # What follows may widen the scale of a result that is not limited.
        alike = all_limited and _are_alike(spans[place], whole)
        limited = tensor.pinned is not None and not alike
        narrow = high - low < _NARROW * (whole[1] - whole[0]) and readers[name] > 1
        if must or limited or narrow:
            copy = _add_requantized(graph, tensor)
            graph.tensors[copy].pinned = tensor.pinned
            copies.append(TfliteOp("QUANTIZE", [name], [copy]))
            op.inputs[place] = copy
    return copies


def _limits(tensor: TfliteTensor, producer: str) -> Range | None:
    """The limits of an input of a join, whose codes an operator computes."""
    if tensor.data is not None:
        return float(tensor.data.min()), float(tensor.data.max())
    if tensor.pinned is None and producer in _FIXED:
        (scale,), zero_point = _FIXED[producer].scales, _FIXED[producer].zero_point
        return (LOWEST - zero_point) * scale, (HIGHEST - zero_point) * scale
    return tensor.pinned


def _are_alike(one: Range, other: Range) -> bool:
    """Tells whether two ranges differ by one code at most."""
    step = (other[1] - other[0]) / (HIGHEST - LOWEST)
    return abs(one[0] - other[0]) <= step and abs(one[1] - other[1]) <= step


def _code_producer(name: str, origins: Mapping[str, TfliteOp]) -> str:
    """The operator that computes the codes of a tensor, behind operators that only move them."""
    op = origins.get(name)
    while op is not None and op.op in _SCALE_PRESERVING:
        op = origins.get(_code_source(op))
    return "" if op is None else op.op


def _code_source(op: TfliteOp) -> str:
    """The input that an operator moves codes of."""
    return op.inputs[1] if op.op == "SPLIT" else op.inputs[0]


def _add_requantized(graph: TfliteGraph, tensor: TfliteTensor) -> str:
    count, name = 1, f"{tensor.name}/requantized"
    while name in graph.tensors:
        count += 1
        name = f"{tensor.name}/requantized#{count}"
    graph.tensors[name] = TfliteTensor(name, tensor.shape, source=tensor.source)
    return name


class _Groups:
    """Groups of tensors that share a scale, with the parameters of each group."""

    def __init__(self, graph: TfliteGraph, ranges: Mapping[str, Range]) -> None:
        self._parents = {
            name: name
            for name, tensor in graph.tensors.items()
            if tensor.role in ("activation", "constant")
        }
        for op in graph.ops:
            if op.op in _SCALE_PRESERVING | _JOINS:
                members = [name for name in (*op.inputs, *op.outputs) if name in self._parents]
                for other in members[1:]:
                    self._parents[self._find(other)] = self._find(members[0])
        fixed = {name: _FIXED[op.op] for op in graph.ops if op.op in _FIXED for name in op.outputs}
        spans: dict[str, Range] = {}
        self._fixed: dict[str, Parameters] = {}
        padding = {op.inputs[2] for op in graph.ops if op.op == "PADV2"}
        used = {name for op in graph.ops for name in op.inputs}.union(graph.inputs, graph.outputs)
        for name in self._parents:
            root = self._find(name)
            if name in fixed:
                self._fixed[root] = fixed[name]
            # The padding value saturates to the lowest code of any range, and parts of a split
            # that nothing reads have no range.
            if name in padding or name not in used:
                continue
            low, high = _tensor_range(graph.tensors[name], ranges)
            before = spans.get(root, (low, high))
            spans[root] = (min(low, before[0]), max(high, before[1]))
        self._parameters = {root: parameters_for(*span) for root, span in spans.items()}
        self._parameters.update(self._fixed)

    def _find(self, name: str) -> str:
        while self._parents[name] != name:
            self._parents[name] = self._parents[self._parents[name]]  # halves the way for the next
            name = self._parents[name]
        return name

    def parameters(self, name: str) -> Parameters | None:
        return self._parameters[self._find(name)] if name in self._parents else None
