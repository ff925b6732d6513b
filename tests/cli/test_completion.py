from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from npu_tune.cli.completion import VARIABLE
from npu_tune.cli.words import METRICS, SAMPLERS, TARGETS, metric_names, network_names

SLOW = {"ray", "ethosu", "onnxruntime", "onnx", "optuna", "numpy", "pandas", "pydantic"}


@pytest.fixture
def complete(npu_tune, monkeypatch):
    """What a shell is offered for the last word of a line."""

    def ask(line):
        monkeypatch.setenv(VARIABLE, "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        ended = npu_tune()
        assert not ended.err
        return [offered.partition(",")[2] for offered in ended.out.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("npu-tune wa", ["watch"]),
        ("npu-tune tune resn", ["resnet8", "resnet32", "resnet50-v2"]),
        ("npu-tune tune resnet8 --target ethos-u65", ["ethos-u65-256", "ethos-u65-512"]),
        ("npu-tune tune resnet8 --sampler nsga", ["nsga2", "nsga3"]),
        ("npu-tune tune resnet8 --mode p", ["pareto"]),
        ("npu-tune tune resnet8 --wall", ["--wall-time"]),
        (
            "npu-tune tune resnet8 --target ethos-u55-128 --objective cycles,sram",
            ["cycles,sram_bytes"],
        ),
        ("npu-tune tune resnet8 --target neural-art-stm32n6 --limit ram", ["ram_bytes"]),
        ("npu-tune export runs/x --pick kn", ["knee"]),
        ("npu-tune completion f", ["fish"]),
    ],
)
def test_words_are_completed(complete, line, offered):
    assert complete(line) == offered


def test_a_model_may_be_a_file_and_a_study_is_a_folder(npu_tune, monkeypatch):
    monkeypatch.setenv(VARIABLE, "bash_complete")
    for line, kind in (("npu-tune tune ./mine", "file"), ("npu-tune show ru", "dir")):
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", "2")
        assert npu_tune().out.startswith(f"{kind},")


def test_completing_imports_nothing_slow():
    code = (
        "import sys\n"
        "from npu_tune.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    print('LOADED', *{name.partition('.')[0] for name in sys.modules})\n"
    )
    for line in ("npu-tune tune res", "npu-tune tune resnet8 --objective cy"):
        asked = {
            VARIABLE: "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert not SLOW & set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(npu_tune, shell):
    ended = npu_tune("completion", shell)
    assert ended.code == 0
    assert f"{VARIABLE}={shell}_complete" in ended.out
    assert npu_tune("completion", shell, "--json").document["script"] == ended.out.rstrip("\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_its_shell_reads(npu_tune, tmp_path, shell):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    script = tmp_path / "script"
    script.write_text(npu_tune("completion", shell).out)
    done = subprocess.run(
        [program, "-n", str(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_words_are_those_of_the_registries():
    from npu_tune.network.zoo import zoo_names
    from npu_tune.targets.registry import target_families
    from npu_tune.tuning.builtin_samplers import BUILT_IN

    own = ("command", "cpu-onnxruntime", "ethos-u", "ncnn", "neural-art")
    families = target_families()
    assert tuple(name for key in own for name in families[key].names()) == TARGETS
    assert tuple(kind.name for kind in BUILT_IN) == SAMPLERS
    assert tuple(network_names()) == zoo_names()


def test_the_metrics_are_those_that_the_targets_report():
    from npu_tune.targets.ethos_u.target import METRICS as ESTIMATED
    from npu_tune.targets.measured.metrics import measured_metrics
    from npu_tune.targets.neural_art.evaluation import METRICS as SIMULATED

    measured = measured_metrics("here", labelled=True)
    for beginning, metrics in {
        "ethos-u": ESTIMATED,
        "neural-art": SIMULATED,
        "cpu-": measured,
        "gpu-": measured,
    }.items():
        assert METRICS[beginning] == tuple(metric.name for metric in metrics)
    assert metric_names("ethos-u55-128") == METRICS["ethos-u"]
    assert set(metric_names(None)) == {name for names in METRICS.values() for name in names}
