"""The target of docs/targets.md, as somebody else would bring it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_targets import fake_network
from forty_lines import TinyTarget

from npu_tune.cli.main import main
from npu_tune.errors import ModelError, TargetError
from npu_tune.targets import load_target
from npu_tune.testing.suite import TargetSuite
from npu_tune.tuning import parse_study, read_study, require_feasible, run_study

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/targets.md").read_text()


class TestTinyTarget(TargetSuite):
    @pytest.fixture
    def target(self):
        return TinyTarget()

    @pytest.fixture
    def network(self):
        return fake_network()

    @pytest.fixture
    def other_target(self):
        return TinyTarget(clock_mhz=200)

    @pytest.fixture
    def other_network(self):
        return fake_network(content=b"other")

    @pytest.fixture
    def unfit_network(self):
        return fake_network(0)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Makes the target known through an entry point."""
    info = tmp_path / "plugins" / "tiny-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    entry = "[npu_tune.targets]\ntiny = forty_lines:TinyTarget\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path / "plugins")


def study(folder, **sections):
    document = {
        "model": {"path": "fake"},
        "target": {"name": "tiny-1", "clock_mhz": 50},
        "study": {"name": "tiny", "folder": str(folder), "evaluations": 40},
    }
    return parse_study(document | sections, base=folder.parent)


@pytest.mark.parametrize("name", ["forty_lines.py", "tiny_suite.py"])
def test_the_code_in_the_documentation_is_what_is_tested(name):
    assert (HERE / name).read_text() in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_target_has_forty_lines():
    assert len((HERE / "forty_lines.py").read_text().splitlines()) <= 40


def test_it_is_found_through_its_entry_point(installed):
    assert load_target("tiny-1", {"clock_mhz": 50}) == TinyTarget(clock_mhz=50)
    with pytest.raises(TargetError, match="'clock'"):
        load_target("tiny-1", {"clock": 50})


def test_it_is_tuned_and_read_again(installed, tmp_path):
    result = run_study(study(tmp_path / "s"), network=fake_network())

    best = require_feasible(result)
    assert result.objective.weights == {"latency_ms": 0.5, "accuracy": 0.5}
    assert best.cost < 0.9
    assert best.metrics["latency_ms"] < result.baseline.metrics["latency_ms"]
    assert read_study(tmp_path / "s").trials == result.trials


@pytest.mark.filterwarnings("ignore::npu_tune.errors.NpuTuneWarning")
def test_every_command_works_with_it(installed, tmp_path, capsys, monkeypatch):
    def run(*words):
        with pytest.raises(SystemExit) as leaving:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        assert not leaving.value.code, captured.err
        return captured.out

    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'plugins'}:{HERE}")
    folder, out = tmp_path / "s", tmp_path / "out"
    assert "tiny-1" in run("targets")
    assert "bits" in run("space", "ds-cnn", "--target", "tiny-1")
    limits = ("--limit", "accuracy>=0.88", "--workers", 1, "--evaluations", 30)
    run("tune", "ds-cnn", "--target", "tiny-1", *limits, "--study", folder)
    assert "latency_ms" in run("show", folder)
    run("export", folder, "--out", out)
    assert json.loads((out / "configuration.json").read_text())["metrics"]["accuracy"] >= 0.88


def test_its_accuracy_is_maximised_without_being_asked_for(installed, tmp_path):
    objective = {"metrics": ["accuracy"]}
    result = run_study(study(tmp_path / "s", objective=objective), network=fake_network())

    best, default = require_feasible(result).metrics, result.baseline.metrics
    assert best["accuracy"] > default["accuracy"]
    assert best["accuracy"] == max(t.metrics["accuracy"] for t in result.trials)


def test_accuracy_has_a_lower_limit_where_a_study_says_so(installed, tmp_path):
    sections = {"objective": {"metrics": ["latency_ms"]}, "limits": {"accuracy": ">= 88.5 %"}}
    result = run_study(study(tmp_path / "s", **sections), network=fake_network())

    best = require_feasible(result)
    assert best.metrics["accuracy"] >= 0.885
    assert any(t.metrics["accuracy"] < 0.885 for t in result.trials)


def test_what_is_built_is_its_configuration(tmp_path):
    with TinyTarget().bind(fake_network()) as problem:
        fast = problem.space.configuration({"layer0/bits": 4})
        artifact = problem.build(fast, tmp_path)
        assert artifact.evaluation == problem.evaluate(fast)
    assert '"layer0/bits": 4' in artifact.files["model"].read_text()


def test_a_network_without_layers_is_not_fit():
    with pytest.raises(ModelError, match="no layers"):
        TinyTarget().bind(fake_network(0))
