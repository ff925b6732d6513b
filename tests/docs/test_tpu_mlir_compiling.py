"""The adapter for TPU-MLIR with the compiler itself, where TPU_MLIR_HOME names one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from grouping import execution_order
from mlir_text import read_operators
from sophgo_network import two_branches
from vendor import Vendor, prepare

from npu_tune.errors import CompilerError, TargetError
from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target

ADAPTER = Path(__file__).parents[2] / "docs" / "commands" / "tpu_mlir"
RECORDED = Path(__file__).parent / "recorded"
COMMAND = {"command": str(ADAPTER / "tpu_mlir.toml")}


@pytest.fixture(scope="module")
def problem(tpu_mlir: str):
    with load_target("command", COMMAND).bind(two_branches()) as bound:
        yield bound


def uniform(problem, precision: str, **network):
    values = {
        knob.full_name: precision for knob in problem.space.knobs if knob.name == "precision"
    }
    values |= {f"network/{name}": value for name, value in network.items()}
    return problem.space.configuration(values)


@pytest.fixture(scope="module")
def compiled(tpu_mlir: str, tmp_path_factory: pytest.TempPathFactory):
    """Runs the adapter by itself in a folder that stays."""
    base = tmp_path_factory.mktemp("compiled")
    network = two_branches()
    (base / "model.onnx").write_bytes(network.model_bytes)

    def run(name: str, network_knobs, layer_knobs) -> tuple[dict, Path]:
        folder = base / name
        folder.mkdir()
        request = {
            "model": str(base / "model.onnx"),
            "calibration": None,
            "network": network_knobs,
            "layers": [described(layer, layer_knobs) for layer in network.layers],
        }
        ended = subprocess.run(
            [sys.executable, str(ADAPTER / "adapter.py")],
            cwd=folder,
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(ended.stdout.splitlines()[-1]), folder

    return run


def described(layer, knobs) -> dict:
    return {
        "name": layer.name,
        "operator": layer.op,
        "inputs": list(layer.inputs),
        "outputs": list(layer.outputs),
        "knobs": dict(knobs.get(layer.name, {"precision": "half", "group": "vendor"})),
    }


def own_cycles(vendor: Vendor, ready: Path, folder: Path, options: list[str]) -> int:
    """The total of the vendor's model_deploy."""
    for name in ("model.mlir", "model_top_f32_all_weight.npz", "calibration"):
        (folder / name).symlink_to(ready / name)
    words = ["--mlir", "model.mlir", "--chip", "bm1684x", "--model", "m.bmodel", "--debug"]
    vendor.script("model_deploy", [*words, *options], folder)
    (line,) = (
        line
        for line in (folder / "compiler_profile_0.txt").read_text().splitlines()
        if line.startswith("TCYC")
    )
    return int(line.split(":")[1])


@pytest.mark.parametrize(
    ("precision", "opt", "options"),
    [
        ("half", 2, ["--quantize", "F16"]),
        ("half", 1, ["--quantize", "F16", "--opt", "1"]),
        ("F32", 3, ["--quantize", "F32", "--opt", "3"]),
        ("INT8", 2, ["--quantize", "INT8", "--calibration_table", "calibration"]),
    ],
)
def test_a_uniform_setting_costs_what_the_vendors_own_command_says(
    tpu_mlir, problem, tmp_path, *, precision, opt, options
):
    (tmp_path / "model.onnx").write_bytes(two_branches().model_bytes)
    vendor = Vendor(tpu_mlir)
    ready = prepare(vendor, tmp_path / "model.onnx", None)
    (tmp_path / "own").mkdir()
    found = problem.evaluate(uniform(problem, precision, opt=opt)).metrics["cycles"]
    assert found == own_cycles(vendor, ready, tmp_path / "own", options)


def test_the_same_configuration_costs_the_same_again(problem):
    first, second = (problem.evaluate(uniform(problem, "INT8")) for _ in range(2))
    assert first == second


def test_rows_of_the_profile_are_the_total(problem):
    found = problem.evaluate(uniform(problem, "half"))
    assert sum(row["cycles"] for row in found.profile.values()) == pytest.approx(
        found.metrics["cycles"]
    )
    assert set(found.profile) == {layer.name for layer in problem.network.layers}


def test_more_bits_keep_more(problem):
    noise = [
        problem.evaluate(uniform(problem, precision)).metrics["snr_db"]
        for precision in ("INT8", "half", "F32")
    ]
    assert noise == sorted(noise)
    assert noise[0] < 40 < noise[1] < 80 < noise[2]


