"""Pooling over windows and over everything."""

from __future__ import annotations

import math

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.ncnn.operators.windows import SlidingWindow, read_window
from npu_tune.targets.ncnn.program import Parameter
from npu_tune.targets.ncnn.translator import Operator, Translator

_MAXIMUM, _AVERAGE = 0, 1
_ROUND_UP, _ROUND_DOWN = 0, 1


def _pool(translator: Translator, node: OnnxNode, kind: int) -> None:
    window = read_window(translator, node, node.ints("kernel_shape"))
    if window.dilations != (1, 1):
        translator.refuse(node, "its window is dilated")
    shape, result = translator.shape(node.inputs[0]), translator.shape(node.output)
    if len(shape) == 2:
        shape, result = (shape[0], 1, shape[1]), (result[0], 1, result[1])
    mode = next(
        (each for each in (_ROUND_DOWN, _ROUND_UP) if _places(window, shape, each) == result[1:]),
        None,
    )
    if mode is None:
        translator.refuse(node, "ncnn rounds the size of its output in another way")
    (top, left), (bottom, right) = window.before, window.behind
    parameters: dict[int, Parameter] = {
        0: kind,
        1: window.kernel[1],
        11: window.kernel[0],
        2: window.strides[1],
        12: window.strides[0],
        3: left,
        14: right,
        13: top,
        15: bottom,
        5: mode,
        6: int(node.attributes.get("count_include_pad", 0)),
    }
    blob = translator.read(node, node.inputs[0], shape)
    translator.emit("Pooling", [blob], node.output, parameters, shape=result)


def _places(window: SlidingWindow, shape: tuple[int, ...], mode: int) -> tuple[int, ...]:
    """How many places ncnn lets a window take."""
    return tuple(
        (math.ceil if mode == _ROUND_UP else math.floor)((size + less + more - kernel) / stride)
        + 1
        for size, less, more, kernel, stride in zip(
            shape[1:], window.before, window.behind, window.kernel, window.strides, strict=True
        )
    )


def _max_pool(translator: Translator, node: OnnxNode) -> None:
    _pool(translator, node, _MAXIMUM)


def _average_pool(translator: Translator, node: OnnxNode) -> None:
    _pool(translator, node, _AVERAGE)


def _global(translator: Translator, node: OnnxNode, kind: int) -> None:
    """Pools over everything, which leaves a blob of one dimension."""
    channels, *sizes = translator.shape(node.inputs[0])
    image = (channels, math.prod(sizes[:-1]), *sizes[-1:])
    blob = translator.read(node, node.inputs[0], image if len(sizes) != 2 else None)
    translator.emit("Pooling", [blob], node.output, {0: kind, 4: 1}, shape=(channels,))


def _global_average_pool(translator: Translator, node: OnnxNode) -> None:
    _global(translator, node, _AVERAGE)


def _global_max_pool(translator: Translator, node: OnnxNode) -> None:
    _global(translator, node, _MAXIMUM)


def _reduce_mean(translator: Translator, node: OnnxNode) -> None:
    """The mean over height and width, as which many export a global pooling."""
    shape = translator.graph.shapes[node.inputs[0]]
    given = translator.graph.constant(node, 1)
    axes = node.ints("axes") if given is None else tuple(map(int, given.reshape(-1)))
    if len(shape) != 4 or shape[0] != 1 or {axis % 4 for axis in axes} != {2, 3}:
        translator.refuse(node, "it is no mean over height and width")
    _global(translator, node, _AVERAGE)


POOLING: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "MaxPool": _max_pool,
    "ReduceMean": _reduce_mean,
}
