"""The industrial case runs as a whole, and says what it finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bearing import SKF_6205
from classifier import NETWORKS, Architecture, Block, first_parameters, folded
from customer import likely_range, table
from deployed import interfaces
from devices import DEVICES, Device, Inputs, Limits, tune_device
from float_onnx import MOST_DIFFERENCE, difference_from_jax, float_onnx, onnx_logits
from industrial import FOLDER, Plan, main, run, with_tables
from modulation import ORDER_STEP, modulation_image
from recordings import INPUT, PARTS, Recordings, machines_of, make_recordings, save_inputs
from training import TrainingSettings, predicted_logits
from vibration import CLASSES, RATE_HZ, SAMPLES, draw_machine, record

from npu_tune.errors import ModelError, UsageError
from npu_tune.network import read_network

SMALL = Plan(
    machines=(6, 3, 2),
    each=(8, 4, 6),
    training=TrainingSettings(epochs=6, batch=16),
    architecture=Architecture(8, (Block(16), Block(32, stride=2), Block(32))),
    evaluations=5,
)


def recorded(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_the_fault_frequencies_are_those_that_the_rigs_page_states():
    # Case Western Reserve University, "Bearing information", of the SKF 6205 at the drive end.
    assert SKF_6205.bpfi == pytest.approx(5.4152, abs=2e-4)
    assert SKF_6205.bpfo == pytest.approx(3.5848, abs=2e-4)
    assert 2 * SKF_6205.bsf == pytest.approx(4.7135, abs=2e-4)
    assert SKF_6205.ftf == pytest.approx(0.39828, abs=1e-4)


def test_what_passes_both_rings_is_what_there_is():
    assert SKF_6205.bpfi + SKF_6205.bpfo == pytest.approx(SKF_6205.elements)
    assert SKF_6205.bpfo == pytest.approx(SKF_6205.elements * SKF_6205.ftf)


@pytest.mark.parametrize("label", [1, 2, 3])
def test_a_fault_pulses_at_its_own_order(label):
    orders = [SKF_6205.bpfo, SKF_6205.bpfi, 2 * SKF_6205.bsf]
    generator = np.random.default_rng(1)
    quiet = replace(draw_machine(generator), harmonics=(), rattle_db=-90.0)
    images = [modulation_image(*record(quiet, label, generator)) for _ in range(12)]
    loudest = np.mean(images, axis=(0, 1, 2))
    strengths = [loudest[round(order / ORDER_STEP) - 1] for order in orders]
    assert int(np.argmax(strengths)) == label - 1


def test_gain_changes_nothing_that_the_network_sees():
    generator = np.random.default_rng(0)
    signal, speed = record(draw_machine(generator), 1, generator)
    assert len(signal) == SAMPLES
    again = modulation_image(100.0 * signal, speed)
    np.testing.assert_allclose(again, modulation_image(signal, speed), atol=1e-4)
    assert RATE_HZ == 12_800


def test_the_same_seed_makes_the_same_recordings_and_another_one_others():
    def made(seed):
        return make_recordings("test", machines=1, each=1, seed=seed)

    np.testing.assert_array_equal(made(3).images, made(3).images)
    assert not np.array_equal(made(3).images, made(4).images)


def test_every_part_has_machines_of_its_own():
    resonances = [
        machine.resonances_hz for part in PARTS for machine in machines_of(part, 12, seed=0)
    ]
    assert len(set(resonances)) == 36


@pytest.mark.parametrize("architecture", [SMALL.architecture, Architecture()])
def test_the_exported_network_computes_what_jax_does(architecture):
    parameters = folded(architecture, *first_parameters(architecture, seed=0))
    images = np.random.default_rng(0).normal(size=(2, 1, 64, 64)).astype(np.float32)
    model = float_onnx(architecture, parameters)
    assert difference_from_jax(model, architecture, parameters, images) <= MOST_DIFFERENCE
    wrong = {**parameters, "dense/bias": parameters["dense/bias"] + 1.0}
    with pytest.raises(RuntimeError, match="differs from JAX"):
        difference_from_jax(model, architecture, wrong, images)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What a small form of everything says, and its folder."""
    folder = tmp_path_factory.mktemp("industrial")
    return run(SMALL, folder, say=lambda _: None), folder


@pytest.mark.slow
def test_the_table_has_every_device_with_the_kind_of_its_numbers(whole):
    result, folder = whole
    kinds = {row["device"]: row["kind"] for row in result["devices"]}
    assert list(kinds) == [device.title for device in DEVICES]
    assert list(kinds.values()) == ["estimated", "simulated", "simulated", "measured"]
    text = (folder / "table.md").read_text(encoding="utf-8")
    assert all(f"| {title} |" in text for title in kinds)
    assert json.loads((folder / "result.json").read_text(encoding="utf-8")) == result