def test_a_layer_gets_the_precision_that_is_asked_for_it(compiled):
    answer, folder = compiled("mixed", {}, {"left": {"precision": "F32"}})
    assert "left_Conv F32" in (folder / "precisions").read_text()
    lowered = {each.name: each for each in read_operators((folder / "tpu.mlir").read_text())}
    assert "xf32" in lowered["left_Conv"].type
    assert "xf16" in lowered["sum_Add"].type
    assert not any("left" in note for note in answer["notes"])


def test_a_cut_ends_a_group_and_opt_1_says_that_it_cannot(compiled):
    together, _ = compiled("vendor", {}, {})
    cut = {"left": {"precision": "half", "group": "cut"}}
    apart, _ = compiled("cut", {}, cut)
    rows = together["profile"], apart["profile"]
    assert rows[0]["left"]["group"] == rows[0]["sum"]["group"]
    assert rows[1]["left"]["group"] != rows[1]["sum"]["group"]
    assert apart["metrics"]["cycles"] != together["metrics"]["cycles"]
    ignored, _ = compiled("opt 1", {"opt": 1}, cut)
    assert any("opt 1" in note for note in ignored["notes"])


def test_operators_are_numbered_as_the_compiler_numbers_them(compiled):
    _, folder = compiled("numbered", {}, {"left": {"precision": "half", "group": "cut"}})
    order = execution_order(read_operators((folder / "sorted.mlir").read_text()))["subfunc_0"]
    (cache,) = folder.glob("*layer_group_cache.json")
    said = json.loads(cache.read_text())["subfunc_0"]
    for group in said["GroupLayer"]:
        numbers = range(group["func_start_idx"], group["func_end_idx"] + 1)
        assert {order[number].name for number in numbers} == set(group["locs"])
    for layer in said["GlobalLayer"][:-1]:  # the last one is the return
        assert order[layer["func_idx"]].name == layer["loc"]


def test_recorded_outputs_are_those_of_this_compiler(compiled):
    _, folder = compiled("recorded", {}, {})
    for name in ("model.mlir", "tpu.mlir", "final.mlir"):
        assert (folder / name).read_text() == (RECORDED / "half" / name).read_text()


def test_evaluations_at_a_time_prepare_a_network_once(tpu_mlir, tmp_path):
    (tmp_path / "model.onnx").write_bytes(two_branches().model_bytes)
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(prepare, Vendor(tpu_mlir), tmp_path / "model.onnx", None) for _ in range(2)
        ]
        ready = {each.result() for each in asked}
    assert len(ready) == 1
    assert {each.name for each in tmp_path.iterdir()} == {"model.onnx", ready.pop().name}


def test_given_samples_set_the_ranges(tpu_mlir):
    network = two_branches()
    target = load_target("command", COMMAND)
    far = {"x": np.full((4, 3, 8, 8), 100, np.float32)}
    with target.calibrated(far).bind(network) as given, target.bind(network) as seeded:
        configuration = uniform(given, "INT8")
        found = given.evaluate(configuration).metrics["snr_db"]
        assert found != seeded.evaluate(configuration).metrics["snr_db"]


def test_a_built_model_is_the_compilers(problem, tmp_path):
    artifact = problem.build(uniform(problem, "half"), tmp_path / "built")
    assert artifact.files["model"].stat().st_size > 10_000


@pytest.mark.slow
def test_a_crash_of_the_compiler_is_a_configuration_that_fails(tpu_mlir):
    ultraface: Network = zoo_network("ultraface", format="onnx")
    target = load_target("command", COMMAND)
    failing = pytest.raises(CompilerError, match="tpuc-opt ended with")
    with target.bind(ultraface) as problem, failing:
        problem.evaluate(uniform(problem, "half", opt=3))


def test_a_machine_without_the_compiler_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(os.environ, "TPU_MLIR_HOME", "")
    with pytest.raises(TargetError, match=r"setup\.sh"):
        load_target("command", COMMAND)


def test_the_settings_of_both_chips_fit_a_network(tpu_mlir):
    for name in ("tpu_mlir.toml", "bm1688.toml"):
        target = load_target("command", {"command": str(ADAPTER / name)})
        with target.bind(two_branches()) as problem:
            assert len(problem.starts()) == 11
            assert {knob.name for knob in problem.space.knobs} >= {"opt", "precision", "group"}
