"""What a target promises, held against Arm's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from vela_command import vela_metrics

from npu_tune.errors import EvaluationError, ModelError, TargetError
from npu_tune.network import read_network
from npu_tune.network.zoo import zoo_network
from npu_tune.targets.ethos_u.family import ACCELERATORS, EthosUFamily
from npu_tune.testing import some_configurations

SHARED = (
    "mlperf_kws_dscnn",
    "mlperf_ad_autoencoder",
    "armzoo_ds_cnn_small_int16",
    "tflm_person_detect",
    "emza_yolo_fastest_face_320",
)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("system", ["u55", "u65"])
def test_the_default_equals_vela_exactly(request, shared_models, tmp_path, name, system):
    target = request.getfixturevalue(system)
    network = read_network(shared_models / "tflite" / f"{name}.tflite")
    with target.bind(network) as problem:
        found = problem.evaluate(problem.space.default).metrics
    for metric, value in vela_metrics(network, target, tmp_path).items():
        assert found[metric] == pytest.approx(value, rel=1e-12), metric


@pytest.mark.parametrize(
    "name", [name for name in ACCELERATORS if not name.startswith("ethos-u85")]
)
def test_every_accelerators_default_equals_velas(resnet8, tmp_path, name):
    target = EthosUFamily().make(name, {})
    with target.bind(resnet8) as problem:
        found = problem.evaluate(problem.space.default).metrics
    for metric, value in vela_metrics(resnet8, target, tmp_path).items():
        assert found[metric] == pytest.approx(value, rel=1e-12), metric


@pytest.mark.parametrize("options", [("--optimise", "Size"), ("--arena-cache-size", "30000")])
def test_network_wide_options_equal_those_of_the_command(resnet8_problem, tmp_path, options):
    knobs = {
        "--optimise": {"network/strategy": "Size"},
        "--arena-cache-size": {"network/arena_limit": 30000},
    }[options[0]]
    problem = resnet8_problem
    found = problem.evaluate(problem.space.default.replace(knobs)).metrics
    expected = vela_metrics(problem.network, problem.target, tmp_path, *options)
    assert {m: found[m] for m in expected} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("system", ["u55", "u65"])
def test_an_evaluation_equals_a_build(request, mobilenet, tmp_path, system):
    built = 0
    with request.getfixturevalue(system).bind(mobilenet) as problem:
        for configuration in some_configurations(problem.space, 6):
            try:
                evaluation = problem.evaluate(configuration)
            except EvaluationError as refused:
                with pytest.raises(type(refused)):
                    problem.build(configuration, tmp_path)
                continue
            artifact = problem.build(configuration, tmp_path)
            assert artifact.evaluation == evaluation
            built += 1
    assert built >= 3


def test_the_answer_depends_on_the_configuration_alone(resnet8_problem):
    configurations = some_configurations(resnet8_problem.space, 8)
    first = [resnet8_problem.evaluate(c) for c in configurations]
    again = [resnet8_problem.evaluate(c) for c in reversed(configurations)][::-1]
    fresh = subprocess.run(
        [sys.executable, "-c", _FRESH.format(configuration=configurations[3].to_json())],
        check=True,
        capture_output=True,
        text=True,
    )
    assert first == again
    assert json.loads(fresh.stdout.splitlines()[-1]) == dict(first[3].metrics)


_FRESH = """
import json
from npu_tune.network.zoo import zoo_network
from npu_tune.space import Configuration
from npu_tune.targets.ethos_u.family import EthosUFamily
configuration = Configuration.of(json.loads('{configuration}'))
network = zoo_network("resnet8", format="tflite")
with EthosUFamily().make("ethos-u55-128", {{}}).bind(network) as problem:
    print(json.dumps(dict(problem.evaluate(configuration).metrics)))
