from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured_cases import ScriptedEngine, graph_of, separable_network

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    IllegalConfigurationError,
    InaccurateOutputError,
    NpuTuneWarning,
    WorkerLostError,
)
from npu_tune.space import Configuration, Knob, SearchSpace
from npu_tune.targets import load_target
from npu_tune.targets.measured import machine, problem
from npu_tune.targets.measured.fidelity import Fidelity
from npu_tune.targets.measured.layers import FoldedLayer
from npu_tune.targets.measured.messages import Measurement
from npu_tune.targets.measured.problem import MeasuredProblem
from npu_tune.targets.measured.rounds import RoundSettings, Timing

QUICK = RoundSettings(timed=1, least=4, most=4, seconds=1.0, patience=0.0)


class ScriptedBackEnd:
    """Two layers, and a knob that says what the library does."""

    engine = ScriptedEngine()

    def __init__(self) -> None:
        names = ("first", "second")
        layers = graph_of(separable_network()).layers
        self.layers = tuple(
            FoldedLayer(name, layer.node) for name, layer in zip(names, layers, strict=False)
        )
        does = ("", "nan", "refuse", "crash")
        self.space = SearchSpace(
            (
                Knob("network", "does", does, ""),
                *(Knob(name, "precision", ("float32", "int8"), "float32") for name in names),
            )
        )
        self.full_for = ""

    def write(self, configuration: Configuration, folder: Path) -> Mapping[str, Any]:
        if self.full_for and folder.name.startswith(self.full_for):
            raise OSError(28, "No space left on device")
        (folder / "net.bin").write_text(configuration.to_json())
        return {"does": configuration["network/does"]}

    def layer_of(self, label: str) -> str:
        return {"sum": "first"}.get(label, "")

    def constant_bytes(self, configuration: Configuration) -> Mapping[str, int]:
        return {"first": 12}

    def noisy_choice(self, configuration: Configuration, layer: str) -> Configuration | None:
        return self.in_int8([layer]) if configuration[f"{layer}/precision"] == "int8" else None

    def in_int8(self, layers) -> Configuration:
        return self.space.default.replace({f"{name}/precision": "int8" for name in layers})

    def work(self, layer: str) -> float:
        return 1.0

    def script(self, configuration: Configuration) -> str:
        return "print(1)\n"


