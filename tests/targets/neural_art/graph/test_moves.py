"""What moves data although its shape stays, and what does not."""

from __future__ import annotations

import pytest
from imported_graphs import imported, kinds
from litert_operators import IMAGE
from tflite_files import TfliteFile

from npu_tune.targets.neural_art.graph import graph_of

SLICE = "a = Slice(x, starts, ends, axes, steps) y = Relu(a)"


def slices(start: int, end: int, step: int) -> dict[str, list[int]]:
    return {"starts": [start], "ends": [end], "axes": [2], "steps": [step]}


@pytest.mark.parametrize(
    ("constants", "expected"),
    [
        (slices(-1, -100, -1), ["copy", "activation+relu"]),
        (slices(0, 12, 1), ["activation+relu"]),
        (slices(0, 12, 2), ["copy", "activation+relu"]),
    ],
)
def test_a_slice_of_the_same_shape_moves_data_only_in_reverse(constants, expected) -> None:
    assert kinds(imported(SLICE, constants=constants)) == expected


@pytest.mark.parametrize(
    ("step", "expected"), [(-1, ["copy", "activation+relu"]), (1, ["activation+relu"])]
)
def test_a_strided_slice_of_tflite_moves_data_in_reverse(step: int, expected: list[str]) -> None:
    file = TfliteFile()
    x, a, y = (file.tensor(name, IMAGE) for name in "xay")
    begin = file.tensor("begin", data=[0, 0, 0, 0], dtype="int32")
    end = file.tensor("end", data=IMAGE, dtype="int32")
    steps = file.tensor("steps", data=[1, step, 1, 1], dtype="int32")
    file.operator("STRIDED_SLICE", [x, begin, end, steps], [a])
    file.operator("RELU", [a], [y])
    assert kinds(graph_of(file.ends([x], [y]).network())) == expected


@pytest.mark.parametrize(
    ("pads", "expected"),
    [
        ([0, 0, 1, 0, 0, 0, -1, 0], ["copy", "activation+relu"]),
        ([0] * 8, ["activation+relu"]),
    ],
)
def test_a_padding_that_shifts_moves_data_although_the_shape_stays(pads, expected) -> None:
    assert kinds(imported("a = Pad(x, pads) y = Relu(a)", constants={"pads": pads})) == expected
