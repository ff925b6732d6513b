"""A network measured on this machine, from the search to the exported program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
from measured_cases import separable_network
from orphans import adopted_orphans

from npu_tune.network import load_network

pytestmark = pytest.mark.slow

CPU = ("--target", "cpu-onnxruntime", "--workers", 1, "--seed", 1)


@pytest.fixture
def model(here):
    path = here / "small.onnx"
    path.write_bytes(separable_network().model_bytes)
    return path


@pytest.fixture
def arrays(here):
    """Writes inputs of the network, and labels where they are given."""

    def save(name: str, *, count: int = 8, size: int = 16, **others) -> str:
        inputs = np.random.default_rng(3).uniform(-1, 1, (count, 3, size, size))
        np.savez(here / name, x=inputs.astype(np.float32), **others)
        return str(here / name)

    return save


def test_a_network_is_tuned_resumed_shown_and_exported(npu_tune, model, arrays):
    command = ("tune", model, *CPU, "--limit", "snr_db>=25", "--study", "s")
    calibrated = ("--calibration", arrays("inputs.npz"))
    first = npu_tune(*command, *calibrated, "--evaluations", 4, "--json")
    assert first.code == 0, first.err
    assert "random values" not in first.err
    document = first.document
    assert document["trials"]["finished"] == 4
    assert document["baseline"]["metrics"]["latency_ratio"] == pytest.approx(1.0, abs=0.5)
    assert document["best"]["metrics"]["snr_db"] >= 25
    more = npu_tune(*command, *calibrated, "--evaluations", 6, "--json")
    assert more.code == 0, more.err
    assert "Resumes" in more.err
    assert more.document["trials"]["finished"] == 6
    shown = npu_tune("show", "s")
    assert shown.code == 0, shown.err
    assert "latency_ratio" in shown.out
    exported = npu_tune("export", "s", "--out", "out", "--json")
    assert exported.code == 0, exported.err
    assert {"model", "script", "input", "configuration"} <= set(exported.document["files"])
    ran = subprocess.run(
        [sys.executable, exported.document["files"]["script"]],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert " ms" in ran.stdout.splitlines()[0]


def test_labelled_samples_give_an_accuracy(npu_tune, model, arrays):
    data = arrays("data.npz", labels=np.arange(8) % 5)
    ended = npu_tune(
        "tune", model, *CPU, "--data", data, "--evaluations", 2, "--study", "s", "--json"
    )
    assert ended.code == 0, ended.err
    metrics = ended.document["baseline"]["metrics"]
    assert metrics["accuracy_drop"] == 0.0
    assert 0.0 <= metrics["accuracy"] <= 1.0


def test_an_accuracy_of_ones_own_is_found_by_workers_too(npu_tune, model, arrays, here):
    (here / "own_scores.py").write_text("def third(outputs, labels):\n    return 1 / 3\n")
    data = arrays("data.npz", labels=np.linspace(0.0, 1.0, 8))
    ended = npu_tune(
        "tune", model, *CPU, "--data", data, "--accuracy", "own_scores:third",
        "--evaluations", 2, "--study", "s", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.document["baseline"]["metrics"]["accuracy"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "case",
    [
        ("--calibration", {"size": 8}, "shape"),
        ("--data", {"size": 8, "labels": [0] * 8}, "shape"),
        ("--data", {"labels": [0] * 7 + [5]}, "classes"),
        ("--data", {"labels": [-1] * 8}, "labels"),
        ("--data", {"labels": [0] * 7}, "labels"),
        ("--data", {}, "labels"),
        ("--calibration", {"z": [1.0]}, "'z'"),
    ],
)
def test_bad_data_are_refused_before_anything_is_measured(npu_tune, model, arrays, case):
    option, bad, said = case
    data = arrays("bad.npz", **bad)
    ended = npu_tune("tune", model, *CPU, option, data, "--evaluations", 2, "--study", "s")
    assert ended.code == 3
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not (model.parent / "s").exists()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--threads", "0"), 4),
        (("--threads", "9999"), 4),
        (("--accuracy", "math:sin"), 4),
        (("--data", "none.npz"), 3),
        (("--calibration", "none.npz"), 3),
    ],
)
def test_options_that_cannot_be_are_refused(npu_tune, model, options, code):
    ended = npu_tune("tune", model, *CPU, *options, "--evaluations", 2, "--study", "s")
    assert ended.code == code, ended.err
    assert "Traceback" not in ended.err


def test_tflite_is_refused_with_what_to_give_instead(npu_tune, here):
    path = here / "small.tflite"
    path.write_bytes(load_network("ds-cnn").model_bytes)
    ended = npu_tune("tune", path, *CPU, "--evaluations", 2)
    assert ended.code == 3
    assert "float ONNX" in ended.err


def test_a_limit_that_nothing_keeps_is_infeasible(npu_tune, model, arrays):
    data = arrays("data.npz", labels=np.arange(8) % 5)
    ended = npu_tune(
        "tune", model, *CPU, "--data", data, "--limit", "accuracy>=1.1",
        "--evaluations", 2, "--study", "s", "--json",
    )  # fmt: skip
    assert ended.code == 6, ended.err


def test_random_inputs_are_warned_of(npu_tune, model):
    ended = npu_tune("tune", model, *CPU, "--evaluations", 1, "--study", "s")
    assert ended.code == 0, ended.err
    assert "random values from -1 to 1" in ended.err


def test_the_space_of_a_network_is_listed(npu_tune, model):
    ended = npu_tune("space", model, "--target", "cpu-onnxruntime", "--json")
    assert ended.code == 0, ended.err
    assert "c1/precision" in json.dumps(ended.document) or "precision" in ended.out


def test_an_interrupted_study_ends_its_processes_and_goes_on(model, script, environment, npu_tune):
    scratch = model.parent / "scratch"
    scratch.mkdir()
    command = [*script, "tune", model, *CPU, "--evaluations", 400, "--study", "s"]
    with (
        adopted_orphans() as left,
        subprocess.Popen(
            list(map(str, command)),
            env=environment | {"TMPDIR": str(scratch)},
            cwd=model.parent,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        for line in running.stderr:
            if "/400, best" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read()
        assert running.wait(60) == 130
        assert left() == []
    assert "Traceback" not in rest
    assert not [path for path in scratch.iterdir() if path.is_dir()]
    finished = npu_tune("show", "s", "--json").document["trials"]["finished"]
    more = npu_tune("tune", model, *CPU, "--evaluations", finished + 1, "--study", "s", "--json")
    assert more.code == 0, more.err
    assert "Resumes" in more.err
