"""The examples of docs/command.md, run as a reader runs them."""

from __future__ import annotations

import re
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from small_networks import network_of

import npu_tune
from npu_tune.network import load_network
from npu_tune.targets import load_target
from npu_tune.targets.command.settings import (
    CommandTable,
    KnobTable,
    MetricTable,
    ProfileTable,
    StartTable,
)

pytestmark = pytest.mark.slow

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLES = DOCS / "commands"
PAGE = (DOCS / "command.md").read_text()
VELA = {
    "system_config": "Ethos_U55_High_End_Embedded",
    "memory_mode": "Shared_Sram",
}


@pytest.fixture(autouse=True)
def _programs_of_this_environment(monkeypatch):
    """`python3` and `vela` are those of the environment that the tests run in."""
    folder = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", folder, prepend=":")


def example(name: str, arena_limits: tuple[int, ...] = ()):
    """The target of an example; Vela's arena limits depend on the network."""
    path = EXAMPLES / name / f"{name}.toml"
    if not arena_limits:
        return load_target("command", {"command": str(path)})
    table = tomllib.loads(path.read_text())
    table["argv"] = [str(path.parent / w) if w == "adapter.py" else w for w in table["argv"]]
    knob = next(each for each in table["knobs"] if each["name"] == "arena_limit")
    knob["values"] = [*arena_limits, "auto"]
    return load_target("command", {"command": table})


@pytest.mark.parametrize("name", ["ds-cnn", "resnet8", "fd-mobilenet-0.25-96", "st-mnist"])
def test_velas_command_gives_the_figures_of_our_own_target_for_every_option(name):
    network = load_network(name)
    with load_target("ethos-u55-128", VELA).bind(network) as own:
        shared = ("network/strategy", "network/arena_limit", "network/tensor_allocator")
        limits = own.space.by_name["network/arena_limit"].values[:-1]
        with example("vela", limits).bind(network) as theirs:
            assert {*theirs.space.by_name} == {*shared}
            for knob in theirs.space.knobs:
                for value in knob.values:
                    changes = {knob.full_name: value}
                    found = theirs.evaluate(changes).metrics
                    expected = own.evaluate(changes).metrics
                    assert found == {each: expected[each] for each in found}, changes


def test_the_program_that_the_page_begins_with_is_tuned_as_it_says(tmp_path):
    for name, language in (("lab.py", "python"), ("lab.toml", "toml")):
        block = re.search(rf"^ *```{language}\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
        (tmp_path / name).write_text(textwrap.dedent(block[1]))
    options = {"command": str(tmp_path / "lab.toml")}
    result = npu_tune.tune(
        "resnet8",
        "command",
        options=options,
        evaluations=20,
        study=tmp_path / "s",
        executor="inline",
    )
    assert result.best.cost < 0.5


def test_every_key_of_a_command_file_is_on_the_page():
    tables = (CommandTable, MetricTable, ProfileTable, KnobTable, StartTable)
    keys = {key for table in tables for key in table.model_fields}
    assert {key for key in keys if not re.search(rf"`\[*{key}\b", PAGE)} == set()


def test_an_optimiser_on_onnxruntime_measures_what_it_makes(tmp_path):
    network = network_of(
        "t = Conv(x, w) r = Relu(t) y = Conv(r, v)",
        {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3)},
        inputs="float[1,3,16,16] x",
    )
    inputs = np.random.default_rng(1).uniform(-1, 1, (6, 3, 16, 16)).astype(np.float32)
    with example("onnxruntime").calibrated({"x": inputs}).bind(network) as problem:
        first, last = (layer.name for layer in network.layers if layer.op == "Conv")
        plain = problem.evaluate({})
        assert plain.metrics["snr_db"] > 100
        one = problem.evaluate({f"{first}/precision": "int8"})
        both = problem.evaluate({f"{each}/precision": "int8" for each in (first, last)})
        assert plain.metrics["snr_db"] > one.metrics["snr_db"] > both.metrics["snr_db"] > 20
        assert all(each.metrics["latency_ms"] > 0 for each in (plain, one, both))
        artifact = problem.build({f"{first}/precision": "int8"}, tmp_path / "out")
    operators = {node.op_type for node in onnx.load(artifact.files["model"]).graph.node}
    assert operators & {"QLinearConv", "QuantizeLinear"}
