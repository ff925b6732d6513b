"""How each operator is cut in rows: what it reads for some rows of its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.proto import OWN_DOMAINS
from npu_tune.network.rewrite.rows import PaddedRows, Rows, RowWindow
from npu_tune.network.rewrite.source import DEQUANTIZE, QUANTIZE, SourceModel, attributes_of

ROWS = 2
"""The dimension of the rows in a map of N x C x H x W."""
RANK = 4
_AXIS_ALONE = 13
"""The operator set since which a Softmax is over one dimension only."""
_SLICE_INPUTS = 10
_PAD_INPUTS = 11
"""The operator sets since which bounds and pads are inputs."""

ELEMENTWISE = frozenset({
    "Abs", "Add", "And", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Cos",
    DEQUANTIZE, "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Floor", "Gelu", "Greater",
    "GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "LRN", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or",
    "PRelu", "Pow", QUANTIZE, "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu", "Where",
    "Xor",
})  # fmt: skip
"""Operators whose rows depend on the same rows of their operands, which may be broadcast."""

_ALL_ROWS = "each of its results needs all rows"
_OTHER_ROWS = "it moves values from row to row"
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "ConvTranspose": "its rows overlap",
        "Flatten": _OTHER_ROWS,
        "Gemm": "it multiplies whole vectors",
        "GlobalAveragePool": _ALL_ROWS,
        "GlobalLpPool": _ALL_ROWS,
        "GlobalMaxPool": _ALL_ROWS,
        "InstanceNormalization": _ALL_ROWS,
        "MatMul": "it multiplies whole vectors",
        "ReduceMax": _ALL_ROWS,
        "ReduceMean": _ALL_ROWS,
        "ReduceMin": _ALL_ROWS,
        "ReduceSum": _ALL_ROWS,
        "Reshape": _OTHER_ROWS,
        "Resize": "it moves values between rows by a scale",
        "Transpose": _OTHER_ROWS,
        "Upsample": "it moves values between rows by a scale",
    }
)


@dataclass(frozen=True)
class RowRule:
    """How one node is cut in rows.

    Args:
        cut: for each input, whether it is read in rows; others are read whole.
        window: by which rows are read; the same rows as those of the result if None.
        pads: of all sides, (top, left, bottom, right), where the node has a window.
    """

    cut: tuple[bool, ...]
    window: RowWindow | None = None
    pads: tuple[int, ...] = ()

    def read(self, rows: Rows) -> PaddedRows:
        """What is read of every input that is cut, see :meth:`.rows.RowWindow.read`."""
        return PaddedRows(rows) if self.window is None else self.window.read(rows)


def row_rule(source: SourceModel, place: int) -> RowRule:
    """How a node is cut in rows.

    Raises:
        UnsupportedOperatorError: if it cannot be; names the node and says why.
    """
    node = source.nodes[place]
    shapes = [source.shapes.get(name) for name in node.output if name]
    if node.domain not in OWN_DOMAINS:
        raise uncuttable(source, place, f"{node.domain} is no operator set that is known here")
    if node.op_type in _REASONS:
        raise uncuttable(source, place, _REASONS[node.op_type])
    if any(shape is None or len(shape) != RANK for shape in shapes):
        raise uncuttable(source, place, "its result is no map of N x C x H x W")
    if node.op_type in ELEMENTWISE:
        return _elementwise(source, place)
    rule = _RULES.get(node.op_type)
    if rule is None:
        raise uncuttable(source, place, "how it is cut is not known here")
    return rule(source, place)


def uncuttable(source: SourceModel, place: int, reason: str) -> UnsupportedOperatorError:
    """The error for a node that cannot be computed in stripes of rows."""
    text = source.describe(place)
    return UnsupportedOperatorError(
        f"{text[0].upper()}{text[1:]} cannot be computed in stripes of rows: {reason}.",
        remedy="End the segment before it, or begin it behind it.",
        node=source.names[place],
        op=source.nodes[place].op_type,
    )


def _elementwise(source: SourceModel, place: int) -> RowRule:
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    height = source.shapes[node.output[0]][ROWS]
    training = source.value(node.input[2]) if node.op_type == "Dropout" and _given(node, 2) else 0
    if attributes.get("training_mode", 0) or training is None or bool(training):
        raise uncuttable(source, place, "it is in training mode")
    if node.op_type in {QUANTIZE, DEQUANTIZE}:
        scales = source.shapes.get(node.input[1], ())
        axis = attributes.get("axis", 1) % RANK
        if attributes.get("block_size", 0) or (
            len(scales) == 1 and scales[0] > 1 and axis == ROWS
        ):
            raise uncuttable(source, place, "it has scales for parts of its rows")
        return RowRule((True, *(False for _ in node.input[1:])))
    return RowRule(tuple(_has_rows(source, name, height) for name in node.input))


def _has_rows(source: SourceModel, name: str, height: int) -> bool:
    """Tells whether an operand has the rows of the result, rather than one for all of them."""
    shape = source.shapes.get(name, ()) if name else ()
    return len(shape) >= 2 and shape[-2] == height and (height > 1 or name not in source.constants)


def _first_input(source: SourceModel, place: int) -> RowRule:
    return RowRule((True, *(False for _ in source.nodes[place].input[1:])))


def _convolution(source: SourceModel, place: int) -> RowRule:
    node = source.nodes[place]
    return _windowed(source, place, source.shapes[node.input[1]][2:])


def _pool(source: SourceModel, place: int) -> RowRule:
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    if len(node.output) > 1 and node.output[1]:
        raise uncuttable(source, place, "it gives positions in the whole map")
    rule = _windowed(source, place, tuple(attributes["kernel_shape"]))
    height = source.shapes[node.output[0]][ROWS]
    below = rule.read(Rows(height - 1, height)).pad_bottom
    if attributes.get("count_include_pad", 0) and below > rule.pads[2]:
        raise uncuttable(source, place, "ceil_mode and count_include_pad meet at its lower border")
    return rule


def _windowed(source: SourceModel, place: int, kernel: tuple[int, ...]) -> RowRule:
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    sizes = source.shapes[node.input[0]][2:]
    strides = attributes.get("strides") or [1] * len(sizes)
    dilations = attributes.get("dilations") or [1] * len(sizes)
    pads = tuple(attributes.get("pads") or [0] * 2 * len(sizes))
    auto = attributes.get("auto_pad", "NOTSET")
    if auto != "NOTSET":
        pads = _automatic_pads(auto, sizes, kernel, strides, dilations)
    window = RowWindow(kernel[0], sizes[0], strides[0], dilations[0], pads[0])
    return RowRule((True, *(False for _ in node.input[1:])), window, pads)


def _automatic_pads(
    mode: str,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
) -> tuple[int, ...]:
    """The pads that ``auto_pad`` stands for, first those before every dimension."""
    if mode == "VALID":
        return (0,) * 2 * len(sizes)
    before, after = [], []
    for size, taps, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True):
        extent = (taps - 1) * dilation + 1
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        less, more = total // 2, total - total // 2
        before.append(less if mode == "SAME_UPPER" else more)
        after.append(more if mode == "SAME_UPPER" else less)
    return (*before, *after)


def _concatenation(source: SourceModel, place: int) -> RowRule:
    node = source.nodes[place]
    if attributes_of(node)["axis"] % RANK == ROWS:
        raise uncuttable(source, place, "it joins maps one below the other")
    return RowRule((True,) * len(node.input))


def _split(source: SourceModel, place: int) -> RowRule:
    if attributes_of(source.nodes[place]).get("axis", 0) % RANK == ROWS:
        raise uncuttable(source, place, "it divides the rows")
    return _first_input(source, place)


def _along_one_axis(source: SourceModel, place: int) -> RowRule:
    """A Softmax and its kin."""
    if source.opset < _AXIS_ALONE:
        raise uncuttable(source, place, "before operator set 13 it needs all rows")
    if attributes_of(source.nodes[place]).get("axis", -1) % RANK == ROWS:
        raise uncuttable(source, place, _ALL_ROWS)
    return _first_input(source, place)


def _slice(source: SourceModel, place: int) -> RowRule:
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    if source.opset < _SLICE_INPUTS:
        starts, axes = attributes["starts"], attributes.get("axes")
    else:
        starts = _integers(source, place, 1, "its bounds are")
        axes = _integers(source, place, 3, "its axes are") if _given(node, 3) else None
    by_axis = dict(zip((a % RANK for a in axes or range(len(starts))), starts, strict=True))
    shapes = [source.shapes[name] for name in (node.input[0], node.output[0])]
    if shapes[0][ROWS] != shapes[1][ROWS] or by_axis.get(ROWS, 0) != 0:
        raise uncuttable(source, place, "it takes some of the rows")
    return _first_input(source, place)


def _pad(source: SourceModel, place: int) -> RowRule:
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    pads = pads_of(source, place)
    top, bottom = pads[ROWS], pads[ROWS + RANK]
    if attributes.get("mode", "constant") != "constant" and (top or bottom):
        raise uncuttable(source, place, "it repeats rows at the border")
    if min(top, bottom) < 0:
        raise uncuttable(source, place, "it takes rows away")
    height = source.shapes[node.input[0]][ROWS]
    return RowRule(
        (True, *(False for _ in node.input[1:])), RowWindow(1, height, pad_top=top), pads
    )


def pads_of(source: SourceModel, place: int) -> tuple[int, ...]:
    """What a Pad adds to each of four dimensions, before all of them and then behind.

    Raises:
        UnsupportedOperatorError: if that is not constant.
    """
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    if source.opset < _PAD_INPUTS:
        return tuple(attributes["pads"])
    given = _integers(source, place, 1, "its pads are")
    axes = _integers(source, place, 3, "its axes are") if _given(node, 3) else range(RANK)
    pads = [0] * 2 * RANK
    for place_of_axis, axis in enumerate(axes):
        pads[axis % RANK] = given[place_of_axis]
        pads[axis % RANK + RANK] = given[place_of_axis + len(given) // 2]
    return tuple(pads)


def _given(node: Any, position: int) -> bool:
    return len(node.input) > position and bool(node.input[position])


def _integers(source: SourceModel, place: int, position: int, what: str) -> list[int]:
    value = source.value(source.nodes[place].input[position])
    if value is None:
        raise uncuttable(source, place, f"{what} computed in the network")
    return [int(each) for each in value.reshape(-1)]


_RULES: Mapping[str, Callable[[SourceModel, int], RowRule]] = MappingProxyType(
    {
        "AveragePool": _pool,
        "Concat": _concatenation,
        "Conv": _convolution,
        "Hardmax": _along_one_axis,
        "LogSoftmax": _along_one_axis,
        "LpPool": _pool,
        "MaxPool": _pool,
        "Pad": _pad,
        "Slice": _slice,
        "Softmax": _along_one_axis,
        "Split": _split,
    }
)