@pytest.mark.slow
def test_the_network_learns_more_than_to_guess(whole):
    result, _ = whole
    assert result["devices"][0]["accuracy_float"] > 1.2 / len(CLASSES)
    assert sum(map(sum, result["test"]["float"])) == result["recordings"]["test"]


@pytest.mark.slow
def test_what_was_exported_is_where_it_is_said_to_be(whole):
    result, folder = whole
    for row, device in zip(result["devices"], DEVICES, strict=True):
        assert row["files"]
        assert all((folder / device.folder / "deploy" / name).exists() for name in row["files"])
    compiled = folder / "ethos-u55-128" / "deploy" / "bearing_ethos-u55-128.tflite"
    source = folder / "bearing.tflite"
    assert interfaces(compiled.read_bytes()) == interfaces(source.read_bytes())
    assert compiled.read_bytes() != source.read_bytes()


@pytest.mark.slow
def test_the_int8_file_needs_no_operators_that_pad(whole):
    _, folder = whole
    ops = {layer.op for layer in read_network(folder / "bearing.tflite").layers}
    assert {"CONV_2D", "DEPTHWISE_CONV_2D"} <= ops
    assert "PAD" not in ops


@pytest.mark.slow
def test_only_the_cpu_has_noise_and_only_the_neural_art_an_energy(whole):
    result, _ = whole
    *simulated, cpu = result["devices"]
    assert cpu["time_spread"] > 0
    assert all(row["time_spread"] == 0 and row["time_interval"] is None for row in simulated)
    told = [row["target"] for row in result["devices"] if row["energy_ratio"] is not None]
    assert set(told) == {"neural-art-stm32n6"}


@pytest.mark.slow
def test_a_limit_that_cannot_be_met_stands_in_the_table(whole, tmp_path):
    _, folder = whole
    inputs = Inputs(
        folder / "bearing.onnx",
        folder / "bearing.tflite",
        folder / "calibration.npz",
        folder / "labelled.npz",
    )
    limits = Limits(memory_share=0.01)
    tuned = tune_device(DEVICES[1], inputs, limits, tmp_path, evaluations=5)
    assert tuned.result.best is None
    assert tuned.chosen.metrics["ram_bytes"] > tuned.memory_limit
    assert tuned.artifact.files["model"].exists()


def test_a_row_says_which_limit_is_not_met():
    row = recorded("wide")["devices"][0]
    assert "not met: accuracy" in table([row | {"limits_met": {"accuracy": False}}])


@pytest.mark.slow
def test_labels_that_do_not_fit_are_refused_in_one_sentence(whole, tmp_path):
    _, folder = whole
    cpu: Device = DEVICES[-1]
    given = make_recordings("tuning", machines=1, each=1, seed=0)
    wrong = Recordings(given.images, given.labels + 7, given.machines)
    inputs = Inputs(
        folder / "bearing.onnx",
        folder / "bearing.tflite",
        folder / "calibration.npz",
        save_inputs(tmp_path / "labelled.npz", wrong, labelled=True),
    )
    with pytest.raises(ModelError, match="4 classes"):
        tune_device(cpu, inputs, Limits(), tmp_path, evaluations=2)
    few = {INPUT: given.images[:2], "labels": given.labels}
    np.savez(tmp_path / "labelled.npz", **few)
    with pytest.raises(ModelError, match="2 samples"):
        tune_device(cpu, inputs, Limits(), tmp_path, evaluations=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--accuracy-loss", "-0.1"], "loss of accuracy is -0.1"),
        (["--memory-share", "0"], "share of memory is 0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path)]) == UsageError.exit_code
    assert message in capsys.readouterr().err


def test_the_interval_of_an_accuracy_is_wilsons():
    low, high = likely_range(0.5, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert likely_range(1.0, 10)[1] == pytest.approx(1.0)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_shows_the_recorded_tables(name):
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"<!-- {name} -->" in page
    fresh = with_tables(page, name, recorded(name))
    assert fresh == page, "run industrial.py --record and read the page again"


def test_the_recorded_files_are_small():
    assert all(path.stat().st_size < 200_000 for path in Path(FOLDER).iterdir() if path.is_file())


def test_the_network_decides_by_its_greatest_logit():
    architecture = SMALL.architecture
    parameters = folded(architecture, *first_parameters(architecture, seed=1))
    images = np.random.default_rng(1).normal(size=(5, 1, 64, 64)).astype(np.float32)
    ours = predicted_logits(architecture, parameters, images)
    theirs = onnx_logits(float_onnx(architecture, parameters), images)
    np.testing.assert_array_equal(ours.argmax(axis=1), theirs.argmax(axis=1))
