"""Sets of operators that are imported alike, by the names of the two file formats."""

from __future__ import annotations

ONNX_CLIPPING = frozenset(
    {
        "Relu",
        "Clip",
        "LeakyRelu",
        "PRelu",
        "ThresholdedRelu",
    }
)
"""Piecewise linear element-wise functions, which cost nothing behind a convolution."""

ONNX_FUNCTIONS = frozenset(
    {
        "Sigmoid",
        "Tanh",
        "HardSigmoid",
        "HardSwish",
        "Swish",
        "Gelu",
        "Erf",
        "Elu",
        "Selu",
        "Celu",
        "Softplus",
        "Softsign",
        "Mish",
        "Exp",
        "Log",
        "Sqrt",
        "Reciprocal",
        "Abs",
        "Neg",
        "Sin",
        "Cos",
        "Tan",
        "Asin",
        "Acos",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
        "Acosh",
        "Atanh",
        "Sign",
        "Floor",
        "Ceil",
        "Round",
        "Shrink",
    }
)
"""Other element-wise functions of one input."""

TFLITE_CLIPPING = frozenset(
    {
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RELU_0_TO_1",
        "LEAKY_RELU",
        "PRELU",
    }
)
TFLITE_FUNCTIONS = frozenset(
    {
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
    }
)

ONNX_VIEWS = frozenset(
    {
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Identity",
        "Dropout",
        "Cast",
        "CastLike",
        "DequantizeLinear",
    }
)
"""No data moves."""
TFLITE_VIEWS = frozenset(
    {
        "SQUEEZE",
        "EXPAND_DIMS",
        "CAST",
    }
)

ONNX_CUTS = frozenset(
    {
        "Split",
        "Slice",
        "Expand",
        "Tile",
    }
)
"""Slices and repetitions; no data moves if the shape stays."""
TFLITE_CUTS = frozenset(
    {
        "SPLIT",
        "SPLIT_V",
        "SLICE",
        "STRIDED_SLICE",
        "UNPACK",
        "TILE",
        "BROADCAST_TO",
    }
)

ONNX_SHUFFLES = frozenset(
    {
        "Gather",
        "ReverseSequence",
        "DepthToSpace",
        "SpaceToDepth",
    }
)
"""Elements may move although the shape stays."""
TFLITE_SHUFFLES = frozenset(
    {
        "GATHER",
        "GATHER_ND",
        "REVERSE_V2",
        "DEPTH_TO_SPACE",
        "SPACE_TO_DEPTH",
        "SPACE_TO_BATCH_ND",
        "BATCH_TO_SPACE_ND",
    }
)

ONNX_ARITHMETIC = {
    "Add": "add",
    "Sum": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Max": "max",
    "Min": "min",
    "Mean": "mean",
}
"""Element-wise on two or more tensors, each with the name of its function."""
TFLITE_ARITHMETIC = {
    "ADD": "add",
    "ADD_N": "add",
    "SUB": "sub",
    "MUL": "mul",
    "DIV": "div",
    "MAXIMUM": "max",
    "MINIMUM": "min",
    "SQUARED_DIFFERENCE": "square",
}

CONSTANT_FIRST = frozenset(
    {
        *ONNX_ARITHMETIC,
        *TFLITE_ARITHMETIC,
        "CONCATENATION",
        "Concat",
        "MatMul",
        "PACK",
        "SPLIT",
        "TRANSPOSE_CONV",
    }
)
"""Operators whose first input may be constant while a later one is a feature map."""
