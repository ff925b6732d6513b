"""Every example of docs/optuna.md, run in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from optuna_dashboard._storage_url import get_storage

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/optuna.md").read_text()
RAY = "from ray import tune"
TENSORFLOW = "import TensorBoardCallback"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands(program):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(f"{program} ")]


def run(words, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all blocks but those of Ray and of TensorFlow have run, one after the other in one process."""
    place = tmp_path_factory.mktemp("optuna_page")
    script = place / "page.py"
    own = (RAY, TENSORFLOW)
    script.write_text(
        "\n".join(block for block in blocks("python") if not any(mark in block for mark in own))
    )
    (place / "said").write_text(run([sys.executable, script], place))
    return place


def test_the_examples_leave_pictures_and_say_what_they_found(folder):
    assert (folder / "history.png").stat().st_size > 10_000
    assert (folder / "parallel.png").is_file()
    assert (folder / "slices.png").is_file()
    said = (folder / "said").read_text()
    assert "user_attrs_changes" in said
    assert re.search(r"^callback 0\.[67]", said, re.MULTILINE)


def test_trials_arrive_in_mlflow_with_their_metrics(folder):
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    names = {each.name: each.experiment_id for each in client.search_experiments()}
    tracked = client.search_runs([names["tracked"]])
    assert {run.data.tags["number"] for run in tracked} >= {"0", "1", "2"}
    assert all(float(run.data.tags["latency_ms"]) > 0 for run in tracked)
    assert all("changes" in run.data.tags for run in tracked)
    assert len(client.search_runs([names["plain"]])) == 3


def test_scalars_arrive_in_tensorboard(folder):
    found = scalars(folder / "runs/tensorboard")
    assert {"cost", "latency_ms"} <= set(found)
    assert found["cost"][0] == pytest.approx(1.0)


def test_the_optuna_command_reads_the_study(folder):
    studies, best = (
        run([str(Path(sys.executable).with_name(name)), *rest], folder)
        for name, *rest in commands("optuna")
    )
    assert "optuna" in studies
    assert json.loads(best)["user_attrs"]["latency_ms"] > 0


def test_the_dashboard_takes_the_addresses_of_the_page(folder, monkeypatch):
    monkeypatch.chdir(folder)
    RDBStorage("sqlite:///trials.db")
    (_, journal), (_, database) = commands("optuna-dashboard")
    assert len(get_storage(journal).get_all_studies()) == 1
    assert str(get_storage(database).engine.url) == database


@pytest.mark.ray
def test_ray_tune_writes_for_mlflow_and_tensorboard(tmp_path):
    import mlflow

    (block,) = (block for block in blocks("python") if RAY in block)
    script = tmp_path / "page.py"
    script.write_text(block)
    run([sys.executable, script], tmp_path)

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'ray.db'}")
    (experiment,) = (each for each in client.search_experiments() if each.name == "resnet8")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 3
    # A trial whose configuration was known already is answered without being run.
    assert any(run.data.metrics.get("latency_ms", 0) > 0 for run in runs), [
        (run.info.status, run.data.metrics) for run in runs
    ]
    written = list((tmp_path / "ray/resnet8").rglob("events.out.tfevents.*"))
    assert len(written) == 3
    assert any("ray/tune/latency_ms" in scalars(each.parent) for each in written)


def scalars(folder):
    """Values by name, of what a folder holds for TensorBoard."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [e.value for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
