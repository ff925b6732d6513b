"""The files for the vendor's toolchain."""

from __future__ import annotations

import json

import onnx
import pytest

from npu_tune.network import load_network
from npu_tune.network.rewrite import compare_models, read_plan
from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target

DEPLOYABLE = load_target("neural-art-stm32n6", {"deployable": True})
FREE = load_target("neural-art-stm32n6")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A planned configuration with segments and constants in a pool, and what was built of it."""
    folder = tmp_path_factory.mktemp("export")
    with DEPLOYABLE.bind(zoo_network("mobilenet-v2-0.35-96", format="onnx")) as problem:
        starts = [start.configuration for start in problem.starts()]
        striped = [c for c in starts if any(c[name] for name in c if "/depth_first" in name)]
        configuration = striped[0].replace({"network/constants": "cpu"})
        yield problem, configuration, problem.build(configuration, folder), folder


def test_the_model_is_the_rewritten_network_with_the_same_outputs(built):
    problem, _, artifact, folder = built
    original = onnx.load_model_from_string(problem.network.model_bytes)
    rewritten = onnx.load_model(artifact.files["model"])
    assert compare_models(original, rewritten).identical
    plan = read_plan(folder / "rewrite.json")
    assert plan.segments
    names = {node.name for node in rewritten.graph.node}
    assert all(f"{plan.segments[0].layers[0]}/stripe1" in names for _ in plan.segments)


def test_the_model_of_the_rewritten_file_costs_nearly_what_was_promised(built):
    problem, configuration, artifact, _ = built
    promised = artifact.evaluation.metrics
    with DEPLOYABLE.bind(load_network(artifact.files["model"])) as again:
        options = {
            name: value
            for name, value in configuration.items()
            if name.startswith("network/") and name in again.space.by_name
        }
        found = again.evaluate(again.space.configuration(options)).metrics
    assert found["latency_ms"] == pytest.approx(promised["latency_ms"], rel=0.03)
    assert found["ram_bytes"] <= 1.02 * promised["ram_bytes"]
    del problem


def test_the_profile_names_the_pool_file_and_the_options(built):
    _, _, artifact, folder = built
    profile = json.loads(artifact.files["profile"].read_text())["Profiles"]["npu-tune"]
    assert (folder / profile["memory_pool"]).exists()
    assert "-O3" in profile["options"]
    assert "--Omax-ca-pipe 4" in profile["options"]


def test_the_pool_file_prefers_the_chosen_kind_and_flash_for_constants(built):
    _, _, artifact, _ = built
    pools = json.loads(artifact.files["pools"].read_text())["memory"]["mempools"]
    preferred = {
        pool["name"] for pool in pools if pool["prop"].get("constants_preferred") == "true"
    }
    assert preferred == {"cpuRAM2", "octoFlash"}
    assert {pool["name"]: pool["fname"] for pool in pools}["npuRAM5"] == "AXISRAM5"
    rights = {pool["name"]: pool["prop"]["rights"] for pool in pools}
    assert rights.pop("octoFlash") == "ACC_READ"
    assert set(rights.values()) == {"ACC_WRITE"}


def test_the_page_has_the_command_the_segments_and_all_rows_to_compare_with(built):
    _, _, artifact, _ = built
    page = artifact.files["page"].read_text()
    assert "stedgeai generate --model" in page
    assert "stripes" in page
    for row in ("shipped profile", "fastest network-wide", "least RAM", "this configuration"):
        assert f"| {row}" in page or row in page
    assert "bit for bit" in page


def test_a_configuration_without_stripes_exports_the_file_as_it_was(tmp_path):
    with DEPLOYABLE.bind(zoo_network("ds-cnn", format="onnx")) as problem:
        artifact = problem.build({}, tmp_path)
        assert artifact.files["model"].read_bytes() == problem.network.model_bytes
        assert "No layers were rewritten" in artifact.files["page"].read_text()


def test_without_the_option_people_are_told_that_nothing_can_be_flashed(tmp_path):
    network = zoo_network("ds-cnn", format="onnx")
    with FREE.bind(network) as free, DEPLOYABLE.bind(network) as deployable:
        assert any("not for flashing" in note for note in free.notes())
        assert deployable.notes() == ()
        assert "page" not in free.build({}, tmp_path).files
