from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import tomllib

import pytest
from fake_studies import story, study_document
from fake_targets import Counting, LayeredTarget

from npu_tune.network import load_network, zoo_network
from npu_tune.tuning import load_study_file, parse_study, run_study

pytestmark = pytest.mark.slow

FLOAT_ONNX = zoo_network("ds-cnn", format="onnx").model_bytes
QUICK = ("--target", "fake-npu", "--workers", 1, "--evaluations", 12, "--seed", 1)


@pytest.fixture
def model(here):
    """A small file, so that reading a network does not count."""
    path = here / "small.tflite"
    path.write_bytes(load_network("ds-cnn").model_bytes)
    return path


def test_tune_answers_with_baseline_best_front_and_counts(npu_tune, model):
    ended = npu_tune("tune", model, *QUICK, "--study", "s", "--json")
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["command"] == "tune"
    assert document["study"] == {"name": "s", "folder": str(model.parent / "s")}
    assert document["baseline"]["cost"] == pytest.approx(1.0)
    assert document["best"]["cost"] < 1.0
    assert document["best"]["configuration"]
    assert document["front"]
    assert document["trials"]["finished"] + document["trials"]["failed"] == 12
    assert document["stopped"] == "evaluations"


def test_tune_shows_a_table_and_where_to_look_further(npu_tune, model):
    ended = npu_tune("tune", model, *QUICK, "--study", "s")
    assert ended.code == 0, ended.err
    assert "Study s: small on fake-npu" in ended.out
    assert "npu-tune show" in ended.out
    assert "Starts the study in" in ended.err
    assert "12/12, " in ended.err


def test_without_a_study_folder_one_is_named_after_model_and_target(npu_tune, model):
    ended = npu_tune("tune", model, *QUICK)
    assert ended.code == 0, ended.err
    assert f"Starts the study in {model.parent / 'runs/small-fake-npu'}" in ended.err
    assert (model.parent / "runs/small-fake-npu/study.toml").is_file()


def test_the_name_of_a_built_in_network_is_kept_whole_in_the_folder_name(npu_tune, here):
    ended = npu_tune("tune", "mobilenet-v1-0.25-96", *QUICK, "--quiet")
    assert ended.code == 0, ended.err
    assert (here / "runs/mobilenet-v1-0.25-96-fake-npu").is_dir()


def test_the_same_command_again_resumes_and_a_larger_budget_goes_on(npu_tune, model):
    command = ["tune", model, "--target", "fake-npu", "--workers", 1, "--study", "s", "--json"]
    first = npu_tune(*command, "--evaluations", 6).document
    ended = npu_tune(*command, "--evaluations", 9)
    assert "Resumes the study in" in ended.err
    trials = ended.document["trials"]
    assert first["trials"]["finished"] == 6
    assert trials["finished"] == 9
    assert ended.document["baseline"]["trial"] == first["baseline"]["trial"]


def test_a_study_in_a_database_is_found_again_through_its_folder(npu_tune, model):
    command = ["tune", model, "--target", "fake-npu", "--workers", 1, "--study", "s", "--json"]
    first = npu_tune(*command, "--evaluations", 5, "--storage", "sqlite:///trials.db")
    assert first.code == 0, first.err
    assert (model.parent / "trials.db").is_file()
    assert npu_tune("show", "s", "--json").document["trials"]["finished"] == 5
    more = npu_tune(*command, "--evaluations", 8)
    assert more.document["trials"]["finished"] == 8
    assert not (model.parent / "s" / "ledger.journal").exists()


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (("--evaluations", 0), "--evaluations is 0"),
        (("--workers", -1), "--workers is -1"),
        (("--seed", -1), "--seed is -1"),
        (("--wall-time", "soon"), "--wall-time is 'soon'"),
        (("--timeout", "soon"), "--timeout is 'soon'"),
        (("--limit", "sram_bytes"), "--limit is"),
        (("--limit", "sram_byte<=3"), "--limit names the metric 'sram_byte'"),
        (("--objective", "cycle"), "--objective names the metric 'cycle'"),
        (("--objective", "cycles,cycles"), "--objective cycles,sram_bytes"),
        (("--maximize", "cycle"), "--maximize names the metric 'cycle'"),
        (("--maximize", "accuracy"), "--maximize names 'accuracy', which is not optimised"),
        (("--sampler", "layerwse"), "--sampler is unknown: 'layerwse'. Did you mean 'layerwise'"),
        (("--storage", "postgres://u:hunter@h/d"), "--storage is postgres://...: "),
    ],
)
def test_messages_name_the_flag_where_a_flag_was_typed(npu_tune, here, arguments, called):
    ended = npu_tune("tune", "ds-cnn", "--target", "fake-npu", "--study", "s", *arguments)
    assert ended.code == 2
    assert called in ended.err
    assert "the key" not in ended.err.lower()
    assert "hunter" not in ended.err
    assert not (here / "s").exists()


