"""Small TFLite files whose parts are shared, so that they unpack to gigabytes, and damaged ones."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import flatbuffers
import tflite
from litert_operators import OPERATORS, operator_file
from mutations import mutants

from npu_tune.network import zoo_network

SHARED = ("name", "scale", "zero_point", "shape", "operands", "operators", "tensors", "graphs",
          "codes", "buffers", "custom")  # fmt: skip
"""What a file may refer to over and over again."""


def damaged(generator: random.Random) -> bytes:
    """A file of one operator, or a small network, with bytes or fields changed."""
    chance = generator.random()
    if chance < 0.12:
        content = _network(generator.choice(("ds-cnn", "resnet8")))
    else:
        content = _operator(generator.choice(OPERATORS))
    if chance > 0.95:
        return content[: generator.randrange(len(content))]
    if chance > 0.9:
        return content + generator.randbytes(generator.randrange(1, 2000))
    seed, which = generator.randrange(2**31), generator.randrange(2)
    return list(mutants(content, 2, seed=seed))[which]


@cache
def _operator(name: str) -> bytes:
    return operator_file(name).content()


@cache
def _network(name: str) -> bytes:
    return zoo_network(name, format="tflite").model_bytes


def bomb(generator: random.Random) -> bytes:
    """A file in which many places refer to one long list."""
    kind = generator.choice(SHARED)
    long = generator.choice((300, 3000, 20_000, 60_000))
    many = generator.choice((50, 1000, 5000, 20_000))
    return shared(kind, long, many)


def shared(kind: str, long: int, many: int) -> bytes:
    """A chain of additions of one vector, of which one part stands for many.

    Args:
        kind: one of :data:`SHARED`.
        long: entries of the list that is referred to.
        many: how often it is.
    """
    builder = flatbuffers.Builder(1 << 16)

    def size(of: str, otherwise: int = 1) -> int:
        return long if kind == of else otherwise

    def times(of: str, otherwise: int = 1) -> int:
        return many if kind == of else otherwise

    text = builder.CreateString("n" * size("name"))
    scale = _numbers(builder, "QuantizationParametersStartScaleVector", "Float32", size("scale"))
    zero = _numbers(
        builder, "QuantizationParametersStartZeroPointVector", "Int64", size("zero_point")
    )
    quantization = _table(builder, "QuantizationParameters", Scale=scale, ZeroPoint=zero)
    shape = _numbers(builder, "TensorStartShapeVector", "Int32", size("shape"), value=1)
    tensor = _table(
        builder, "Tensor", Shape=shape, Type=9, Buffer=0, Name=text, Quantization=quantization
    )
    tensors = _tables(
        builder,
        "SubGraphStartTensorsVector",
        tensor,
        max(times("tensors"), times("name"), times("scale"), times("zero_point"), times("shape"))
        + 1,
    )
    inputs = _numbers(builder, "OperatorStartInputsVector", "Int32", size("operands", 2))
    outputs = _numbers(builder, "OperatorStartOutputsVector", "Int32", 1, value=1)
    custom = _numbers(builder, "OperatorStartCustomOptionsVector", "Uint8", size("custom", 4))
    operator = _table(
        builder, "Operator", OpcodeIndex=0, Inputs=inputs, Outputs=outputs, CustomOptions=custom
    )
    operators = _tables(
        builder,
        "SubGraphStartOperatorsVector",
        operator,
        max(times("operands"), times("operators"), times("custom")),
    )
    given = _numbers(builder, "SubGraphStartInputsVector", "Int32", 1)
    made = _numbers(builder, "SubGraphStartOutputsVector", "Int32", 1, value=1)
    graph = _table(
        builder, "SubGraph", Tensors=tensors, Inputs=given, Outputs=made, Operators=operators
    )
    graphs = _tables(builder, "ModelStartSubgraphsVector", graph, times("graphs"))
    code = _table(builder, "OperatorCode", BuiltinCode=0, DeprecatedBuiltinCode=0)
    codes = _tables(builder, "ModelStartOperatorCodesVector", code, times("codes"))
    empty = _table(builder, "Buffer")
    buffers = _tables(builder, "ModelStartBuffersVector", empty, times("buffers"))
    model = _table(
        builder, "Model", Version=3, OperatorCodes=codes, Subgraphs=graphs, Buffers=buffers
    )
    builder.Finish(model, b"TFL3")
    return bytes(builder.Output())


def _numbers(builder: Any, start: str, kind: str, count: int, *, value: float = 0) -> int:
    getattr(tflite, start)(builder, count)
    prepend = getattr(builder, f"Prepend{kind}")
    for _ in range(count):
        prepend(value)
    return int(builder.EndVector())


def _tables(builder: Any, start: str, table: int, count: int) -> int:
    getattr(tflite, start)(builder, count)
    for _ in range(count):
        builder.PrependUOffsetTRelative(table)
    return int(builder.EndVector())


def _table(builder: Any, name: str, **fields: int) -> int:
    getattr(tflite, f"{name}Start")(builder)
    for field, value in fields.items():
        getattr(tflite, f"{name}Add{field}")(builder, value)
    return int(getattr(tflite, f"{name}End")(builder))
