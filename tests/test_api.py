from __future__ import annotations

import json
import subprocess
import sys

import optuna
import pytest
from chained_convolutions import chain_with_outliers
from fake_targets import LayeredTarget, fake_network

import npu_tune
import npu_tune.compare
import npu_tune.space
from npu_tune.errors import (
    ConversionError,
    ExecutorError,
    IllegalConfigurationError,
    StudyMismatchError,
    UsageError,
)
from npu_tune.network import zoo_network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets import load_target

TARGET = "neural-art-stm32n6"


def tuned(folder, **options):
    given = {"evaluations": 8, "executor": "inline", "sampler": "random", **options}
    return npu_tune.tune(fake_network(), LayeredTarget(), study=folder, **given)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, npu_tune; heavy = {'optuna', 'ray', 'onnx', 'numpy', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_function_of_the_front_door_is_there_and_documented():
    for name in npu_tune.__all__:
        function = getattr(npu_tune, name)
        assert callable(function)
        assert function.__doc__
    with pytest.raises(AttributeError, match="no attribute 'tunes'"):
        npu_tune.tunes  # noqa: B018 - the attribute is what is tested


def test_a_study_is_run_resumed_and_read(tmp_path):
    first = tuned(tmp_path / "s")
    again = tuned(tmp_path / "s", evaluations=12)

    assert first.stopped == "evaluations"
    assert again.trials[: len(first.trials)] == first.trials
    read = npu_tune.load_study(tmp_path / "s")
    assert read.trials == again.trials
    table = read.to_dataframe()
    assert len(table) == len(read.trials)
    assert {"trial", "cost", "cycles", "sram_bytes", "feasible", "changes"} <= set(table.columns)


def test_a_study_goes_on_after_its_folder_was_renamed(tmp_path):
    first = tuned(tmp_path / "s")
    (tmp_path / "s").rename(tmp_path / "renamed")
    more = tuned(tmp_path / "renamed", evaluations=10)

    assert more.name == first.name == "s"
    assert more.trials[: len(first.trials)] == first.trials
    assert len(more.trials) > len(first.trials)


def test_any_optuna_sampler_is_taken_as_it_is(tmp_path):
    result = tuned(tmp_path / "s", sampler=optuna.samplers.TPESampler(seed=1))
    assert len([t for t in result.trials if t.duplicate_of is None]) == 8
    assert 'name = "TPESampler"' in (tmp_path / "s" / "study.toml").read_text()
    more = tuned(tmp_path / "s", sampler=optuna.samplers.TPESampler(seed=1), evaluations=10)
    assert more.trials[: len(result.trials)] == result.trials


def test_objectives_limits_and_sampler_options_are_those_of_the_command_line(tmp_path):
    result = tuned(
        tmp_path / "s",
        sampler="layerwise",
        sampler_options={"beam_width": 2},
        objective={"cycles": 3.0, "sram_bytes": 1.0},
        limits=["sram_bytes <= 9 KiB", "cycles >= 10"],
    )
    assert result.objective.weights == {"cycles": 0.75, "sram_bytes": 0.25}
    assert result.objective.limits == {"sram_bytes": 9216}
    assert result.objective.floors == {"cycles": 10}
    with pytest.raises(UsageError, match="Did you mean 'beam_width'"):
        tuned(tmp_path / "t", sampler="layerwise", sampler_options={"beam_widht": 2})


def test_a_mapping_is_taken_wherever_a_configuration_is(tmp_path):
    changes = {"conv1/linear/weights": "preload"}
    with npu_tune.bind("ds-cnn", TARGET) as problem:
        whole = problem.space.configuration(changes)
        assert problem.evaluate(changes) == problem.evaluate(whole)
        assert problem.key(changes) == problem.key(whole)
        assert problem.build(changes, tmp_path).evaluation == problem.evaluate(whole)
        assert npu_tune.space.to_params(problem.space, changes) == npu_tune.space.to_params(
            problem.space, whole
        )
    metrics = npu_tune.evaluate("ds-cnn", TARGET, changes).metrics
    assert metrics == npu_tune.evaluate("ds-cnn", TARGET, whole).metrics
    assert metrics != npu_tune.evaluate("ds-cnn", TARGET).metrics


def test_a_configuration_in_another_order_or_with_gaps_is_completed():
    with npu_tune.bind(fake_network(), LayeredTarget()) as problem:
        default = problem.space.default
        backwards = Configuration(default.items_[::-1])
        assert problem.space.complete(default) is default
        assert problem.key(backwards) == problem.key(default)
        assert problem.evaluate(Configuration.of({"layer0/block": 8})) == problem.evaluate(default)


def test_what_is_no_knob_or_value_is_refused():
    with pytest.raises(IllegalConfigurationError, match="no knob"):
        npu_tune.evaluate("ds-cnn", TARGET, {"conv1/linear/weight": "preload"})
    with pytest.raises(IllegalConfigurationError, match="no value"):
        npu_tune.evaluate("ds-cnn", TARGET, {"conv1/linear/weights": "preloaded"})


def test_packages_are_called_like_the_functions_of_their_names():
    space = npu_tune.space("ds-cnn", TARGET)
    assert isinstance(space, SearchSpace)
    assert npu_tune.space.Knob.__name__ == "Knob"  # still the package
    table = space.to_dataframe()
    assert len(table) == len(space.knobs)
    assert npu_tune.compare.run_comparison  # the package, too


def test_layers_of_a_built_in_network_have_the_names_of_the_command_line():
    command = [sys.executable, "-c", "from npu_tune.cli.main import main; main()"]
    command += ["space", "ds-cnn", "--target", TARGET, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout)
    names = [layer["layer"] for layer in listed["space"]["layers"]]
    assert list(npu_tune.space("ds-cnn", TARGET).layers) == names


def test_an_evaluation_tells_its_profile_as_a_table():
    evaluation = npu_tune.evaluate("ds-cnn", TARGET)
    table = evaluation.to_dataframe()
    assert list(table.index) == list(evaluation.profile)
    assert table["cycles"].sum() == pytest.approx(evaluation.metrics["cycles"])


def test_a_plain_optuna_objective_suggests_configurations():
    with npu_tune.bind(fake_network(), LayeredTarget()) as problem:

        def objective(trial):
            configuration = npu_tune.suggest(trial, problem.space)
            return problem.evaluate(configuration).metrics["cycles"]

        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
        study.optimize(objective, n_trials=5)
        assert set(study.trials[0].params) == set(problem.space.by_name)


def test_a_comparison_runs_from_what_a_file_would_say(tmp_path):
    document = {
        "compare": {"evaluations": 6, "seeds": 2, "folder": str(tmp_path / "c")},
        "network": [{"path": "ds-cnn"}],
        "target": {"name": TARGET},
        "sampler": [{"name": "random"}, {"name": "layerwise"}],
        "executor": {"kind": "inline"},
    }
    analysis = npu_tune.compare(document)
    assert len(analysis.to_dataframe()) == 4 * 6
    replayed = npu_tune.compare(document, replay=tmp_path / "c", folder=tmp_path / "d")
    assert replayed.to_dataframe().equals(analysis.to_dataframe())


def test_a_float_network_is_converted_and_written(tmp_path):
    out = tmp_path / "folder" / "ds-cnn.tflite"
    network = npu_tune.convert(zoo_network("ds-cnn", format="onnx"), out)
    assert network.format == "tflite"
    assert out.read_bytes() == network.model_bytes


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_a_float_network_that_does_not_suit_int8_is_refused_unless_nothing_is_compared(tmp_path):
    network = chain_with_outliers(3, 1)
    out = tmp_path / "unfit.tflite"
    with pytest.raises(ConversionError, match="activations do not suit int8"):
        npu_tune.convert(network, out)
    assert not out.exists()
    assert npu_tune.convert(network, out, check=False).format == "tflite"
    with pytest.raises(ConversionError):
        npu_tune.evaluate(network, "ethos-u55-128")
    assert npu_tune.evaluate(network, "ethos-u55-128", check=False).metrics["cycles"] > 0


def test_a_trial_is_built_for_deployment(tmp_path):
    result = npu_tune.tune(
        "ds-cnn", TARGET, study=tmp_path / "s", evaluations=5, executor="inline", sampler="random"
    )
    artifact = npu_tune.export(tmp_path / "s", tmp_path / "out", pick="latency_ms")

    assert artifact.files["model"].is_file()
    fastest = min(t.metrics["latency_ms"] for t in result.trials if t.metrics)
    assert artifact.evaluation.metrics["latency_ms"] == fastest


def test_a_trial_of_a_target_given_as_a_value_is_built_for_the_same_value(tmp_path):
    target = load_target(TARGET, {"external_ram": False})
    result = npu_tune.tune(
        "ds-cnn", target, study=tmp_path / "s", evaluations=3, executor="inline", sampler="random"
    )
    with pytest.raises(StudyMismatchError):
        npu_tune.export(tmp_path / "s", tmp_path / "other")
    artifact = npu_tune.export(tmp_path / "s", tmp_path / "out", target=target)

    assert artifact.evaluation.metrics == dict(result.best.metrics)


@pytest.mark.parametrize("function", ["tune", "bind", "evaluate", "space"])
def test_options_beside_a_target_that_has_them_are_refused(function):
    with pytest.raises(UsageError, match="has its options already"):
        getattr(npu_tune, function)("ds-cnn", load_target(TARGET), options={"external_ram": False})


@pytest.mark.parametrize("weights", [{"latency_ms": 0.0}, {}])
def test_an_objective_that_weighs_nothing_is_refused(weights):
    with pytest.raises(UsageError, match="add up to 0"):
        npu_tune.tune("ds-cnn", TARGET, objective=weights)


@pytest.mark.parametrize(
    "limits", ["sram_bytes <= 256 KiB", ["sram_bytes <= 256 KiB"], {"sram_bytes": "<= 256 KiB"}]
)
def test_one_limit_several_and_limits_by_metric_are_the_same(tmp_path, limits):
    result = tuned(tmp_path, limits=limits)
    assert result.objective.limits == {"sram_bytes": 262144.0}


def test_a_float_network_is_made_int8_where_the_target_needs_that_however_it_is_given(tmp_path):
    network = zoo_network("ds-cnn", format="onnx")
    path = tmp_path / "ds-cnn.onnx"
    path.write_bytes(network.model_bytes)
    digests = set()
    for model in (network, path):
        with npu_tune.bind(model, "ethos-u55-128") as problem:
            digests.add(problem.network.digest)
    assert len(digests) == 1


def test_a_study_is_shown_as_text_table_and_picture_from_its_folder_or_its_result(tmp_path):
    result = tuned(tmp_path / "s")

    assert npu_tune.show(tmp_path / "s") == npu_tune.show(result)
    assert "Layers that trial" in npu_tune.show(result)
    assert "Layers that trial" not in npu_tune.show(result, layers=False)
    table = npu_tune.trials(tmp_path / "s")
    assert list(table["trial"]) == [trial.number for trial in result.trials]
    changed = next(iter(result.best.configuration.difference(result.default)))
    assert table[changed].nunique() > 1
    left, right = npu_tune.plot(result).axes
    assert left.get_title() == "Front"
    assert right.get_xlabel() == "trial"


def test_what_a_trial_changes_is_a_table_with_a_row_per_layer(tmp_path):
    result = tuned(tmp_path / "s")
    table = npu_tune.layers(result)

    told = {
        f"{layer}/{knob}": value
        for layer, changes in table["changes"].items()
        for knob, value in changes.items()
    }
    assert told == result.best.configuration.difference(result.default)
    assert table["before"].sum() == pytest.approx(result.baseline.metrics["cycles"])
    assert table["after"].sum() == pytest.approx(result.best.metrics["cycles"])
    assert not any(npu_tune.layers(tmp_path / "s", pick="0")["changes"])


def test_the_exact_front_is_a_table_and_a_study_is_held_against_it(tmp_path):
    npu_tune.tune("ds-cnn", TARGET, study=tmp_path / "s", evaluations=1, executor="inline")
    optimum = npu_tune.front("ds-cnn", TARGET, study=tmp_path / "s")
    table = optimum.to_dataframe()
    assert len(table) == len(optimum.front.points)
    assert table["latency_ms"].is_monotonic_increasing
    fastest = npu_tune.evaluate("ds-cnn", TARGET, table["changes"].iloc[0])
    assert fastest.metrics["latency_ms"] == pytest.approx(table["latency_ms"].iloc[0])
    assert optimum.standing.trial == 0
    assert optimum.standing.gap.excess > 0


def test_where_there_is_no_front_the_bound_is_told_with_the_reason():
    optimum = npu_tune.front("ds-cnn", "ethos-u55-128")
    assert optimum.front is None
    assert "no exact front" in optimum.reason
    assert optimum.bound.metrics["sram_bytes"] > 0
    assert len(optimum.to_dataframe()) == len(optimum.bound.front)


@pytest.mark.parametrize(
    ("objective", "message"),
    [("latency", "does not report"), ({"latency_ms": 0.0}, "add up to 0")],
)
def test_a_front_of_what_is_no_objective_is_refused(objective, message):
    with pytest.raises(UsageError, match=message):
        npu_tune.front("ds-cnn", TARGET, objective=objective)


def test_a_study_of_another_model_is_not_held_against_an_optimum(tmp_path):
    result = tuned(tmp_path / "s")
    with pytest.raises(StudyMismatchError):
        npu_tune.front("ds-cnn", TARGET, study=result)


def test_what_workers_on_ray_hold_is_checked_and_called_by_its_argument(tmp_path):
    def tune(**options):
        npu_tune.tune("ds-cnn", TARGET, study=tmp_path / "s", evaluations=1, **options)

    with pytest.raises(UsageError, match="for kind = 'ray' only"):
        tune(num_cpus=2)
    with pytest.raises(UsageError, match="the argument 'memory'"):
        tune(executor="ray", memory="much")
    with pytest.raises(UsageError, match="the argument 'num_cpus'"):
        tune(executor="ray", num_cpus=0)
    with pytest.raises(ExecutorError, match=r"no resource 'board' \(the argument 'resources'\)"):
        tune(executor="ray", num_cpus=1, memory="1 GiB", resources={"board": 1}, workers=1)
