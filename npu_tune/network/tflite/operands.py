"""What operators must be given: checked once, so that whoever imports them may rely on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from npu_tune.network.model import Layer, Tensor
from npu_tune.network.tflite.damage import DamagedError


@dataclass(frozen=True, slots=True)
class Operands:
    """What LiteRT's kernel of an operator asks of its tensors and options.

    Args:
        least: number of inputs that must be there; none of these may be left out.
        most: number of inputs; 0 for any, and then none may be left out.
        ranks: number of dimensions, by position of the input.
        result_rank: number of dimensions of the first output; 0 for any.
        counts: options that are positive numbers.
        axes: position of the input whose values are dimensions of the first input, which the
            first output has too, with or without them; -1 for none.
        rows: position of the input that has a pair of numbers for each dimension of
            the first input; -1 for none.
        keeps_rank: whether the first input and the first output have the same number of
            dimensions.
        broadcasts: whether each input is broadcast to the first output.
        axis: whether the option ``axis`` is a dimension of the first output.
        weights: positions of the weights and of what they multiply, and which dimensions of the
            weights are the channels of the result and of the source (-1 for none, as every
            channel has its own); None without weights.
    """

    least: int = 1
    most: int = 0
    ranks: Mapping[int, int] = field(default_factory=dict)
    result_rank: int = 0
    counts: tuple[str, ...] = ()
    axes: int = -1
    rows: int = -1
    keeps_rank: bool = False
    broadcasts: bool = False
    axis: bool = False
    weights: tuple[int, int, int, int] | None = None


_STRIDES = ("stride_h", "stride_w")
_WINDOW = (*_STRIDES, "dilation_hfactor", "dilation_wfactor")
_POOL = Operands(1, 1, {0: 4}, result_rank=4, counts=(*_STRIDES, "filter_height", "filter_width"))
_ELEMENTWISE = Operands(1, 1, keeps_rank=True)
_PAIR = Operands(2, 2, broadcasts=True)
_REDUCTION = Operands(2, 2, axes=1)
_IMAGE = Operands(1, 2, {0: 4}, result_rank=4)

OPERANDS: Mapping[str, Operands] = {
    "CONV_2D": Operands(
        2,
        3,
        {0: 4, 1: 4},
        result_rank=4,
        counts=_WINDOW,
        weights=(1, 0, 0, 3),
    ),
    "DEPTHWISE_CONV_2D": Operands(
        2,
        3,
        {0: 4, 1: 4},
        result_rank=4,
        counts=_WINDOW,
        weights=(1, 0, 3, -1),
    ),
    "TRANSPOSE_CONV": Operands(
        3, 4, {1: 4, 2: 4}, result_rank=4, counts=_STRIDES, weights=(1, 2, 0, 3)
    ),
    "CONV_3D": Operands(2, 3, {0: 5, 1: 5}, result_rank=5),
    "CONV_3D_TRANSPOSE": Operands(3, 4, {1: 5, 2: 5}, result_rank=5),
    "FULLY_CONNECTED": Operands(2, 3, {1: 2}, weights=(1, 0, 0, 1)),
    "BATCH_MATMUL": Operands(2, 2),
    "MAX_POOL_2D": _POOL,
    "AVERAGE_POOL_2D": _POOL,
    "L2_POOL_2D": _POOL,
    **dict.fromkeys(
        (
            "MEAN",
            "SUM",
            "REDUCE_MAX",
            "REDUCE_MIN",
            "REDUCE_PROD",
            "REDUCE_ANY",
            "REDUCE_ALL",
        ),
        _REDUCTION,
    ),
    "REVERSE_V2": Operands(2, 2, axes=1, keeps_rank=True),
    "RESHAPE": Operands(1, 2),
    "SQUEEZE": Operands(1, 1),
    "EXPAND_DIMS": Operands(2, 2),
    "CAST": _ELEMENTWISE,
    "QUANTIZE": _ELEMENTWISE,
    "DEQUANTIZE": _ELEMENTWISE,
    "TRANSPOSE": Operands(2, 2, {1: 1}, axes=1, keeps_rank=True),
    "PAD": Operands(2, 2, {1: 2}, rows=1, keeps_rank=True),
    "PADV2": Operands(3, 3, {1: 2}, rows=1, keeps_rank=True),
    "MIRROR_PAD": Operands(2, 2, {1: 2}, rows=1, keeps_rank=True),
    "CONCATENATION": Operands(1, keeps_rank=True, axis=True),
    "PACK": Operands(1, axis=True),
    "UNPACK": Operands(1, 1),
    "SPLIT": Operands(2, 2),
    "SPLIT_V": Operands(3, 3, keeps_rank=True),
    "SLICE": Operands(3, 3, {1: 1, 2: 1}, keeps_rank=True),
    "STRIDED_SLICE": Operands(4, 4, {1: 1, 2: 1, 3: 1}),
    "TILE": Operands(2, 2, keeps_rank=True),
    "BROADCAST_TO": Operands(2, 2),
    "GATHER": Operands(2, 2),
    "GATHER_ND": Operands(2, 2),
    "DEPTH_TO_SPACE": _IMAGE,
    "SPACE_TO_DEPTH": _IMAGE,
    "SPACE_TO_BATCH_ND": Operands(3, 3, keeps_rank=True),
    "BATCH_TO_SPACE_ND": Operands(3, 3, keeps_rank=True),
    "RESIZE_BILINEAR": _IMAGE,
    "RESIZE_NEAREST_NEIGHBOR": _IMAGE,
    **dict.fromkeys(
        (
            "RELU",
            "RELU6",
            "RELU_N1_TO_1",
            "RELU_0_TO_1",
            "LEAKY_RELU",
            "LOGISTIC",
            "TANH",
            "HARD_SWISH",
            "ELU",
            "GELU",
            "EXP",
            "LOG",
            "SQRT",
            "RSQRT",
            "SQUARE",
            "ABS",
            "NEG",
            "SIN",
            "COS",
            "SIGN",
            "FLOOR",
            "CEIL",
            "ROUND",
            "SOFTMAX",
            "LOG_SOFTMAX",
        ),
        _ELEMENTWISE,
    ),
    "PRELU": Operands(2, 2, keeps_rank=True),
    **dict.fromkeys(
        (
            "ADD",
            "SUB",
            "MUL",
            "DIV",
            "MAXIMUM",
            "MINIMUM",
            "SQUARED_DIFFERENCE",
            "POW",
            "FLOOR_DIV",
            "FLOOR_MOD",
        ),
        _PAIR,
    ),
    "ADD_N": Operands(1, broadcasts=True),
    "SVDF": Operands(5, 5, {0: 2, 1: 2, 2: 2}),
    "RNN": Operands(5, 5, {1: 2, 2: 2}),
    "UNIDIRECTIONAL_SEQUENCE_RNN": Operands(5, 5, {0: 3, 1: 2, 2: 2}),
}
"""By operator; whatever is not here is imported by the shapes of its tensors alone."""


def check_operands(layer: Layer, tensors: Mapping[str, Tensor]) -> None:
    """Checks one operator.

    Args:
        layer: the operator.
        tensors: all that it names.

    Raises:
        DamagedError: if it cannot be what it says; names it.
    """
    wanted = OPERANDS.get(layer.op)
    if wanted is None:
        return
    _check_number(layer, wanted)
    given = [tensors[name].shape if name else () for name in layer.inputs]
    result = tensors[layer.outputs[0]].shape
    _check_ranks(layer, wanted, given, result)
    for name in wanted.counts:
        value = layer.attributes.get(name)
        if not isinstance(value, int) or value < 1:
            raise _misfit(layer, f"has {value} as its {name}")
    if wanted.broadcasts and not all(_broadcasts(shape, result) for shape in given):
        raise _misfit(layer, f"cannot make the shape {result} of {given}")
    _check_axes(layer, wanted, tensors, given[0], result)
    if wanted.weights is not None:
        place, read, out, into = wanted.weights
        weights, source = given[place], given[read]
        # A matrix multiplies whatever a source consists of, a window its channels.
        channels = source[-1] if len(weights) > 2 else math.prod(source)
        if result[-1:] != weights[out : out + 1] or (into >= 0 and channels % weights[into]):
            raise _misfit(layer, f"cannot multiply {source} and {weights} to {result}")


def _check_number(layer: Layer, wanted: Operands) -> None:
    count = len(layer.inputs)
    if count < wanted.least or 0 < wanted.most < count:
        raise _misfit(layer, f"has {count} inputs")
    if not all(layer.inputs[: wanted.least if wanted.most else None]):
        raise _misfit(layer, "leaves out an input that it needs")
    if not layer.outputs or not layer.outputs[0]:
        raise _misfit(layer, "has no output")


def _check_ranks(
    layer: Layer, wanted: Operands, given: Sequence[tuple[int, ...]], result: tuple[int, ...]
) -> None:
    asked = [(rank, given[place]) for place, rank in wanted.ranks.items() if place < len(given)]
    if wanted.result_rank:
        asked.append((wanted.result_rank, result))
    if wanted.keeps_rank:
        asked.append((len(result), given[0]))
    for rank, shape in asked:
        if len(shape) != rank:
            raise _misfit(layer, f"needs {rank} dimensions where the shape is {shape}")


def _check_axes(
    layer: Layer,
    wanted: Operands,
    tensors: Mapping[str, Tensor],
    first: tuple[int, ...],
    result: tuple[int, ...],
) -> None:
    rank = len(first)
    if wanted.axes >= 0:
        given = tensors[layer.inputs[wanted.axes]]
        named = set() if given.data is None else set(given.data.reshape(-1).tolist())
        if not all(-rank <= axis < rank for axis in named):
            raise _misfit(layer, f"names dimensions that the shape {first} has not")
        left = rank - len({axis % rank for axis in named})
        if given.data is not None and len(result) not in (rank, left):
            raise _misfit(layer, f"cannot make the shape {result} of {first}")
        if layer.op == "TRANSPOSE" and given.shape != (rank,):
            raise _misfit(layer, f"gives an order of {given.shape} for the shape {first}")
    if wanted.rows >= 0 and tensors[layer.inputs[wanted.rows]].shape != (rank, 2):
        raise _misfit(layer, f"has padding for other dimensions than those of {first}")
    axis = layer.attributes.get("axis", len(result))
    if wanted.axis and not -len(result) <= axis < len(result):
        raise _misfit(layer, f"has the axis {axis} for the shape {result}")


def _broadcasts(shape: tuple[int, ...], result: tuple[int, ...]) -> bool:
    """Tells whether an element-wise operator that reads a shape may make another one.

    Sizes of one count as open: a converter writes them for what it does not know.
    """
    ends = zip(reversed(shape), reversed(result), strict=False)
    return len(shape) <= len(result) and all(
        size == wide or (size and 1 in (size, wide)) for size, wide in ends
    )


def _misfit(layer: Layer, what: str) -> DamagedError:
    return DamagedError(f"the operator {layer.name!r} ({layer.op}) {what}")
