"""What each operator must be given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from litert_operators import OPERATORS, operator_file
from tflite_files import packed, unpacked

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes
from npu_tune.network.tflite.operands import OPERANDS


def test_operators_that_are_checked_are_operators() -> None:
    assert set(OPERANDS) <= set(OPERATORS)


@pytest.mark.parametrize("op", sorted(OPERANDS))
def test_a_small_file_of_each_operator_that_is_checked_is_read(op: str) -> None:
    assert op in {layer.op for layer in operator_file(op).network().layers}


@pytest.mark.parametrize("op", sorted(OPERANDS))
def test_an_operator_without_its_operands_is_refused(op: str) -> None:
    def drop(model: Any) -> None:
        model.subgraphs[0].operators[0].inputs = []

    assert "has 0 inputs" in refusal(op, drop)


def refusal(op: str, change: Callable[[Any], None]) -> str:
    model = unpacked(operator_file(op).content())
    change(model)
    with pytest.raises(ModelError) as caught:
        network_from_bytes(packed(model), "tflite", "changed")
    return str(caught.value)


def shape(position: int, *sizes: int) -> Callable[[Any], None]:
    """Gives a tensor another shape, and its constant as many bytes."""

    def change(model: Any) -> None:
        tensor = model.subgraphs[0].tensors[position]
        tensor.shape = list(sizes)
        if tensor.quantization is not None:
            tensor.quantization.scale = tensor.quantization.scale[:1]
            tensor.quantization.zeroPoint = tensor.quantization.zeroPoint[:1]
        data = model.buffers[tensor.buffer].data
        if data is not None:
            elements = 1
            for size in sizes:
                elements *= size
            model.buffers[tensor.buffer].data = [0] * elements * (4 if tensor.type == 2 else 1)

    return change


def option(name: str, value: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        setattr(model.subgraphs[0].operators[0].builtinOptions, name, value)

    return change


def no_options(model: Any) -> None:
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType, operator.builtinOptions = 0, None


def constant(position: int, *values: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        buffer = model.buffers[model.subgraphs[0].tensors[position].buffer]
        buffer.data = b"".join(value.to_bytes(4, "little", signed=True) for value in values)
        buffer.data = list(buffer.data)

    return change


@pytest.mark.parametrize(
    ("op", "change", "words"),
    [
        ("CONV_2D", shape(0, 8, 6, 4), "needs 4 dimensions where the shape is (8, 6, 4)"),
        ("CONV_2D", shape(1, 4, 3, 3, 3), "cannot multiply (1, 8, 6, 4) and (4, 3, 3, 3)"),
        ("CONV_2D", shape(1, 4, 3, 3, 8), "cannot multiply"),
        ("CONV_2D", shape(1, 5, 3, 3, 4), "cannot multiply"),
        ("CONV_2D", option("strideW", 0), "has 0 as its stride_w"),
        ("CONV_2D", option("dilationHFactor", -1), "has -1 as its dilation_hfactor"),
        ("CONV_2D", no_options, "has None as its stride_h"),
        ("DEPTHWISE_CONV_2D", shape(1, 1, 3, 3, 8), "cannot multiply"),
        ("FULLY_CONNECTED", shape(1, 4, 5), "cannot multiply (1, 16) and (4, 5)"),
        ("FULLY_CONNECTED", shape(0), "cannot multiply () and (4, 16)"),
        ("MAX_POOL_2D", option("filterHeight", 0), "has 0 as its filter_height"),
        ("MEAN", constant(1, 1, 7), "names dimensions that the shape"),
        ("MEAN", shape(2, 4), "cannot make the shape (4,) of (1, 8, 6, 4)"),
        ("TRANSPOSE", shape(1, 3), "gives an order of (3,)"),
        ("PAD", shape(1, 3, 2), "has padding for other dimensions"),
        ("CONCATENATION", option("axis", 4), "has the axis 4"),
        ("CONCATENATION", no_options, "has the axis 4"),
        ("ADD", shape(1, 1, 8, 6, 3), "cannot make the shape"),
        ("ADD", shape(2, 6, 4), "cannot make the shape"),
        ("RELU", shape(1, 8, 24), "needs 2 dimensions where the shape is (1, 8, 6, 4)"),
    ],
)
def test_operands_that_do_not_fit_are_refused_by_the_operator(
    op: str, change: Callable[[Any], None], words: str
) -> None:
    said = refusal(op, change)
    assert words in said
    assert f"({op})" in said


def test_an_activation_that_is_none_is_refused() -> None:
    said = refusal("CONV_2D", option("fusedActivationFunction", 77))
    assert "ActivationFunctionType 77" in said
