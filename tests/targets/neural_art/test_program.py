from __future__ import annotations

import json
from itertools import combinations, pairwise

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.testing import some_configurations

NETWORKS = ("resnet8", "squeezenet-128-c101", "mobilenet-v2-0.35-96")


def bound(name):
    return load_target("neural-art-stm32n6").bind(zoo_network(name))


def built(tmp_path, problem, configuration=None):
    artifact = problem.build(configuration or problem.space.default, tmp_path)
    return artifact, json.loads(artifact.files["model"].read_text(encoding="utf-8"))


@pytest.fixture(params=NETWORKS)
def some_built(request, tmp_path):
    problem = bound(request.param)
    space = problem.space
    return [
        built(tmp_path / str(number), problem, configuration)
        for number, configuration in enumerate(
            [space.default, *some_configurations(space, count=6, seed=3)]
        )
    ]


def test_a_program_has_the_metrics_of_its_evaluation(tmp_path):
    problem = bound("resnet8")
    artifact, program = built(tmp_path, problem)
    assert artifact.evaluation == problem.evaluate(problem.space.default)
    about = json.loads(artifact.files["configuration"].read_text(encoding="utf-8"))
    assert about["metrics"] == dict(artifact.evaluation.metrics)
    assert about["kind"] == "simulated"
    assert about["changes"] == {}
    assert program["format"] == "npu-tune/neural-art-program"
    assert (program["network"], program["target"]) == ("resnet8", "neural-art-stm32n6")


def test_epochs_follow_one_another_until_the_last_cycle(some_built):
    for artifact, program in some_built:
        epochs = program["epochs"]
        for before, after in pairwise(epochs):
            waited = after["waits_for_weights_cycles"]
            assert after["start_cycle"] == pytest.approx(
                before["start_cycle"] + before["cycles"] + waited
            )
        end = epochs[-1]["start_cycle"] + epochs[-1]["cycles"]
        assert end == pytest.approx(artifact.evaluation.metrics["cycles"])
        assert epochs[0]["start_cycle"] == epochs[0]["waits_for_weights_cycles"]


def test_every_layer_runs_in_one_epoch_in_the_order_of_the_profile(some_built):
    for artifact, program in some_built:
        layers = [layer for epoch in program["epochs"] for layer in epoch["layers"]]
        assert layers == list(artifact.evaluation.profile)


def test_buffers_in_use_at_one_time_do_not_overlap(some_built):
    for _, program in some_built:
        for one, other in combinations(program["buffers"], 2):
            in_time = (
                one["first_epoch"] <= other["last_epoch"]
                and other["first_epoch"] <= one["last_epoch"]
            )
            in_space = (
                one["address"] < other["address"] + other["size_bytes"]
                and other["address"] < one["address"] + one["size_bytes"]
            )
            assert not (in_time and in_space), (one, other)


def test_what_an_epoch_reads_is_in_use_while_it_runs(some_built):
    for _, program in some_built:
        maps = {b["name"]: b for b in program["buffers"] if b["kind"] in ("input", "feature_map")}
        for epoch in program["epochs"]:
            for name in epoch["reads"]:
                assert maps[name]["first_epoch"] <= epoch["index"] <= maps[name]["last_epoch"]
            assert maps[epoch["writes"]]["first_epoch"] == epoch["index"]


def test_the_used_bytes_of_pools_add_up_to_the_ram(some_built):
    for artifact, program in some_built:
        used = sum(pool["used_bytes"] for pool in program["pools"])
        assert used == artifact.evaluation.metrics["ram_bytes"]
        for pool in program["pools"]:
            assert pool["used_bytes"] <= pool["size_bytes"]


def test_weights_lie_one_after_the_other_in_flash(some_built):
    for artifact, program in some_built:
        weights = program["weights"]
        for before, after in pairwise(weights):
            assert before["address"] + before["size_bytes"] <= after["address"]
        stored = sum(each["size_bytes"] for each in weights)
        assert stored == artifact.evaluation.metrics["flash_bytes"]


def test_software_runs_on_the_cpu(tmp_path):
    _, program = built(tmp_path, bound("resnet8"))
    assert {epoch["unit"] for epoch in program["epochs"]} == {"npu", "cpu"}
    assert program["epochs"][-1]["unit"] == "cpu"