@pytest.fixture(autouse=True)
def scratch(tmp_path_factory, monkeypatch):
    """Temporary folders of these tests alone, so that others may run beside them."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))


@pytest.fixture
def back_end() -> ScriptedBackEnd:
    return ScriptedBackEnd()


@pytest.fixture
def scripted(back_end):
    feed = {"x": np.ones((1, 16), np.float32)}
    fidelity = Fidelity(
        feeds=(feed, feed),
        reference=((np.full((1, 2), 16.0, np.float32),),) * 2,
        softmax_axes=(None,),
        compared=2,
    )
    with MeasuredProblem(
        load_target("cpu-onnxruntime"), separable_network(), back_end, fidelity, rounds=QUICK
    ) as opened:
        yield opened


@pytest.fixture
def measured():
    """The separable network in onnxruntime, timed no longer than need be."""
    opened = load_target("cpu-onnxruntime").bind(separable_network())
    opened._rounds = QUICK
    with opened:
        yield opened


def temporary_folders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob("npu-tune-*") if path.is_dir()}


def test_an_evaluation_has_every_metric_and_a_row_per_layer(scripted):
    evaluation = scripted.evaluate({"first/precision": "int8"})
    assert set(evaluation.metrics) == {metric.name for metric in scripted.metrics}
    assert evaluation.metrics["snr_db"] > 140
    assert evaluation.metrics["peak_memory_bytes"] >= evaluation.metrics["run_memory_bytes"]
    assert set(evaluation.spread) == {"latency_ratio"}
    assert set(evaluation.profile) == {"first", "second"}
    assert evaluation.profile["first"]["ms"] == pytest.approx(1.0)
    assert evaluation.profile["first"]["bytes"] == 12
    assert evaluation.profile["second"] == {"ms": 0.0, "noise": 0.0, "bytes": 0.0}


def test_what_has_no_layer_counts_to_the_one_before_it(scripted):
    rows = scripted._profile_of(
        scripted.space.default, {"unknown": 1.0, "sum": 0.002, "reorder": 0.003}
    )
    assert rows["first"]["ms"] == pytest.approx(5.0)


def test_an_output_that_is_no_number_is_inaccurate(scripted):
    with pytest.raises(InaccurateOutputError, match="not a number"):
        scripted.evaluate({"network/does": "nan"})


def test_what_the_library_refuses_is_a_compiler_error(scripted):
    with pytest.raises(CompilerError, match="no network of mine"):
        scripted.evaluate({"network/does": "refuse"})


def test_a_crash_is_one_of_its_configuration(scripted):
    with pytest.raises(CompilerCrashError, match="SIGSEGV"):
        scripted.evaluate({"network/does": "crash"})
    scripted.evaluate({})


def test_an_unknown_knob_is_illegal(scripted):
    with pytest.raises(IllegalConfigurationError):
        scripted.evaluate({"third/precision": "int8"})


@pytest.mark.parametrize("folder", ["tmp", "reference"])
def test_a_full_disk_harms_its_own_evaluation_alone(scripted, back_end, folder):
    back_end.full_for = folder
    with pytest.raises(WorkerLostError, match="No space"):
        scripted.evaluate({})
    back_end.full_for = ""
    scripted.evaluate({})


def test_noise_is_none_in_float_and_is_measured_once(scripted):
    whole = scripted.space.default.replace({"first/precision": "int8"})
    assert scripted.noise(whole, "second") == 0.0
    assert 0.0 < scripted.noise(whole, "first") < 1e-12
    alone = scripted._noise
    assert list(alone) == [scripted._back_end.in_int8(["first"])]
    scripted.noise(whole, "first")
    assert len(alone) == 1


def test_files_live_as_long_as_the_problem(scripted):
    before = temporary_folders()
    scripted.evaluate({})
    (mine,) = temporary_folders() - before
    # Of what was evaluated nothing is left but the references.
    left = {path.name for path in (Path(tempfile.gettempdir()) / mine).iterdir()}
    assert left == {"reference", "reference-int8"}
    scripted.close()
    assert temporary_folders() <= before
    scripted.close()
    scripted.evaluate({})
    scripted.close()
    assert temporary_folders() <= before


def test_a_temporary_folder_that_somebody_removed_is_made_again(scripted):
    before = temporary_folders()
    scripted.evaluate({})
    (mine,) = temporary_folders() - before
    shutil.rmtree(Path(tempfile.gettempdir()) / mine)
    scripted.evaluate({})
    scripted.close()
    assert temporary_folders() <= before


def test_nothing_is_started_before_it_is_needed(scripted):
    before = temporary_folders()
    assert scripted.space.default
    assert scripted.key({})
    assert temporary_folders() == before


def timing(wall_share: float) -> Timing:
    return Timing(1.0, 0.01, 1.0, (1.0,), 6, wall_share)


@pytest.mark.parametrize(
    ("changes", "ratio"), [({}, 1.0), ({"first/precision": "int8"}, 1 / 1.21)]
)
def test_what_int8_lost_to_the_machine_is_given_back_to_the_time_in_int8(scripted, changes, ratio):
    measurement = Measurement(
        outputs=(), timing=timing(1.0), layer_seconds={"sum": 0.002}, drift=1.21
    )
    evaluation = scripted._evaluation(scripted.space.complete(changes), measurement, {})
    assert evaluation.metrics["latency_ratio"] == pytest.approx(ratio)


def test_a_busy_machine_is_noted_with_how_long_others_had_it():
    measurement = problem.Measurement(outputs=(), timing=timing(2.0))
    assert problem._notes(measurement) == (
        "Other programs held the processor for 50% of the time.",
    )
    assert problem._notes(problem.Measurement(outputs=(), timing=timing(1.1))) == ()


def test_a_busy_machine_is_warned_of_when_a_network_is_bound(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (1e3, 0.0, 0.0))
    with pytest.warns(NpuTuneWarning, match="busy"):
        load_target("cpu-onnxruntime").bind(separable_network()).close()
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        load_target("cpu-onnxruntime").bind(separable_network()).close()


def test_no_more_workers_are_of_use_than_there_are_cores(scripted, back_end, monkeypatch):
    monkeypatch.setattr(problem, "usable_cores", lambda: (0, 1, 2, 3))
    back_end.engine = replace(ScriptedEngine(), threads=2)
    target, network = scripted.target, scripted.network
    assert MeasuredProblem(target, network, back_end, scripted._fidelity).most_workers == 2
    back_end.engine = replace(ScriptedEngine(), threads=8)
    assert MeasuredProblem(target, network, back_end, scripted._fidelity).most_workers == 1


def test_starts_lead_from_the_default_over_int8_to_what_keeps_its_decibels(measured):
    starts = list(measured.starts())
    assert [start.label for start in starts[:2]] == ["default", "int8"]
    assert starts[0].configuration == measured.space.default
    assert len({start.configuration for start in starts}) == len(starts)
    for start in starts[2:]:
        promised = float(start.label.split()[2])
        assert measured._decibels(start.configuration) >= promised
        assert "int8" in start.configuration.values()


def test_starts_are_the_same_every_time(measured):
    first = [start.configuration for start in measured.starts()]
    with load_target("cpu-onnxruntime").bind(separable_network()) as again:
        assert [start.configuration for start in again.starts()] == first


def test_a_build_is_what_was_evaluated_with_all_that_runs_it(measured, tmp_path):
    changes = {"c1/precision": "int8", "network/optimization": "extended"}
    artifact = measured.build(changes, tmp_path / "out")
    assert set(artifact.files) >= {"model", "script", "input", "configuration"}
    assert artifact.files["model"].name == "model.onnx"
    with np.load(artifact.files["input"]) as sample:
        assert sample["x"].shape == (1, 3, 16, 16)
        assert list(sample) == ["x"]
    about = json.loads(artifact.files["configuration"].read_text())
    assert about["changes"] == changes
    assert set(artifact.evaluation.metrics) == {metric.name for metric in measured.metrics}


def test_building_into_a_folder_with_files_lists_those_that_it_wrote(measured, tmp_path):
    (tmp_path / "a note of mine").write_text("keep")
    artifact = measured.build({}, tmp_path)
    assert artifact.files["model"].name == "model.onnx"
    assert "a note of mine" not in {path.name for path in artifact.files.values()}
    again = measured.build({}, tmp_path)
    assert again.files == artifact.files


def test_keys_follow_the_effective_configuration(measured):
    idle = {"c1/range": "mse"}
    assert measured.key(idle) == measured.key({})
    assert measured.key({"c1/precision": "int8"}) != measured.key({})
    assert measured.key({"c1/precision": "int8", **idle}) != measured.key({"c1/precision": "int8"})


def test_measuring_leaves_the_affinity_of_this_process_alone(measured):
    before = os.sched_getaffinity(0)
    measured.evaluate({})
    assert os.sched_getaffinity(0) == before
    assert machine.usable_cores()


def test_closing_ends_the_measuring_process(measured):
    measured.evaluate({})
    pid = measured._session.pid
    measured.close()
    assert not Path(f"/proc/{pid}").exists()
