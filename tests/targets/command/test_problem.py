"""Programs that answer, and programs that do anything else."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from command_cases import BITS, PROGRAM, act_knob, command_table
from command_program import PRINTED
from fake_targets import is_running

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    CompilerTimeoutError,
    EvaluationError,
    IllegalConfigurationError,
    InaccurateOutputError,
    ModelError,
    ModelFormatError,
    TargetError,
    WorkerLostError,
)
from npu_tune.targets import CalibratedTarget, bounding_cause, load_target


def left(tmp_path: Path) -> list[int]:
    return [int(line) for line in (tmp_path / "pids").read_text().split()]


def test_a_program_is_told_layers_and_values_and_its_answer_is_the_evaluation(bound, network):
    problem = bound()
    first, second = (layer.name for layer in network.layers)
    evaluation = problem.evaluate({f"{first}/bits": 16})
    assert evaluation.metrics == {"total_cycles": 161.0 + 81.0, "accuracy": 0.9}
    assert evaluation.profile == {first: {"cycles": 161.0}, second: {"cycles": 81.0}}
    assert problem.reports_profiles
    assert problem.deterministic


PARTS = {"causes": {"conv_cycles": "compute", "load_cycles": "DRAM"}}


def test_a_program_may_say_what_bounds_a_layer_and_rows_have_a_figure_for_each_part(
    network, bound, tmp_path
):
    name = network.layers[0].name
    row = {"cycles": 9, "conv_cycles": 4, "load_cycles": 8}
    said = {"metrics": {"total_cycles": 9, "accuracy": 0.9}, "profile": {name: row}}
    script = tmp_path / "says.py"
    script.write_text(f"print({json.dumps(json.dumps(said))})")
    problem = bound(argv=["python3", str(script)], profile=PARTS, knobs=[BITS])
    found = problem.evaluate(problem.space.default).profile.values()
    assert [bounding_cause(problem.profile, each) for each in found] == ["DRAM", ""]
    del row["load_cycles"]
    script.write_text(f"print({json.dumps(json.dumps(said))})")
    problem = bound(argv=["python3", str(script)], profile=PARTS, knobs=[BITS])
    with pytest.raises(CompilerError, match="'load_cycles'"):
        problem.evaluate(problem.space.default)


def test_what_bounds_a_layer_changes_no_evaluation_and_so_no_key(bound):
    one, other = bound(), bound(profile=PARTS)
    assert one.key(one.space.default) == other.key(other.space.default)


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        ("no-json", CompilerError, "no JSON object"),
        ("no-object", CompilerError, "no JSON object"),
        ("nothing", CompilerError, "no JSON object"),
        ("deep", CompilerError, "no JSON object"),
        ("not-a-number", CompilerError, "metrics.total_cycles"),
        ("text-for-number", CompilerError, "metrics.total_cycles"),
        ("metric-less", CompilerError, "'accuracy'"),
        ("metric-more", CompilerError, "'joules'"),
        ("other-schema", CompilerError, "'cycles'"),
        ("unknown-failure", CompilerError, "'failure'"),
        ("wrong-row", CompilerError, "'no such layer'"),
        ("wrong-column", CompilerError, "'cycles'"),
        ("illegal", IllegalConfigurationError, "Tiles overlap."),
        ("inaccurate", InaccurateOutputError, "Only 3 dB."),
        ("crash", CompilerCrashError, "SIGSEGV"),
        ("exit-1", CompilerError, "out of registers"),
        ("exit-7", IllegalConfigurationError, "exit status 7"),
        ("exit-75", WorkerLostError, "out of registers"),
        ("loud", CompilerError, "16 MiB"),
        ("hang", CompilerTimeoutError, "time limit"),
    ],
)
def test_whatever_else_a_program_does_is_a_failure_of_its_class(bound, act, kind, said):
    limit = {"time_limit": 0.5} if act == "hang" else {}
    problem = bound(act, exit_codes={"7": "illegal"}, **limit)
    with pytest.raises(EvaluationError) as raised:
        problem.evaluate({"network/act": act})
    assert type(raised.value) is kind
    assert said in str(raised.value)
    # The next one is not disturbed.
    assert problem.evaluate({}).metrics["accuracy"] == 0.9


def test_every_wrong_answer_is_tried():
    tried = test_whatever_else_a_program_does_is_a_failure_of_its_class.pytestmark[0].args[1]
    of_builds = test_a_build_refuses_files_that_are_not_the_programs_own.pytestmark[0].args[1]
    assert set(PRINTED) - set(of_builds) <= {act for act, *_ in tried}


def test_a_failure_is_told_with_the_last_words_of_the_program(bound):
    with pytest.raises(CompilerError, match=r"reads the network \| compiles \| out of registers"):
        bound("exit-1").evaluate({"network/act": "exit-1"})


def test_what_a_program_leaves_behind_is_ended_and_noted(bound, tmp_path):
    problem = bound("leave")
    evaluation = problem.evaluate({"network/act": "leave"})
    assert not any(is_running(pid) for pid in left(tmp_path))
    assert "left 1 process behind" in evaluation.notes[0]


def test_what_a_program_has_started_ends_with_it_when_it_hangs(bound, tmp_path):
    with pytest.raises(CompilerTimeoutError):
        bound("hang", time_limit=0.5).evaluate({"network/act": "hang"})
    assert left(tmp_path)
    assert not any(is_running(pid) for pid in left(tmp_path))


def test_a_lost_process_that_runs_programs_is_no_verdict_and_is_replaced(bound):
    problem = bound()
    before = problem.evaluate({})
    problem._runner._partner._process.kill()
    with pytest.raises(WorkerLostError, match="cannot be run"):
        problem.evaluate({})
    assert problem.evaluate({}) == before


def test_a_build_keeps_the_files_that_the_program_names(bound, network, tmp_path):
    problem = bound()
    artifact = problem.build({}, tmp_path / "out")
    assert artifact.files["model"].read_bytes() == network.model_bytes[:10]
    assert os.access(artifact.files["model"], os.X_OK)
    assert artifact.files["configuration"].is_file()
    assert artifact.evaluation == problem.evaluate({})


@pytest.mark.parametrize("act", ["no-file", "no-file-name", "long-file-name", "foreign-file"])
def test_a_build_refuses_files_that_are_not_the_programs_own(bound, tmp_path, act):
    problem = bound(act, profile=None, knobs=[act_knob(act)])
    with pytest.raises(CompilerError, match="has not written where it runs"):
        problem.build({"network/act": act}, tmp_path / "out")


@pytest.mark.parametrize("act", ["same-names", "reserved-name"])
def test_a_build_overwrites_no_file_with_another(bound, tmp_path, act):
    problem = bound(act, profile=None, knobs=[act_knob(act)])
    with pytest.raises(CompilerError, match="names of their own"):
        problem.build({"network/act": act}, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_may_have_two_roles(bound, tmp_path):
    problem = bound("one-file-twice", profile=None, knobs=[act_knob("one-file-twice")])
    artifact = problem.build({"network/act": "one-file-twice"}, tmp_path / "out")
    assert artifact.files["role0"] == artifact.files["role1"]
    assert artifact.files["role0"].read_text() == "net.bin"


def test_a_closed_problem_leaves_no_files(bound):
    problem = bound()
    problem.evaluate({})
    folder = problem._folder
    assert list(folder.iterdir()) == [folder / "model.onnx"]
    problem.close()
    assert not folder.exists()


def test_a_folder_that_was_cleaned_away_is_made_again(bound):
    problem = bound()
    before = problem.evaluate({})
    shutil.rmtree(problem._folder)
    assert problem.evaluate({}) == before


def test_places_in_the_command_are_filled_in(bound, tmp_path):
    script = tmp_path / "args.py"
    script.write_text(
        "import json, sys\n"
        "model, request = sys.argv[1:3]\n"
        "assert json.load(open(request))['model'] == model.removeprefix('--model=')\n"
        "print(json.dumps({'metrics': {'total_cycles': len(sys.argv), 'accuracy': 1}}))\n"
    )
    argv = ["python3", str(script), "--model={model}", "{request}", "$HOME", "a b", "*"]
    problem = bound(argv=argv, profile=None, knobs=[BITS])
    assert problem.evaluate({}).metrics["total_cycles"] == 6


def test_shapes_of_tensors_are_in_the_request(bound, tmp_path):
    script = tmp_path / "shapes.py"
    script.write_text(
        "import json, math, sys\n"
        "request = json.load(sys.stdin)\n"
        "first = request['layers'][0]\n"
        "x, w = (request['tensors'][name] for name in first['inputs'])\n"
        "assert (x['shape'], w['dtype']) == ([1, 3, 8, 8], 'float32')\n"
        "size = math.prod(request['tensors'][first['outputs'][0]]['shape'])\n"
        "print(json.dumps({'metrics': {'total_cycles': size, 'accuracy': 1}}))\n"
    )
    problem = bound(argv=["python3", str(script)], profile=None, knobs=[BITS])
    assert problem.evaluate({}).metrics["total_cycles"] == 4 * 6 * 6


def test_typical_inputs_reach_the_program(network, tmp_path):
    script = tmp_path / "mean.py"
    script.write_text(
        "import json, sys\nimport numpy as np\n"
        "path = json.load(sys.stdin)['calibration']\n"
        "total = float(np.load(path)['x'].sum()) if path else -1.0\n"
        "print(json.dumps({'metrics': {'total_cycles': total, 'accuracy': 1}}))\n"
    )
    table = command_table(
        argv=[sys.executable, str(script)], profile=None, knobs=[BITS], calibration=True
    )
    target = load_target("command", {"command": table})
    assert isinstance(target, CalibratedTarget)
    with target.bind(network) as problem:
        assert problem.evaluate({}).metrics["total_cycles"] == -1.0
    given = target.calibrated({"x": np.ones((2, 3, 8, 8), np.float32)})
    with pickle.loads(pickle.dumps(given)).bind(network) as problem:  # noqa: S301 - made here
        assert problem.evaluate({}).metrics["total_cycles"] == 2 * 3 * 8 * 8
        assert problem.identity != target.bind(network).identity
    with pytest.raises(ModelError, match="shape"):
        target.calibrated({"x": np.ones((2, 3, 9, 9), np.float32)}).bind(network)


def test_a_target_without_typical_inputs_is_no_calibrated_one():
    assert not isinstance(load_target("command", {"command": command_table()}), CalibratedTarget)


def test_a_format_that_the_program_does_not_read_is_refused(network):
    target = load_target("command", {"command": command_table(formats=["tflite"])})
    with pytest.raises(ModelFormatError, match="onnx"):
        target.bind(network)


def test_a_program_that_is_not_there_is_an_error_of_the_target(network):
    target = load_target("command", {"command": command_table(argv=["no-such-compiler"])})
    with pytest.raises(TargetError, match=r"'no-such-compiler'.*cannot be found"):
        target.bind(network)


def test_a_file_that_has_changed_since_is_refused(network, tmp_path):
    script = tmp_path / "copy.py"
    script.write_bytes(PROGRAM.read_bytes())
    target = load_target("command", {"command": command_table(argv=["python3", str(script)])})
    target.bind(network).close()
    script.write_text("print(1)\n")
    with pytest.raises(TargetError, match="has changed"):
        target.bind(network)


def test_a_program_is_known_by_its_content_and_not_by_its_place(tmp_path):
    def fingerprint(folder, text):
        folder.mkdir()
        (folder / "copy.py").write_text(text)
        table = command_table(argv=["python3", str(folder / "copy.py")])
        return load_target("command", {"command": table}).fingerprint()

    one, same, other = (
        fingerprint(tmp_path / name, text) for name, text in (("a", "1"), ("b", "1"), ("c", "2"))
    )
    assert one == same != other


def test_measured_metrics_say_that_evaluations_differ_and_workers_wait_where_asked(bound):
    metrics = [{"name": "latency_ms", "unit": "ms", "kind": "measured", "spread": 0.02}]
    problem = bound(metrics=metrics, at_a_time=1)
    assert not problem.deterministic
    assert problem.most_workers == 1
    assert problem.metrics[0].spread == 0.02
