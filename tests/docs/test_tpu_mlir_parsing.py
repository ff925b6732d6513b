"""What the adapter for TPU-MLIR reads, from recorded outputs of version 1.30.2.

They are of the network of ``sophgo_network``: ``half`` in F16 at opt 2, ``int8`` in INT8 at opt 3.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import vendor
from adapter import group_numbers, tables
from grouping import CUT, FORBIDDEN, JOIN, boundaries, forbidden_groups
from mlir_text import NO_WORK, known_name, match_layers, owners, precision_of, read_operators
from timeline import Instruction, bytes_of, cycles_along, read_memory, read_record
from vendor import SetupError, Vendor, last_lines

RECORDED = Path(__file__).parent / "recorded"
KINDS = ("half", "int8")
NAMES = {
    "first": "active_Relu",
    "active": "active_Relu",
    "left": "left_Conv",
    "sum": "sum_Add",
    "pooled": "pooled_GlobalAveragePool",
    "flat": "flat_Flatten",
    "logits": "logits_Gemm",
    "y": "y_Softmax",
}


def text(kind: str, name: str) -> str:
    return (RECORDED / kind / name).read_text(encoding="utf-8")


def matching(kind: str):
    layers = json.loads(text(kind, "layers.json"))
    return match_layers(layers, read_operators(text(kind, "model.mlir")))


def owner(kind: str) -> dict[int, str]:
    return owners(read_operators(text(kind, "final.mlir")), matching(kind).layers_of)


def order_of(kind: str):
    lowered = read_operators(text(kind, "tpu.mlir"))
    return [each for each in lowered if each.kind not in NO_WORK]


def test_layers_get_the_name_of_what_they_are_joined_to():
    assert matching("half").name_of == NAMES
    assert matching("half").layers_of["active_Relu"] == ("first", "active")


def test_a_layer_that_nothing_is_made_of_has_no_name():
    lost = {"name": "lost", "operator": "Tile", "inputs": ["x"], "outputs": ["nowhere"]}
    operators = read_operators(text("half", "model.mlir"))
    assert match_layers([lost], operators).name_of == {}


def test_a_layer_that_several_read_is_not_taken_for_one_of_them():
    layers = [
        {"name": "a", "operator": "Relu", "inputs": ["x"], "outputs": ["a"]},
        {"name": "left", "operator": "Conv", "inputs": ["a"], "outputs": ["left"]},
        {"name": "sum", "operator": "Add", "inputs": ["a", "left"], "outputs": ["sum"]},
    ]
    operators = read_operators(text("half", "model.mlir"))
    assert match_layers(layers, operators).name_of == {"left": "left_Conv", "sum": "sum_Add"}


def test_an_operator_is_known_by_the_longest_name_that_it_goes_on_from():
    (softmax,) = (x for x in read_operators(text("int8", "final.mlir")) if x.kind == "tpu.Softmax")
    assert softmax.name != "y_Softmax"
    assert known_name(softmax, {"y", "y_Softmax"}) == "y_Softmax"
    assert known_name(softmax, {"y_Soft", "Softmax"}) == ""


@pytest.mark.parametrize(("kind", "precision"), [("half", "F16"), ("int8", "INT8")])
def test_the_precision_of_an_operator_is_that_of_what_it_computes(kind, precision):
    lowered = {each.name: each for each in read_operators(text(kind, "tpu.mlir"))}
    assert precision_of(lowered["left_Conv"]) == precision
    assert precision_of(lowered["sum_Add"]) == precision


@pytest.mark.parametrize("kind", KINDS)
def test_cycles_along_the_timeline_are_the_total(kind):
    record = read_record(text(kind, "profile.txt"))
    cycles = cycles_along(record.instructions, owner(kind), record.cycles)
    assert sum(cycles.values()) == pytest.approx(record.cycles)
    assert set(cycles) <= set(NAMES.values())
    assert sum(bytes_of(record.instructions, owner(kind)).values()) == record.dma_bytes


def test_the_record_has_what_the_compiler_sums_up():
    record = read_record(text("half", "profile.txt"))
    assert (record.cycles, record.dma_bytes) == (1378, 3032)
    assert max(each.end for each in record.instructions) == record.cycles


def test_parts_of_a_divided_network_run_one_after_the_other():
    one = text("half", "profile.txt")
    single, double = read_record(one), read_record(one + one)
    assert double.cycles == 2 * single.cycles
    assert max(each.end for each in double.instructions) == double.cycles


def test_a_profile_without_a_total_is_refused():
    with pytest.raises(ValueError, match="no line TCYC"):
        read_record("ENGINE_BD\n")


@pytest.mark.parametrize(("kind", "memory"), [("half", 41984), ("int8", 36736)])
def test_memory_is_that_of_the_device(kind, memory):
    assert read_memory(text(kind, "info.txt")) == memory
    with pytest.raises(ValueError, match="device mem size"):
        read_memory("net 0: [model]  static\n")


def test_what_overlaps_is_shared_and_what_waits_is_counted_to_what_comes():
    instructions = [
        Instruction(line=1, start=0, end=10, size=64),
        Instruction(line=2, start=4, end=10, size=0),
        Instruction(line=3, start=12, end=20, size=0),
    ]
    cycles = cycles_along(instructions, {1: "a", 2: "b", 3: "c"}, 20)
    assert cycles == {"a": 7.0, "b": 3.0, "c": 10.0}


def test_layers_of_one_group_have_one_number():
    numbers = group_numbers(read_operators(text("half", "final.mlir")), owner("half"))
    assert set(numbers) == set(NAMES.values())
    assert numbers["active_Relu"] == numbers["left_Conv"] == numbers["pooled_GlobalAveragePool"]
    assert numbers["y_Softmax"] == numbers["logits_Gemm"] + 1


def test_no_group_may_span_a_cut():
    order = order_of("half")
    names = [each.name for each in order]
    cut = names.index("left_Conv")
    entries = forbidden_groups(order, {"left_Conv": CUT})
    assert {each["group_cost"] for each in entries} == {FORBIDDEN}
    found = {(each["func_start_idx"], each["func_end_idx"]) for each in entries}
    assert found == {(a, b) for a in range(cut + 1) for b in range(cut + 1, len(order))}


def test_a_joined_layer_ends_no_group_and_the_next_begins_none():
    order = order_of("half")
    here = [each.name for each in order].index("left_Conv")
    found = {
        (each["func_start_idx"], each["func_end_idx"])
        for each in forbidden_groups(order, {"left_Conv": JOIN})
    }
    pairs = {(a, b) for b in range(len(order)) for a in range(b + 1)}
    assert found == {(a, b) for a, b in pairs if b == here or a == here + 1}


def test_a_join_reaches_over_what_converts():
    order = order_of("half")
    names = [each.name for each in order]
    here = names.index("sum_Add")
    assert order[here + 1].kind == "tpu.Cast"
    assert boundaries(order, {"sum_Add": JOIN}) == (set(), {here, here + 1})


def test_behind_the_last_operator_there_is_nothing_to_choose():
    order = order_of("half")
    assert boundaries(order, {"y_Softmax": CUT}) == (set(), set())


def test_the_most_frequent_precision_stands_for_the_others():
    assert tables({"a": "F16", "b": "F32", "c": "F16"}) == ("F16", {"b": "F32"})
    assert tables(dict.fromkeys("abc", "INT8")) == ("INT8", {})


def test_last_lines_are_those_that_say_something():
    said = "Start\n[###   ] 5%\rcost\nAssertion `false' failed.\n#31 0x00007fe3 main\nAborted\n"
    assert last_lines(said).endswith("Assertion `false' failed.")


def test_a_folder_without_the_compiler_is_refused(tmp_path):
    with pytest.raises(SetupError, match=r"setup\.sh"):
        Vendor(str(tmp_path))
    with pytest.raises(SetupError, match="TPU_MLIR_HOME"):
        Vendor("")


def set_up(*arguments: str, python: str) -> subprocess.CompletedProcess[str]:
    script = Path(vendor.__file__).with_name("setup.sh")
    environment = {**os.environ, "PYTHON310": python}
    return subprocess.run(
        ["sh", str(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_set_up_asks_for_a_folder():
    ended = set_up(python="python3.10")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "FOLDER" in ended.stderr


def test_the_set_up_refuses_any_other_python(tmp_path):
    for python in (sys.executable, "no-such-python"):
        ended = set_up(str(tmp_path / "home"), python=python)
        assert ended.returncode == 1
        assert "needs Python 3.10" in ended.stderr
        assert not (tmp_path / "home").exists()