"""


def test_every_choice_on_shared_sram_compiles(resnet8_problem):
    for configuration in some_configurations(resnet8_problem.space, 20, seed=3):
        resnet8_problem.evaluate(configuration)


def test_configurations_with_the_same_effect_have_the_same_metrics(mobilenet_problem):
    problem, space = mobilenet_problem, mobilenet_problem.space
    changed = 0
    for configuration in some_configurations(space, 9, seed=1):
        effective = space.effective(configuration)
        changed += effective != configuration
        assert space.effective(effective) == effective
        assert problem.evaluate(configuration) == problem.evaluate(effective)
        assert problem.key(configuration) == problem.key(effective)
    assert changed


def test_the_profile_adds_up_to_the_total(mobilenet_problem):
    evaluation = mobilenet_problem.evaluate(mobilenet_problem.space.default)
    cost = mobilenet_problem.profile.cost
    total = sum(row[cost] for row in evaluation.profile.values())
    assert total == pytest.approx(evaluation.metrics["cycles"])
    peak = max(row["sram_bytes"] for row in evaluation.profile.values())
    assert peak <= evaluation.metrics["sram_bytes"]


def test_layers_of_the_space_are_rows_of_the_profile(mobilenet_problem):
    space = mobilenet_problem.space
    rows = mobilenet_problem.evaluate(space.default).profile
    assert set(space.layers) - {"network"} <= set(rows)


def test_a_build_leaves_the_model_and_its_configuration(resnet8_problem, tmp_path: Path):
    configuration = resnet8_problem.space.configuration({"network/strategy": "Size"})
    artifact = resnet8_problem.build(configuration, tmp_path)
    about = json.loads(artifact.files["configuration"].read_text())
    assert about["kind"] == "estimated"
    assert about["changes"] == {"network/strategy": "Size"}
    assert about["metrics"] == dict(artifact.evaluation.metrics)
    with pytest.raises(ModelError, match="already compiled by Vela"):
        read_network(artifact.files["model"])


def test_starts_are_legal_and_hold_something_better_than_the_default(resnet8_problem):
    base = resnet8_problem.evaluate(resnet8_problem.space.default).metrics
    costs = []
    for start in resnet8_problem.starts():
        found = resnet8_problem.evaluate(start.configuration).metrics
        costs.append(sum(found[m] / base[m] for m in ("cycles", "sram_bytes")) / 2)
    assert min(costs) < 0.95


def test_the_cpp_cores_own_metrics_stand_beside_the_baseline(resnet8_problem):
    (metrics,) = resnet8_problem.references().values()
    base = resnet8_problem.evaluate(resnet8_problem.space.default).metrics
    assert metrics.keys() == base.keys()
    assert metrics["cycles"] == pytest.approx(base["cycles"], rel=0.3)


def test_a_float_network_is_refused_with_the_reason(u55, shared_models):
    network = read_network(shared_models / "tflite" / "ultraface_slim_320_f32.tflite")
    with pytest.raises(ModelError, match="floating-point"):
        u55.bind(network)


def test_an_onnx_network_is_refused_with_the_way_out(u55):
    with pytest.raises(ModelError, match="npu-tune convert"):
        u55.bind(zoo_network("resnet8", format="onnx"))


def test_operators_on_the_cpu_are_named_unless_they_are_allowed(u55, shared_models):
    network = read_network(shared_models / "tflite" / "mcunet_vww.tflite")
    with pytest.raises(ModelError) as caught:
        u55.bind(network)
    assert len(caught.value.data["cpu_operators"]) == 4
    allowed = EthosUFamily().make("ethos-u55-128", {"allow_cpu": True})
    with allowed.bind(network) as problem:
        evaluation = problem.evaluate(problem.space.default)
    assert len([note for note in evaluation.notes if note.startswith("on the CPU")]) == 4
    assert evaluation.metrics["npu_share"] < 1


def test_a_truncated_file_is_a_model_error_and_nothing_is_printed(u55, resnet8, capfd):
    broken = type(resnet8)(
        "broken", "tflite", (), {}, (), (), resnet8.model_bytes[: len(resnet8.model_bytes) // 2]
    )
    with pytest.raises(ModelError, match=r"Vela cannot read 'broken': .*\w{4}"):
        u55.bind(broken)
    assert capfd.readouterr() == ("", "")


def test_what_velas_reader_prints_before_it_exits_becomes_the_message(u55, resnet8, capfd):
    damaged = resnet8.model_bytes[:8] + b"\xff" * 400 + resnet8.model_bytes[408:]
    broken = type(resnet8)("broken", "tflite", (), {}, (), (), damaged)
    with pytest.raises(ModelError, match="Invalid TFLite file"):
        u55.bind(broken)
    assert capfd.readouterr() == ("", "")


def test_a_system_that_does_not_fit_the_accelerator_is_refused(resnet8):
    target = EthosUFamily().make("ethos-u55-128", {"memory_mode": "Dedicated_Sram"})
    with pytest.raises(TargetError, match="Dedicated_Sram"):
        target.bind(resnet8)


@pytest.mark.slow
def test_ethos_u85_has_network_wide_knobs_and_builds(resnet8, tmp_path: Path):
    with EthosUFamily().make("ethos-u85-256", {}).bind(resnet8) as problem:
        assert problem.space.layers == ("network",)
        size = problem.space.configuration({"network/strategy": "Size"})
        artifact = problem.build(size, tmp_path)
        assert artifact.evaluation.metrics == problem.evaluate(size).metrics
    assert artifact.files["model"].stat().st_size > 10_000


def test_numbers_are_plain_python_numbers(resnet8_problem):
    evaluation = resnet8_problem.evaluate(resnet8_problem.space.default)
    numbers = [*evaluation.metrics.values()]
    numbers += [v for row in evaluation.profile.values() for v in row.values()]
    assert not any(isinstance(number, np.generic) for number in numbers)
