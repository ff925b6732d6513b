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


MAPS = ("input", "state", "feature_map", "rows")


def first(buffer):
    """The epoch and its member from which on a buffer is in use."""
    return buffer["first_epoch"], buffer["first_member"]


def last(buffer):
    return buffer["last_epoch"], buffer["last_member"]


def depth_first(space, halo, weights="stream"):
    """As many layers in segments as there can be, with all weights here or there."""
    changes = {}
    for knob in space.knobs:
        wanted = {"depth_first": True, "halo": halo, "weights": weights, "stripes": 4}
        value = wanted.get(knob.name)
        if value in knob.values:
            changes[knob.full_name] = value
    return space.effective(space.configuration(changes))


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
            [
                space.default,
                depth_first(space, "keep", "preload"),
                depth_first(space, "recompute", "resident"),
                *some_configurations(space, count=4, seed=3),
            ]
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
            in_time = first(one) <= last(other) and first(other) <= last(one)
            in_space = (
                one["address"] < other["address"] + other["size_bytes"]
                and other["address"] < one["address"] + one["size_bytes"]
            )
            assert not (in_time and in_space), (one, other)


def test_what_an_epoch_reads_is_in_use_while_it_runs(some_built):
    for _, program in some_built:
        maps = {b["name"]: b for b in program["buffers"] if b["kind"] in MAPS}
        for epoch in program["epochs"]:
            for name in epoch["reads"]:
                assert maps[name]["first_epoch"] <= epoch["index"] <= maps[name]["last_epoch"]
            assert maps[epoch["writes"]]["first_epoch"] == epoch["index"]
            for number, member in enumerate(epoch["members"]):
                for name in (*member["reads"], member["writes"]):
                    now = epoch["index"], number
                    assert first(maps[name]) <= now <= last(maps[name])


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


@pytest.mark.parametrize("halo", ["keep", "recompute"])
def test_a_segment_is_an_epoch_with_members_that_run_once_for_each_stripe(tmp_path, halo):
    problem = bound("mobilenet-v2-0.35-96")
    artifact, program = built(tmp_path, problem, depth_first(problem.space, halo))
    segments = [epoch for epoch in program["epochs"] if epoch["members"]]
    assert segments
    for epoch in segments:
        assert (epoch["halo"], epoch["stripes"] > 1) == (halo, True)
        layers = [layer for member in epoch["members"] for layer in member["layers"]]
        assert layers == epoch["layers"]
        *members, end = epoch["members"]
        assert {member["parts"] for member in members} == {epoch["stripes"]}
        assert end["parts"] == (1 if halo == "recompute" else epoch["stripes"])
        assert bool(end["layers"]) == (halo == "keep")
        assert sum(m["cycles"] for m in epoch["members"]) == pytest.approx(epoch["cycles"])
    for epoch in program["epochs"]:
        if not epoch["members"]:
            assert (epoch["stripes"], epoch["halo"]) == (1, None)
    parts = sum(epoch["parts"] for epoch in program["epochs"] if epoch["unit"] == "npu")
    assert parts == artifact.evaluation.metrics["hardware_epochs"]


@pytest.mark.parametrize("halo", ["keep", "recompute"])
def test_rows_between_members_have_buffers_of_their_own_kind(tmp_path, halo):
    problem = bound("mobilenet-v2-0.35-96")
    _, program = built(tmp_path, problem, depth_first(problem.space, halo, "preload"))
    kinds = {buffer["kind"] for buffer in program["buffers"]}
    assert kinds == {"input", "feature_map", "rows", "weights"}
    outside = {epoch["writes"] for epoch in program["epochs"]}
    inside = {m["writes"] for epoch in program["epochs"] for m in epoch["members"]} - outside
    assert {b["name"] for b in program["buffers"] if b["kind"] == "rows"} == inside


def test_preloaded_weights_arrive_in_the_moment_before_their_epoch(tmp_path):
    problem = bound("mobilenet-v2-0.35-96")
    _, program = built(tmp_path, problem, depth_first(problem.space, "keep", "preload"))
    weights = [buffer for buffer in program["buffers"] if buffer["kind"] == "weights"]
    for buffer in weights:
        assert buffer["last_epoch"] - buffer["first_epoch"] in {0, 1}
        before = program["epochs"][buffer["first_epoch"]]
        if buffer["last_epoch"] > buffer["first_epoch"]:
            assert buffer["first_member"] == max(0, len(before["members"]) - 1)


def test_resident_weights_are_in_use_throughout(tmp_path):
    problem = bound("resnet8")
    chosen = depth_first(problem.space, "keep", "resident")
    _, program = built(tmp_path, problem, chosen)
    resident = {each["layer"] for each in program["weights"] if each["resident"]}
    assert resident == {
        name.removesuffix("/weights") for name, value in chosen.items() if value == "resident"
    }
    blocks = [buffer for buffer in program["buffers"] if buffer["kind"] == "resident_weights"]
    assert {block["name"] for block in blocks} == {f"resident weights of {x}" for x in resident}
    for block in blocks:
        assert first(block) == (0, 0)
        assert block["last_epoch"] == len(program["epochs"]) - 1
