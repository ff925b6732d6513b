from __future__ import annotations

import pytest
from ncnn_cases import NcnnCase, convolutions

from npu_tune.targets.ncnn.back_end import NcnnBackEnd
from npu_tune.targets.ncnn.engine import BIN, PARAM, PORTS, NcnnEngine
from npu_tune.targets.ncnn.knobs import CpuChoices
from npu_tune.targets.ncnn.plan import BF16, CHAINED, FLOAT, INT8


@pytest.fixture(scope="module")
def back_end():
    case = NcnnCase(convolutions())
    return NcnnBackEnd(
        case.layered,
        case.program,
        choices=CpuChoices(case.program, (1,)),
        engine=NcnnEngine(),
        feeds=case.feeds,
    )


@pytest.fixture(scope="module")
def space(back_end):
    return back_end.space


def test_layers_with_choices_are_those_with_weights(back_end):
    assert [layer.name for layer in back_end.layers] == ["c1", "c2", "c3", "c4", "c5", "y"]


def test_three_files_are_written(back_end, space, tmp_path):
    options = back_end.write(space.default, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {PARAM, BIN, PORTS}
    assert back_end.main_file == PARAM
    assert options == {"packing": True, "fp16": "off"}


def test_the_same_configuration_is_written_alike_twice(back_end, space, tmp_path):
    chosen = space.configuration({"c2/precision": INT8, "c2/range": "mse"})
    contents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        back_end.write(chosen, tmp_path / name)
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert contents[0] == contents[1]


def test_a_range_changes_the_weights_alone(back_end, space, tmp_path):
    contents = []
    for method in ("minmax", "p99.9"):
        back_end.write(space.configuration({"c2/precision": INT8, "c2/range": method}), tmp_path)
        contents.append(((tmp_path / PARAM).read_bytes(), (tmp_path / BIN).read_bytes()))
    assert contents[0][0] == contents[1][0]
    assert contents[0][1] != contents[1][1]


@pytest.mark.parametrize(
    ("label", "layer"),
    [
        ("r1", "c1"),
        ("r1:split", "c1"),
        ("r2", "c2"),
        ("r2:float", "c2"),
        ("s", "c4"),
        ("p", "c4"),
        ("y", "y"),
        ("x", ""),
        ("nothing", ""),
    ],
)
def test_what_ncnn_times_belongs_to_the_layer_before(back_end, label, layer):
    assert back_end.layer_of(label) == layer


def test_weights_in_int8_take_less(back_end, space):
    whole = back_end.constant_bytes(space.default)
    coded = back_end.constant_bytes(space.configuration({"c2/precision": INT8}))
    assert whole["c2"] == 4 * (32 * 20 + 32)
    assert coded["c2"] == 32 * 20 + 4 * 32 + 4 * 32 + 4
    assert coded["c1"] == whole["c1"]


def test_a_layer_in_float_loses_nothing(back_end, space):
    chosen = space.configuration({"c1/winograd": False, "c2/precision": INT8})
    assert back_end.noisy_choice(chosen, "c1") is None


@pytest.mark.parametrize("precision", [INT8, BF16])
def test_a_layer_that_loses_something_is_tried_alone(back_end, space, precision):
    chosen = space.configuration({"c2/precision": precision, "c4/precision": INT8})
    alone = back_end.noisy_choice(chosen, "c2")
    assert alone.difference(space.default) == {"c2/precision": precision}


def test_a_chained_layer_alone_is_not_chained(back_end, space):
    chosen = space.configuration({"c2/precision": CHAINED, "c3/precision": INT8})
    alone = back_end.noisy_choice(chosen, "c2")
    assert alone.difference(space.default) == {"c2/precision": INT8}


def test_in_int8_takes_all_but_depthwise_layers_and_no_winograd(back_end, space):
    chosen = back_end.in_int8(["c1", "c2", "c3", "y"])
    assert chosen.difference(space.default) == {
        "c1/precision": INT8,
        "c1/winograd": False,
        "c2/precision": INT8,
        "y/precision": INT8,
    }
    assert chosen["c3/precision"] == FLOAT


def test_work_is_counted_in_multiply_accumulates(back_end):
    assert back_end.work("c1") == 20 * 16 * 16 * 3 * 9
    assert back_end.work("c3") == 32 * 16 * 16 * 9
    assert back_end.work("y") == 10 * 24
