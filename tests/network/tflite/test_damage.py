"""Small files that stand for much, and what they may take."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
import pytest
import tflite

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.tflite.damage import DamagedError, Entries


def shared(**long: int) -> bytes:
    """A file of which all tensors, or operators, share one table with one long list.

    Args:
        long: by what is long (``shape``, ``scales``, ``zero_points``, ``name``, ``inputs``,
            ``options`` or ``data``), its length.
    """
    builder = flatbuffers.Builder(1 << 16)

    def numbers(values: Any, dtype: str) -> int:
        return builder.CreateNumpyVector(np.asarray(values, dtype))

    def tables(offset: int, count: int) -> int:
        builder.StartVector(4, count, 4)
        for _ in range(count):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    def table(kind: str, **fields: int) -> int:
        getattr(tflite, f"{kind}Start")(builder)
        for field, value in fields.items():
            getattr(tflite, f"{kind}Add{field}")(builder, value)
        return getattr(tflite, f"{kind}End")(builder)

    count = 2000
    elements = max(long.get("data", 1), long.get("scales", 1))
    scales, points = numbers([0.1] * long.get("scales", 1), "float32"), long.get("zero_points", 1)
    quantization = table(
        "QuantizationParameters", Scale=scales, ZeroPoint=numbers([0] * points, "int64")
    )
    shape = numbers([1] * long.get("shape", 0) + [elements], "int32")
    name = builder.CreateString("n" * long.get("name", 1))
    constant = table("Buffer", Data=numbers([1] * long["data"], "uint8")) if "data" in long else 0
    empty = table("Buffer")
    buffers = tables(constant or empty, 1)
    tensor = table("Tensor", Shape=shape, Type=9, Buffer=0, Name=name, Quantization=quantization)
    options = table("ReshapeOptions", NewShape=numbers([1] * long.get("options", 1), "int32"))
    inputs = numbers(np.arange(long.get("inputs", count)) % count, "int32")
    operator = table(
        "Operator",
        Inputs=inputs,
        Outputs=numbers([count - 1], "int32"),
        BuiltinOptionsType=tflite.BuiltinOptions.ReshapeOptions,
        BuiltinOptions=options,
    )
    ends = numbers([0], "int32")
    graph = table(
        "SubGraph",
        Tensors=tables(tensor, count),
        Inputs=ends,
        Outputs=ends,
        Operators=tables(operator, 3000 if {"inputs", "options"} & set(long) else 1),
    )
    code = table("OperatorCode", DeprecatedBuiltinCode=32, BuiltinCode=32)
    model = table(
        "Model",
        Version=3,
        OperatorCodes=tables(code, 1),
        Subgraphs=tables(graph, 1),
        Buffers=buffers,
    )
    builder.Finish(model, b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    "long",
    [
        {"scales": 5_000},
        {"zero_points": 5_000},
        {"name": 100_000},
        {"inputs": 10_000},
        {"options": 10_000},
        {"shape": 5_000},
        {"data": 2_000_000},
    ],
    ids=lambda long: next(iter(long)),
)
def test_lists_shared_by_many_are_refused_before_they_fill_the_memory(long) -> None:
    content = shared(**long)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError) as caught:
            network_from_bytes(content, "tflite", "bomb")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.remedy
    assert peak < 150e6


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises((DamagedError, ModelError)) as caught:
        read()
    return str(caught.value)


def test_a_list_longer_than_any_that_fits_the_file_is_not_made() -> None:
    entries = Entries(10, ReadingBudget("small"))
    made: list[int] = []
    assert entries.tables(30, made.append, "a list") == [None] * 30
    assert "a list has 11 entries" in refusal(lambda: entries.tables(11, made.append, "a list"))
    assert len(made) == 30


def test_a_large_file_ends_with_the_budget_of_all_files() -> None:
    entries = Entries(1 << 30, ReadingBudget("large", most_bytes=1000))
    words = refusal(lambda: entries.numbers(100, lambda: np.zeros(100), "the scales"))
    assert "'large' needs more than" in words
    assert "the scales" in words


def test_a_text_is_counted_too() -> None:
    entries = Entries(2, ReadingBudget("small"))
    assert entries.text(None, "a name") == ""
    assert entries.text(b"a" * 8, "a name") == "a" * 8
    assert "a name has 1 entries" in refusal(lambda: entries.text(b"a", "a name"))
