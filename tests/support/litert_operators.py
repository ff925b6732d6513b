"""One small TFLite file for each operator of LiteRT's schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_files import TfliteFile

IMAGE = (1, 8, 6, 4)

OPERATORS = tuple(
    sorted(name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int))
)
"""Every operator of the schema."""

_SAME_SHAPE = [
    "ABS",
    "CEIL",
    "COS",
    "ELU",
    "EXP",
    "FAKE_QUANT",
    "FLOOR",
    "GELU",
    "HARD_SWISH",
    "L2_NORMALIZATION",
    "LEAKY_RELU",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOG",
    "LOGISTIC",
    "LOG_SOFTMAX",
    "NEG",
    "RELU",
    "RELU6",
    "RELU_0_TO_1",
    "RELU_N1_TO_1",
    "ROUND",
    "RSQRT",
    "SIGN",
    "SIN",
    "SOFTMAX",
    "SQRT",
    "SQUARE",
    "TANH",
    "ZEROS_LIKE",
    "BITCAST",
    "STABLEHLO_ABS",
    "STABLEHLO_CBRT",
    "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR",
    "STABLEHLO_LOG",
    "STABLEHLO_LOGISTIC",
    "STABLEHLO_NEGATE",
    "STABLEHLO_RSQRT",
    "STABLEHLO_TANH",
]
_PAIRS = [
    "ADD",
    "ATAN2",
    "BITWISE_XOR",
    "DIV",
    "FLOOR_DIV",
    "FLOOR_MOD",
    "MAXIMUM",
    "MINIMUM",
    "MUL",
    "POW",
    "RIGHT_SHIFT",
    "SQUARED_DIFFERENCE",
    "SUB",
    "STABLEHLO_ADD",
    "STABLEHLO_AND",
    "STABLEHLO_DIVIDE",
    "STABLEHLO_MAXIMUM",
    "STABLEHLO_MINIMUM",
    "STABLEHLO_MULTIPLY",
    "STABLEHLO_OR",
    "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER",
    "STABLEHLO_SHIFT_LEFT",
    "STABLEHLO_SUBTRACT",
]
_COMPARISONS = [
    "EQUAL",
    "GREATER",
    "GREATER_EQUAL",
    "LESS",
    "LESS_EQUAL",
    "NOT_EQUAL",
    "STABLEHLO_COMPARE",
]
_REDUCTIONS = ["MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"]


class _One:
    """A file of one operator that reads ``x`` and makes ``y``."""

    def __init__(self, op: str) -> None:
        self.op, self.file = op, TfliteFile()
        self.inputs: list[str | None] = []
        self.outputs: list[str] = []
        self.given: list[str] = []

    def reads(self, *shape: int, dtype: str = "int8", **about: Any) -> _One:
        name = f"x{len(self.inputs)}"
        self.file.tensor(name, shape, dtype, **about)
        self.inputs.append(name)
        if not about:
            self.given.append(name)
        return self

    def constant(self, value: Any, dtype: str = "int32", **about: Any) -> _One:
        return self.reads(dtype=dtype, data=value, **about)

    def weights(self, *shape: int, dtype: str = "int8") -> _One:
        values = np.random.default_rng(0).integers(-100, 100, shape)
        scales = () if dtype == "int32" else (0.01,)
        return self.constant(values, dtype, scales=scales)

    def nothing(self, count: int = 1) -> _One:
        self.inputs += [None] * count
        return self

    def makes(self, *shape: int, dtype: str = "int8") -> _One:
        name = f"y{len(self.outputs)}"
        self.outputs.append(self.file.tensor(name, shape, dtype))
        return self

    def done(self, **options: Any) -> TfliteFile:
        self.file.operator(self.op, self.inputs, self.outputs, **options)
        return self.file.ends(self.given, self.outputs)

    def before(self, op: str, *shape: int, **options: Any) -> TfliteFile:
        """Adds another operator behind, which reads the first output."""
        self.file.operator(self.op, self.inputs, self.outputs, **options)
        last = [self.file.tensor("z", shape)]
        self.file.operator(op, self.outputs[:1], last)
        return self.file.ends(self.given, last)

    def sizes(self, *shape: int) -> TfliteFile:
        """Adds a result that has the first output as its shape."""
        self.file.operator(self.op, self.inputs, self.outputs)
        last = [self.file.tensor("z", shape)]
        self.file.operator("BROADCAST_TO", [self.given[0], self.outputs[0]], last)
        return self.file.ends(self.given, last)


def operator_file(op: str) -> TfliteFile:
    """A file whose main graph has this operator, alone where it can be."""
    made = _One(op)
    if op in _SAME_SHAPE:
        return made.reads(*IMAGE).makes(*IMAGE).done()
    if op in _PAIRS:
        return made.reads(*IMAGE).reads(*IMAGE).makes(*IMAGE).done()
    if op in _COMPARISONS:
        return made.reads(*IMAGE).reads(*IMAGE).makes(*IMAGE, dtype="bool").done()
    if op in _REDUCTIONS:
        return made.reads(*IMAGE).constant([1, 2]).makes(1, 1, 1, 4).done(keepDims=True)
    return _FILES[op](made)


def _convolution(op: _One) -> TfliteFile:
    depthwise = op.op.startswith("DEPTHWISE")
    weights = (1, 3, 3, 4) if depthwise else (4, 3, 3, 4)
    op.reads(*IMAGE).weights(*weights).weights(4, dtype="int32").makes(*IMAGE)
    more = {"depthMultiplier": 1} if depthwise else {}
    return op.done(strideW=1, strideH=1, dilationWFactor=1, dilationHFactor=1, **more)


def _transposed_convolution(op: _One) -> TfliteFile:
    op.constant([1, 16, 12, 4]).weights(4, 2, 2, 4).reads(*IMAGE).makes(1, 16, 12, 4)
    return op.done(strideW=2, strideH=2, padding=1)


def _convolution_3d(op: _One) -> TfliteFile:
    options = dict.fromkeys(("strideD", "strideH", "strideW"), 1)
    if op.op == "CONV_3D_TRANSPOSE":
        op.constant([1, 4, 4, 4, 3]).weights(3, 3, 3, 3, 2)
    op.reads(1, 4, 4, 4, 2)
    if op.op == "CONV_3D":
        op.weights(3, 3, 3, 2, 3)
    return op.makes(1, 4, 4, 4, 3).done(**options)


def _pool(op: _One) -> TfliteFile:
    op.reads(*IMAGE).makes(1, 4, 3, 4)
    return op.done(filterWidth=2, filterHeight=2, strideW=2, strideH=2)


def _gates(op: _One) -> None:
    """Weights and biases of four gates, without peepholes and projection."""
    for _ in range(4):
        op.weights(3, 2)
    for _ in range(4):
        op.weights(3, 3)
    op.nothing(3)
    for _ in range(4):
        op.weights(3, dtype="int32")
    op.nothing(2)


def _lstm(op: _One) -> TfliteFile:
    """Four gates of three cells for two inputs, without peepholes and projection."""
    sequence = op.op != "LSTM"
    op.reads(*((1, 5, 2) if sequence else (1, 2)))
    _gates(op)
    op.reads(1, 3, is_variable=True).reads(1, 3, dtype="int16", is_variable=True)
    return op.nothing(4).makes(*((1, 5, 3) if sequence else (1, 3))).done()


def _bidirectional_lstm(op: _One) -> TfliteFile:
    op.reads(1, 5, 2)
    for _ in range(2):
        _gates(op)
    for _ in range(2):
        op.reads(1, 3, is_variable=True).reads(1, 3, dtype="int16", is_variable=True)
    return op.nothing(9).makes(1, 5, 6).done(mergeOutputs=True)


def _rnn(op: _One) -> TfliteFile:
    sequence = op.op != "RNN"
    op.reads(*((1, 5, 2) if sequence else (1, 2))).weights(3, 2).weights(3, 3)
    op.weights(3, dtype="int32").reads(1, 3, is_variable=True)
    return op.makes(*((1, 5, 3) if sequence else (1, 3))).done()


def _bidirectional_rnn(op: _One) -> TfliteFile:
    op.reads(1, 5, 2)
    for _ in range(2):
        op.weights(3, 2).weights(3, 3).weights(3, dtype="int32").reads(1, 3, is_variable=True)
    return op.nothing(3).makes(1, 5, 6).done(mergeOutputs=True)


def _svdf(op: _One) -> TfliteFile:
    op.reads(1, 8).weights(16, 8).weights(16, 10, dtype="int16").weights(16, dtype="int32")
    return op.reads(1, 160, dtype="int16", is_variable=True).makes(1, 16).done(rank=1)


def _while(op: _One) -> TfliteFile:
    """Also the other operators that run graphs; every one of these hands its input through."""
    file = op.file
    options = {
        "CALL": {"subgraph": 1},
        "IF": {"thenSubgraphIndex": 1, "elseSubgraphIndex": 2},
        "WHILE": {"condSubgraphIndex": 2, "bodySubgraphIndex": 1},
        "STABLEHLO_WHILE": {"condSubgraphIndex": 2, "bodySubgraphIndex": 1},
        "STABLEHLO_CASE": {"branchSubgraphIndices": [1, 2]},
        "STABLEHLO_COMPOSITE": {"decompositionSubgraphIndex": 1, "name": b"made.up"},
    }[op.op]
    if op.op in ("IF", "STABLEHLO_CASE"):
        op.reads(dtype="bool" if op.op == "IF" else "int32")
    op.reads(*IMAGE).makes(*IMAGE).done(**options)
    bodies = ("body",) if op.op in ("CALL", "STABLEHLO_COMPOSITE") else ("body", "other")
    for name in bodies:
        file.start_graph(name)
        ends = [file.tensor("a", IMAGE)], [file.tensor("b", IMAGE)]
        file.operator("RELU", *ends)
        file.ends(*ends)
    return file


def _variable(op: _One) -> TfliteFile:
    """A variable that a second graph sets once, and that the first one reads and writes."""
    file = op.file
    x = file.tensor("x", IMAGE)
    handle = file.tensor("handle", (), "resource")
    old, new = file.tensor("old", IMAGE), file.tensor("new", IMAGE)
    file.operator("CALL_ONCE", [], [], initSubgraphIndex=1)
    file.operator("VAR_HANDLE", [], [handle])
    file.operator("READ_VARIABLE", [handle], [old])
    file.operator("ADD", [x, old], [new])
    file.operator("ASSIGN_VARIABLE", [handle, new], [])
    file.ends([x], [new])
    file.start_graph("init")
    handle = file.tensor("handle", (), "resource")
    zeros = file.tensor("zeros", data=np.zeros(IMAGE), dtype="int8")
    file.operator("VAR_HANDLE", [], [handle])
    file.operator("ASSIGN_VARIABLE", [handle, zeros], [])
    file.ends([], [])
    return file


def _table(op: _One) -> TfliteFile:
    file = op.file
    x, found = file.tensor("x", (4,), "int64"), file.tensor("found", (4,), "int64")
    handle, size = file.tensor("handle", (), "resource"), file.tensor("size", (1,), "int64")
    keys = file.tensor("keys", data=[1, 2], dtype="int64")
    default = file.tensor("default", data=0, dtype="int64")
    file.operator("HASHTABLE", [], [handle])
    file.operator("HASHTABLE_IMPORT", [handle, keys, keys], [])
    file.operator("HASHTABLE_FIND", [handle, x, default], [found])
    file.operator("HASHTABLE_SIZE", [handle], [size])
    return file.ends([x], [found, size])


def _suppression(op: _One) -> TfliteFile:
    op.reads(20, 4, dtype="float32").reads(20, dtype="float32").constant(5)
    op.constant(0.5, "float32").constant(0.1, "float32")
    op.makes(5, dtype="int32")
    if op.op.endswith("V5"):
        op.constant(0.0, "float32").makes(5, dtype="float32")
    return op.makes(dtype="int32").done()


def _segments(op: _One) -> TfliteFile:
    op.reads(4, 3).constant([0, 0, 1, 1])
    if op.op.startswith("UNSORTED"):
        op.constant(2)
    return op.makes(2, 3).done()


_FILES: dict[str, Callable[[_One], TfliteFile]] = {
    "ADD_N": lambda op: op.reads(*IMAGE).reads(*IMAGE).reads(*IMAGE).makes(*IMAGE).done(),
    **dict.fromkeys(
        ("ARG_MAX", "ARG_MIN"),
        lambda op: op.reads(*IMAGE).constant(3).makes(1, 8, 6, dtype="int32").done(),
    ),
    **dict.fromkeys(("AVERAGE_POOL_2D", "L2_POOL_2D", "MAX_POOL_2D"), _pool),
    "BATCH_MATMUL": lambda op: op.reads(1, 4, 8).reads(1, 8, 5).makes(1, 4, 5).done(),
    "BATCH_TO_SPACE_ND": lambda op: (
        op.reads(4, 4, 3, 4).constant([2, 2]).constant([[0, 0], [0, 0]]).makes(*IMAGE).done()
    ),
    "BIDIRECTIONAL_SEQUENCE_LSTM": _bidirectional_lstm,
    "BIDIRECTIONAL_SEQUENCE_RNN": _bidirectional_rnn,
    "BROADCAST_ARGS": lambda op: (
        op.reads(4, dtype="int32").reads(4, dtype="int32").makes(4, dtype="int32").done()
    ),
    "BROADCAST_TO": lambda op: op.reads(1, 8, 1, 4).constant(IMAGE).makes(*IMAGE).done(),
    "BUCKETIZE": lambda op: (
        op.reads(*IMAGE, dtype="float32").makes(*IMAGE, dtype="int32").done(boundaries=[0.0, 1.0])
    ),
    **dict.fromkeys(("ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"), _variable),
    **dict.fromkeys(
        ("CALL", "IF", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "WHILE"),
        _while,
    ),
    **dict.fromkeys(
        ("CAST", "STABLEHLO_CONVERT"),
        lambda op: op.reads(*IMAGE).makes(*IMAGE, dtype="float32").before("RELU", *IMAGE),
    ),
    "COMPLEX_ABS": lambda op: (
        op.reads(*IMAGE, dtype="complex64").makes(*IMAGE, dtype="float32").done()
    ),
    **dict.fromkeys(
        ("IMAG", "REAL"),
        lambda op: op.reads(*IMAGE, dtype="complex64").makes(*IMAGE, dtype="float32").done(),
    ),
    "CONCATENATION": lambda op: op.reads(*IMAGE).reads(*IMAGE).makes(1, 8, 6, 8).done(axis=3),
    "CONCAT_EMBEDDINGS": lambda op: op.reads(1, 4).reads(1, 4).makes(1, 8).done(),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _convolution),
    **dict.fromkeys(("CONV_3D", "CONV_3D_TRANSPOSE"), _convolution_3d),
    "CUMSUM": lambda op: op.reads(*IMAGE).constant(1).makes(*IMAGE).done(),
    "CUSTOM": lambda op: op.reads(*IMAGE).makes(*IMAGE).done(custom=b"made-up"),
    "DELEGATE": lambda op: op.reads(*IMAGE).makes(*IMAGE).done(),
    "DENSIFY": lambda op: op.reads(4, 4).makes(4, 4).done(),
    "DEPTH_TO_SPACE": lambda op: op.reads(*IMAGE).makes(1, 16, 12, 1).done(blockSize=2),
    "DEQUANTIZE": lambda op: (
        op.reads(*IMAGE).makes(*IMAGE, dtype="float32").before("RELU", *IMAGE)
    ),
    "DILATE": lambda op: op.reads(4, 4).constant([2, 2]).constant(0, "int8").makes(7, 7).done(),
    **dict.fromkeys(
        ("DYNAMIC_UPDATE_SLICE", "STABLEHLO_DYNAMIC_UPDATE_SLICE"),
        lambda op: op.reads(*IMAGE).reads(1, 2, 6, 4).constant([0, 3, 0, 0]).makes(*IMAGE).done(),
    ),
    "EMBEDDING_LOOKUP": lambda op: op.reads(4, dtype="int32").weights(100, 8).makes(4, 8).done(),
    "EMBEDDING_LOOKUP_SPARSE": lambda op: (
        op.reads(3, dtype="int32")
        .constant([[0, 0], [0, 1], [1, 0]])
        .constant([2, 2])
        .constant([1.0, 1.0, 1.0], "float32")
        .constant(np.ones((10, 4)), "float32")
        .makes(2, 4, dtype="float32")
        .done()
    ),
    "EXPAND_DIMS": lambda op: op.reads(8, 6, 4).constant(0).makes(*IMAGE).before("RELU", *IMAGE),
    "FILL": lambda op: (
        op.constant(IMAGE).reads(dtype="float32").makes(*IMAGE, dtype="float32").done()
    ),
    "FULLY_CONNECTED": lambda op: (
        op.reads(1, 16).weights(4, 16).weights(4, dtype="int32").makes(1, 4).done()
    ),
    "GATHER": lambda op: op.reads(*IMAGE).constant([3, 1]).makes(1, 2, 6, 4).done(axis=1),
    "GATHER_ND": lambda op: op.reads(8, 6).constant([[3], [1]]).makes(2, 6).done(),
    **dict.fromkeys(("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"), _table),
    "HASHTABLE_LOOKUP": lambda op: (
        op.reads(3, dtype="int32")
        .constant([1, 5, 9])
        .weights(3, 4)
        .makes(3, 4)
        .makes(3, dtype="uint8")
        .done()
    ),
    **dict.fromkeys(
        ("LOGICAL_AND", "LOGICAL_OR"),
        lambda op: (
            op.reads(*IMAGE, dtype="bool")
            .reads(*IMAGE, dtype="bool")
            .makes(*IMAGE, dtype="bool")
            .done()
        ),
    ),
    "LOGICAL_NOT": lambda op: op.reads(*IMAGE, dtype="bool").makes(*IMAGE, dtype="bool").done(),
    "LSH_PROJECTION": lambda op: (
        op.constant(np.ones((2, 4)), "float32")
        .reads(5, 2, dtype="int32")
        .makes(2, dtype="int32")
        .done(type=1)
    ),
    **dict.fromkeys(("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"), _lstm),
    "MATRIX_DIAG": lambda op: op.reads(2, 4).makes(2, 4, 4).done(),
    "MATRIX_SET_DIAG": lambda op: op.reads(2, 4, 4).reads(2, 4).makes(2, 4, 4).done(),
    "MIRROR_PAD": lambda op: (
        op.reads(*IMAGE).constant([[0, 0], [1, 1], [1, 1], [0, 0]]).makes(1, 10, 8, 4).done()
    ),
    "MULTINOMIAL": lambda op: (
        op.reads(1, 4, dtype="float32").constant(6).makes(1, 6, dtype="int64").done()
    ),
    **dict.fromkeys(("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"), _suppression),
    "ONE_HOT": lambda op: (
        op.reads(4, dtype="int32")
        .constant(5)
        .constant(1, "int8")
        .constant(0, "int8")
        .makes(4, 5)
        .done(axis=-1)
    ),
    "PACK": lambda op: (
        op.reads(8, 6, 4).reads(8, 6, 4).makes(2, 8, 6, 4).done(valuesCount=2, axis=0)
    ),
    "PAD": lambda op: (
        op.reads(*IMAGE).constant([[0, 0], [1, 1], [1, 1], [0, 0]]).makes(1, 10, 8, 4).done()
    ),
    "PADV2": lambda op: (
        op.reads(*IMAGE)
        .constant([[0, 0], [1, 1], [1, 1], [0, 0]])
        .constant(3, "int8")
        .makes(1, 10, 8, 4)
        .done()
    ),
    "PLACEHOLDER_FOR_GREATER_OP_CODES": lambda op: op.reads(*IMAGE).makes(*IMAGE).done(),
    "PRELU": lambda op: op.reads(*IMAGE).weights(1, 1, 4).makes(*IMAGE).done(),
    "QUANTIZE": lambda op: op.reads(*IMAGE, dtype="float32").makes(*IMAGE).before("RELU", *IMAGE),
    **dict.fromkeys(
        ("RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"),
        lambda op: op.reads(4, dtype="int32").makes(*IMAGE, dtype="float32").done(),
    ),
    "RANGE": lambda op: (
        op.reads(dtype="int32").constant(9).constant(1).makes(9, dtype="int32").done()
    ),
    "RANK": lambda op: op.reads(1).makes(dtype="int32").sizes(1),
    **dict.fromkeys(
        ("REDUCE_ALL", "REDUCE_ANY"),
        lambda op: (
            op.reads(*IMAGE, dtype="bool").constant([1]).makes(1, 6, 4, dtype="bool").done()
        ),
    ),
    "REDUCE_WINDOW": lambda op: (
        op.reads(8, 6)
        .constant(0, "int8")
        .constant([2, 2], "int64")
        .constant([2, 2], "int64")
        .constant([1, 1], "int64")
        .makes(4, 3)
        .done()
    ),
    **dict.fromkeys(
        ("RESHAPE", "STABLEHLO_RESHAPE"),
        lambda op: op.reads(*IMAGE).constant([1, 192]).makes(1, 192).before("RELU", 1, 192),
    ),
    **dict.fromkeys(
        ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
        lambda op: op.reads(*IMAGE).constant([16, 12]).makes(1, 16, 12, 4).done(),
    ),
    "REVERSE_SEQUENCE": lambda op: (
        op.reads(2, 8, 4).constant([3, 5]).makes(2, 8, 4).done(seqDim=1, batchDim=0)
    ),
    "REVERSE_V2": lambda op: op.reads(*IMAGE).constant([1]).makes(*IMAGE).done(),
    "RFFT2D": lambda op: (
        op.reads(1, 8, 8, dtype="float32")
        .constant([8, 8])
        .makes(1, 8, 5, dtype="complex64")
        .done()
    ),
    **dict.fromkeys(("RNN", "UNIDIRECTIONAL_SEQUENCE_RNN"), _rnn),
    "SCATTER_ND": lambda op: (
        op.constant([[1], [3]]).reads(2, 4).constant([8, 4]).makes(8, 4).done()
    ),
    **dict.fromkeys(
        ("SEGMENT_SUM", *(f"UNSORTED_SEGMENT_{f}" for f in ("MAX", "MIN", "PROD", "SUM"))),
        _segments,
    ),
    **dict.fromkeys(
        ("SELECT", "SELECT_V2", "STABLEHLO_SELECT"),
        lambda op: op.reads(*IMAGE, dtype="bool").reads(*IMAGE).reads(*IMAGE).makes(*IMAGE).done(),
    ),
    "SHAPE": lambda op: op.reads(*IMAGE).makes(4, dtype="int32").sizes(*IMAGE),
    "SKIP_GRAM": lambda op: op.reads(4, dtype="int32").makes(6, dtype="int32").done(ngramSize=2),
    "SLICE": lambda op: (
        op.reads(*IMAGE).constant([0, 1, 0, 0]).constant([1, 4, 6, 4]).makes(1, 4, 6, 4).done()
    ),
    "SPACE_TO_BATCH_ND": lambda op: (
        op.reads(*IMAGE).constant([2, 2]).constant([[0, 0], [0, 0]]).makes(4, 4, 3, 4).done()
    ),
    "SPACE_TO_DEPTH": lambda op: op.reads(*IMAGE).makes(1, 4, 3, 16).done(blockSize=2),
    "SPARSE_TO_DENSE": lambda op: (
        op.constant([[0], [2]]).constant([4]).reads(2).constant(0, "int8").makes(4).done()
    ),
    "SPLIT": lambda op: (
        op.constant(3).reads(*IMAGE).makes(1, 8, 6, 2).makes(1, 8, 6, 2).done(numSplits=2)
    ),
    "SPLIT_V": lambda op: (
        op.reads(*IMAGE)
        .constant([1, 3])
        .constant(3)
        .makes(1, 8, 6, 1)
        .makes(1, 8, 6, 3)
        .done(numSplits=2)
    ),
    "SQUEEZE": lambda op: op.reads(*IMAGE).makes(8, 6, 4).before("RELU", 8, 6, 4, squeezeDims=[0]),
    "STRIDED_SLICE": lambda op: (
        op.reads(*IMAGE)
        .constant([0, 0, 0, 0])
        .constant(IMAGE)
        .constant([1, 2, 1, 1])
        .makes(1, 4, 6, 4)
        .done()
    ),
    "SVDF": _svdf,
    "TILE": lambda op: op.reads(*IMAGE).constant([1, 2, 1, 1]).makes(1, 16, 6, 4).done(),
    "TOPK_V2": lambda op: (
        op.reads(1, 48).constant(5).makes(1, 5).makes(1, 5, dtype="int32").done()
    ),
    **dict.fromkeys(
        ("TRANSPOSE",),
        lambda op: op.reads(*IMAGE).constant([0, 2, 1, 3]).makes(1, 6, 8, 4).done(),
    ),
    "TRANSPOSE_CONV": _transposed_convolution,
    "UNIQUE": lambda op: op.reads(8).makes(8).makes(8, dtype="int32").done(),
    "UNPACK": lambda op: op.reads(2, 8, 4).makes(8, 4).makes(8, 4).done(num=2, axis=0),
    "WHERE": lambda op: op.reads(8, dtype="bool").makes(8, 1, dtype="int64").done(),
    "STABLEHLO_BROADCAST_IN_DIM": lambda op: (
        op.reads(4).constant([3], "int64").makes(*IMAGE).done()
    ),
    "STABLEHLO_CLAMP": lambda op: op.reads().reads(*IMAGE).reads().makes(*IMAGE).done(),
    "STABLEHLO_CONCATENATE": lambda op: (
        op.reads(*IMAGE).reads(*IMAGE).makes(1, 8, 6, 8).done(dimension=3)
    ),
    "STABLEHLO_CONVOLUTION": lambda op: (
        op.reads(*IMAGE)
        .weights(3, 3, 4, 5)
        .makes(1, 8, 6, 5)
        .done(windowStrides=[1, 1], kernelOutputFeatureDimension=3)
    ),
    "STABLEHLO_CUSTOM_CALL": lambda op: (
        op.reads(*IMAGE).makes(*IMAGE).done(callTargetName="made-up")
    ),
    "STABLEHLO_DOT_GENERAL": lambda op: (
        op.reads(4, 8)
        .reads(8, 5)
        .makes(4, 5)
        .done(lhsContractingDimensions=[1], rhsContractingDimensions=[0])
    ),
    "STABLEHLO_DYNAMIC_SLICE": lambda op: (
        op.reads(8, 4).constant(1).constant(0).makes(3, 4).done(sliceSizes=[3, 4])
    ),
    "STABLEHLO_GATHER": lambda op: (
        op.reads(8, 4).constant([[1], [3]]).makes(2, 4).done(sliceSizes=[1, 4])
    ),
    "STABLEHLO_IOTA": lambda op: op.makes(8, dtype="int32").done(iotaDimension=0),
    "STABLEHLO_PAD": lambda op: (
        op.reads(8, 4).constant(0, "int8").makes(10, 4).done(edgePaddingLow=[1, 0])
    ),
    "STABLEHLO_REDUCE": lambda op: (
        op.reads(8, 4).constant(0, "int8").makes(8).done(dimensions=[1])
    ),
    "STABLEHLO_REDUCE_WINDOW": lambda op: (
        op.reads(8, 6).constant(0, "int8").makes(4, 3).done(windowDimensions=[2, 2])
    ),
    "STABLEHLO_RNG_BIT_GENERATOR": lambda op: (
        op.reads(2, dtype="uint64").makes(2, dtype="uint64").makes(*IMAGE, dtype="uint32").done()
    ),
    "STABLEHLO_SCATTER": lambda op: op.reads(8, 4).constant([[1]]).reads(1, 4).makes(8, 4).done(),
    "STABLEHLO_SLICE": lambda op: (
        op.reads(8, 4).makes(3, 4).done(startIndices=[0, 0], limitIndices=[3, 4], strides=[1, 1])
    ),
    "STABLEHLO_SORT": lambda op: op.reads(8, 4).makes(8, 4).done(dimension=1),
    "STABLEHLO_TRANSPOSE": lambda op: op.reads(8, 4).makes(4, 8).done(permutation=[1, 0]),
}