def test_messages_name_the_key_where_a_study_file_was_read(npu_tune, here):
    (here / "study.toml").write_text(
        '[model]\npath = "ds-cnn"\n[target]\nname = "fake-npu"\n[study]\nevaluations = 0\n'
    )
    ended = npu_tune("run", "study.toml")
    assert ended.code == 2
    assert "study.toml: the key 'study.evaluations' is 0" in ended.err


def test_a_smaller_budget_leaves_a_study_as_it_is(npu_tune, model):
    npu_tune("tune", model, *QUICK, "--study", "s", "--quiet")
    ledger = model.parent / "s" / "ledger.journal"
    before = ledger.read_bytes()
    ended = npu_tune("tune", model, *QUICK, "--study", "s", "--evaluations", 5, "--json")
    assert ended.code == 0
    assert "already done, with 12 of 5 evaluations" in ended.err
    assert "--evaluations" in ended.err
    assert ended.document["trials"]["finished"] == 12
    assert ledger.read_bytes() == before


def test_quiet_leaves_standard_error_empty(npu_tune, model):
    ended = npu_tune("tune", model, *QUICK, "--study", "s", "--quiet")
    assert ended.code == 0
    assert not ended.err


def test_what_a_compiler_prints_does_not_reach_standard_output(npu_tune, model):
    ended = npu_tune(
        "tune", model, "--target", "fake-loud", "--workers", 1, "--evaluations", 3, "--study", "s",
        "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "NOISE" not in ended.out
    assert ended.document["best"]


def test_a_study_of_another_model_is_refused_and_the_difference_named(npu_tune, model):
    npu_tune("tune", model, *QUICK, "--study", "s")
    ended = npu_tune("tune", "resnet8", *QUICK, "--study", "s")
    assert ended.code == 5
    assert "model" in ended.err
    assert "Traceback" not in ended.err


def test_a_study_of_another_target_version_is_refused(npu_tune, model):
    npu_tune("tune", model, *QUICK, "--study", "s")
    ended = npu_tune("tune", model, *QUICK, "--study", "s", "-O", "version=two")
    assert ended.code == 5
    assert "compiler" in ended.err


def test_a_limit_that_nothing_meets_reports_the_least_infeasible(npu_tune, model):
    command = ["tune", model, *QUICK, "--study", "s", "--limit", "sram_bytes=100"]
    ended = npu_tune(*command, "--json")
    assert ended.code == 6
    assert ended.document["best"] is None
    assert ended.document["least_infeasible"]["metrics"]["sram_bytes"] > 100
    assert ended.document["error"]["kind"] == "InfeasibleError"
    again = npu_tune(*command)
    assert again.code == 6
    assert "No trial meets the limits" in again.out
    assert "comes closest" in again.err
    assert "--out DIR` builds what comes closest." in again.out


def test_the_export_is_named_so_that_it_can_be_copied_also_without_progress(npu_tune, model):
    ended = npu_tune("tune", model, *QUICK, "--study", "my study", "--quiet")
    assert ended.code == 0
    last = ended.out.strip().splitlines()[-1]
    command = shlex.split(last.removeprefix("`npu-tune ").partition("`")[0].replace("DIR", "out"))
    assert npu_tune(*command).code == 0


def test_limits_take_units(npu_tune, model):
    ended = npu_tune(
        "tune", model, *QUICK, "--study", "s", "--limit", "sram_bytes <= 6 KiB", "--json"
    )
    assert ended.code == 0, ended.err
    assert ended.document["limits"] == {"sram_bytes": 6144}
    assert all(t["metrics"]["sram_bytes"] <= 6144 for t in ended.document["front"])


def test_limits_are_upper_or_lower_bounds(npu_tune, model):
    limits = ("--limit", "sram_bytes<=6 KiB", "--limit", "share >= 25 %")
    document = npu_tune("tune", model, *QUICK, "--study", "s", *limits, "--json").document
    assert document["limits"] == {"sram_bytes": 6144}
    assert document["floors"] == {"share": 0.25}
    shown = " ".join(npu_tune("show", "s").out.split())
    assert "sram_bytes <= 6.0 KiB, share >= 0.25" in shown


def test_a_lower_bound_that_nothing_meets_reports_the_least_infeasible(npu_tune, model):
    ended = npu_tune("tune", model, *QUICK, "--study", "s", "--limit", "share>=0.75")
    assert ended.code == 6
    assert "share is 0.5, 0.25 below the limit" in ended.out
    assert "share 0.5 (limit 0.75)" in ended.err


def test_a_metric_is_maximised_on_request(npu_tune, model):
    objective = ("--objective", "sram_bytes", "--maximize", "sram_bytes")
    document = npu_tune("tune", model, *QUICK, "--study", "s", *objective, "--json").document
    assert document["directions"] == {"sram_bytes": "maximize"}
    assert document["goals"]["sram_bytes"] == "maximize"
    best, baseline = document["best"]["metrics"], document["baseline"]["metrics"]
    assert best["sram_bytes"] > baseline["sram_bytes"]
    again = npu_tune("run", model.parent / "s" / "study.toml", "--json", "--quiet").document
    assert again["directions"] == document["directions"]


@pytest.mark.parametrize("executor", ["process", "inline"])
def test_a_second_study_takes_its_evaluations_from_the_store(here, model, executor):
    log = here / "evaluations.log"
    target = Counting(LayeredTarget(), log=log)

    def study(name):
        document = study_document(
            here / name,
            8,
            model={"path": str(model)},
            study={"name": name, "cache": "kept"},
            # With one worker trials come in the same order again.
            executor={"kind": executor, "workers": 1},
        )
        return run_study(parse_study(document, base=here), target=target)

    first = study("first")
    evaluated = len(log.read_text().splitlines())
    second = study("second")
    # The default once more at the end, to see whether its metrics have moved.
    assert len(log.read_text().splitlines()) == evaluated + 1
    assert story(second) == story(first)


def test_the_store_is_kept_in_the_study_file_and_shared_by_later_studies(npu_tune, model):
    for name in ("first", "second"):
        command = ["tune", model, *QUICK, "--study", name, "--cache", "kept", "--json"]
        assert npu_tune(*command).code == 0
    assert len(list((model.parent / "kept").glob("fake-npu-*.sqlite"))) == 1
    first, second = (npu_tune("show", name, "--json").document for name in ("first", "second"))
    assert second["best"]["metrics"] == first["best"]["metrics"]
    assert all(trial["seconds"] == 0 for trial in second["front"])
    assert load_study_file(model.parent / "first" / "study.toml").study.cache == (
        model.parent / "kept"
    )


def test_weights_are_scaled_so_that_the_baseline_costs_one(npu_tune, model):
    ended = npu_tune(
        "tune", model, *QUICK, "--study", "s", "--objective", "cycles=3,sram_bytes=1", "--json"
    )
    assert ended.document["objective"] == {"cycles": 0.75, "sram_bytes": 0.25}
    assert ended.document["baseline"]["cost"] == pytest.approx(1.0)


def test_failed_trials_are_counted_with_class_and_configuration(npu_tune, model):
    ended = npu_tune(
        "tune", model, "--target", "fake-failing", "--workers", 1, "--evaluations", 12,
        "--sampler", "random", "--study", "s", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["trials"]["failed"] == len(document["failures"]) > 0
    assert {failure["class"] for failure in document["failures"]} == {"compiler-error"}
    assert all(f["changes"]["network/strategy"] == "speed" for f in document["failures"])


def test_a_default_that_cannot_be_evaluated_ends_the_command(npu_tune, model):
    ended = npu_tune("tune", model, "--target", "fake-broken", "--workers", 1, "--study", "s")
    assert ended.code == 10
    assert "default configuration cannot be evaluated" in ended.err


def test_an_evaluation_that_hangs_fails_and_the_study_goes_on(npu_tune, model):
    ended = npu_tune(
        "tune", model, "--target", "fake-hanging", "--workers", 1, "--evaluations", 2,
        "--timeout", "0.5s", "--study", "s", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert [failure["class"] for failure in ended.document["failures"]] == ["timeout"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.tflite", *QUICK], 3, ["nowhere.tflite"]),
        (["resnet9", *QUICK], 3, ["resnet9", "resnet8"]),
        (["small.tflite", "--target", "fake-cpu"], 4, ["fake-cpu", "fake-npu"]),
        (["small.tflite", *QUICK, "-O", "speed=9"], 4, ["speed"]),
        (["small.tflite", *QUICK, "-O", "speed"], 2, ["'speed'", "KEY=VALUE"]),
        (["small.tflite", *QUICK, "--system-config", "Fast"], 4, ["--system-config"]),
        (["small.tflite", *QUICK, "--limit", "sram_bytes"], 2, ["sram_bytes"]),
        (["small.tflite", *QUICK, "--limit", "watts=3"], 2, ["watts", "cycles"]),
        (["small.tflite", *QUICK, "--limit", "sram_bytes=lots"], 2, ["lots"]),
        (["small.tflite", *QUICK, "--limit", "share>0.5"], 2, ["share>0.5", ">="]),
        (["small.tflite", *QUICK, "--limit", "cycles<=3 ms"], 2, ["3 ms", "cycles"]),
        (["small.tflite", *QUICK, "--maximize", "share"], 2, ["share", "not optimised"]),
        (["small.tflite", *QUICK, "--maximize", "watts"], 2, ["watts", "cycles"]),
        (["small.tflite", *QUICK, "--objective", "watts"], 2, ["watts", "cycles"]),
        (["small.tflite", *QUICK, "--objective", "cycles=fast"], 2, ["cycles=fast"]),
        (["small.tflite", *QUICK, "--objective", "cycles=0.5,sram_bytes"], 2, ["every metric"]),
        (["small.tflite", *QUICK, "--objective", "cycles=-1"], 2, ["positive weight"]),
        (["small.tflite", *QUICK, "--objective", "cycles,"], 2, ["names nothing where"]),
        (["small.tflite", *QUICK, "--objective", "cycles=1,cycles=2"], 2, ["a metric twice"]),
        (["small.tflite", *QUICK, "--limit", "sram_bytes<="], 2, ["'sram_bytes<=' is no limit"]),
        (["small.tflite", *QUICK, "--objective", "cycles=0,sram_bytes=1"], 2, ["positive weight"]),
        (["small.tflite", *QUICK, "--objective", "cycles=1e308,sram_bytes=1e308"], 2, ["1e308"]),
        (
            ["small.tflite", *QUICK, "--limit", "cycles=3", "--limit", "cycles=4"],
            2,
            ["a metric has two limits"],
        ),
        (["small.tflite", *QUICK, "--calibration", "x.npz"], 2, ["'small'", "calibration"]),
        (["small.tflite", *QUICK, "--evaluations", "0"], 2, ["evaluations"]),
        (["small.tflite", *QUICK, "--evaluations", "many"], 2, ["many"]),
        (["small.tflite", *QUICK, "--workers", "0"], 2, ["workers"]),
        (["small.tflite", *QUICK, "--wall-time", "soon"], 2, ["soon"]),
        (["small.tflite", *QUICK, "--timeout", "-3"], 2, ["timeout"]),
        (["small.tflite", *QUICK, "--sampler", "magic"], 2, ["magic", "layerwise"]),
        (["float.onnx", *QUICK, "--calibration", "nowhere.npz"], 3, ["nowhere.npz"]),
        (["small.tflite"], 2, ["--target"]),
        (["broken.tflite", *QUICK], 3, ["'broken'", "damaged"]),
        (["empty.onnx", *QUICK], 3, ["empty.onnx"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_bad_input_gets_one_sentence_and_its_exit_code(npu_tune, model, arguments, code, words):
    (model.parent / "broken.tflite").write_bytes(model.read_bytes()[:1000])
    (model.parent / "empty.onnx").write_bytes(b"")
    (model.parent / "float.onnx").write_bytes(FLOAT_ONNX)
    ended = npu_tune("tune", *arguments, "--quiet")
    assert ended.code == code, ended.err
    assert not ended.out
    *warned, last = ended.err.splitlines()
    assert all(line.startswith("npu-tune: warning: ") for line in warned)
    assert last.startswith("npu-tune: ")
    for word in words:
        assert word in last


def test_a_study_folder_that_cannot_be_made_is_a_storage_error(npu_tune, model):
    (model.parent / "file").write_text("not a folder")
    ended = npu_tune("tune", model, *QUICK, "--study", "file/s")
    assert ended.code == 7


def test_run_takes_a_study_file_and_the_file_in_the_folder_resumes_it(npu_tune, model):
    study_file = model.parent / "mine.toml"
    study_file.write_text(
        '[study]\nname = "mine"\nevaluations = 6\n[model]\npath = "small.tflite"\n'
        '[target]\nname = "fake-npu"\n[executor]\nworkers = 1\n'
    )
    ended = npu_tune("run", study_file, "--json")
    assert ended.code == 0, ended.err
    assert ended.document["command"] == "run"
    assert ended.document["trials"]["finished"] == 6
    again = npu_tune("run", model.parent / "mine" / "study.toml", "--json")
    assert "Resumes" in again.err
    assert again.document["trials"] == ended.document["trials"]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ([], {"kind": "process", "workers": 1}),
        (["--workers", "2"], {"kind": "process", "workers": 2}),
        pytest.param(
            ["--ray", "local", "--workers", "2", "--num-cpus", "0.5", "--start-timeout", "2m"],
            {"kind": "ray", "workers": 2, "num_cpus": 0.5, "start_timeout_s": 120.0},
            marks=pytest.mark.ray,
        ),
    ],
)
def test_run_evaluates_as_its_options_say_and_else_as_the_file_does(
    npu_tune, model, options, kept
):
    study_file = model.parent / "mine.toml"
    study_file.write_text(
        '[study]\nname = "mine"\nevaluations = 6\n[model]\npath = "small.tflite"\n'
        '[target]\nname = "fake-npu"\n[executor]\nworkers = 1\n'
    )

    ended = npu_tune("run", study_file, *options)

    assert ended.code == 0, ended.err
    executor = tomllib.loads((model.parent / "mine" / "study.toml").read_text())["executor"]
    assert {key: executor.get(key) for key in kept} == {**kept, "kind": executor.get("kind")}
    assert executor.get("kind", "process") == kept["kind"]


@pytest.mark.parametrize(
    "options",
    [
        ["--workers", "0"],
        ["--num-cpus", "2"],
        ["--ray", "local", "--num-cpus", "0"],
        ["--ray", "local", "--resources", "board"],
    ],
)
def test_run_refuses_options_that_make_no_sense(npu_tune, model, options):
    study_file = model.parent / "mine.toml"
    study_file.write_text('[model]\npath = "small.tflite"\n[target]\nname = "fake-npu"\n')

    ended = npu_tune("run", study_file, *options)

    assert ended.code == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[model\n", ["not TOML"]),
        ('[model]\npath = "m"\n', ["target", "missing"]),
        ('[model]\npath = "m"\n[target]\nname = "t"\n[study]\nevaluation = 3\n', ["evaluations"]),
        ('study = 3\n[model]\npath = "m"\n[target]\nname = "t"\n', ["'study'", "a table"]),
        (
            '[model]\npath = "m"\n[target]\nname = "t"\n[objective]\nmetrics = "cycles"\n',
            ["'objective.metrics'", "a list"],
        ),
    ],
)
def test_a_bad_study_file_is_a_usage_error_that_names_the_key(npu_tune, here, text, words):
    (here / "bad.toml").write_text(text)
    ended = npu_tune("run", "bad.toml")
    assert ended.code == 2
    assert all(word in ended.err for word in words)


def test_a_missing_study_file_is_a_usage_error(npu_tune, here):
    assert npu_tune("run", "nowhere.toml").code == 2


def test_ctrl_c_keeps_what_finished_and_the_same_command_goes_on(
    script, environment, model, npu_tune
):
    command = [
        *script, "tune", str(model), "--target", "fake-npu", "--workers", "1", "--study", "s",
        "--json", "--evaluations",
    ]  # fmt: skip
    process = subprocess.Popen(
        [*command, "1000000"],
        cwd=model.parent, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for line in process.stderr:
        if "best" in line and not line.startswith("0/"):
            break
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    document = json.loads(out)
    assert document["error"]["kind"] == "InterruptError"
    finished = document["trials"]["finished"]
    assert finished >= 1
    shown = npu_tune("show", "s", "--json").document
    assert shown["trials"]["finished"] == finished
    assert shown["stopped"] == "interrupted"


def test_the_end_of_the_budget_goes_into_taking_back_what_gains_nothing(npu_tune, model):
    many = (*QUICK[:-3], 80, *QUICK[-2:], "--sampler", "random", "--study", "s")
    ended = npu_tune("tune", model, *many)
    assert ended.code == 0, ended.err
    assert "80/80" in ended.err
    assert "Polished in " in ended.out
    polished = npu_tune("show", "s", "--json").document["polished"]
    assert 0 < polished["evaluations"] <= 8
    assert polished["after"]["cost"] <= polished["before"]["cost"]
    assert polished["after"]["changes"] <= polished["before"]["changes"]


def test_a_study_may_be_polished_later(npu_tune, model):
    many = (*QUICK[:-3], 40, *QUICK[-2:], "--sampler", "random", "--study", "s")
    npu_tune("tune", model, *many, "--no-polish", "--quiet")
    assert npu_tune("show", "s", "--json").document["polished"] is None

    ended = npu_tune("polish", "s", "--json")

    assert ended.code == 0, ended.err
    assert "Polishes the best of the study in s" in ended.err
    document = ended.document
    assert (document["command"], document["stopped"]) == ("polish", "polished")
    assert document["polished"]["after"]["cost"] <= document["polished"]["before"]["cost"]
    assert document["trials"]["planned"] == document["trials"]["finished"]


def test_only_a_study_can_be_polished(npu_tune, here):
    ended = npu_tune("polish", "nowhere")
    assert ended.code == 2
    assert "no study" in ended.err


GENETIC = ("--sampler", "nsga2", "--workers", 1, "--evaluations", 4, "--study", "s")


def test_a_sampler_for_several_objectives_that_sees_one_says_what_to_do(npu_tune, model):
    ended = npu_tune("tune", model, "--target", "fake-npu", *GENETIC)
    assert ended.code == 0, ended.err
    told = next(line for line in ended.err.splitlines() if "warning" in line)
    assert "The sampler nsga2 (--sampler) sees one number only, the cost: it is" in told
    assert told.endswith("To let it see every metric by itself, give --mode pareto.")
    assert ended.err.count("sees one number only") == 1


def test_the_mode_lets_the_sampler_see_every_metric(npu_tune, model):
    ended = npu_tune("tune", model, "--target", "fake-npu", "--mode", "pareto", *GENETIC)
    assert ended.code == 0, ended.err
    assert "sees one number only" not in ended.err
    assert 'mode = "pareto"' in (model.parent / "s" / "study.toml").read_text()
    again = npu_tune("tune", model, "--target", "fake-npu", *GENETIC)
    assert again.code == 5
