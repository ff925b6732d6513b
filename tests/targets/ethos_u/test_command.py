from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from npu_tune.targets.ethos_u.command import vela_remarks


def run_as_said(remarks: tuple[str, ...], model: Path) -> Path:
    """Runs the command that remarks give, and returns the folder with its results."""
    (line,) = re.findall(r"```sh\n(.*?)\n```", "\n".join(remarks), re.DOTALL)
    program, _, *options = shlex.split(line)
    assert program == "vela"
    command = [sys.executable, "-m", "ethosu.vela", str(model), *options]
    subprocess.run([*command, "--output-dir", model.parent], check=True, capture_output=True)
    return model.parent


@pytest.fixture
def model(resnet8, tmp_path) -> Path:
    path = tmp_path / "vela" / "resnet8.tflite"
    path.parent.mkdir()
    path.write_bytes(resnet8.model_bytes)
    return path


@pytest.mark.parametrize(
    "changes",
    [{}, {"network/strategy": "Size", "network/tensor_allocator": "Greedy"}],
    ids=["default", "whole network"],
)
def test_what_the_command_can_do_it_does_to_the_same_bytes(
    changes, resnet8_problem, model, tmp_path
):
    built = resnet8_problem.build(changes, tmp_path / "built")
    folder = run_as_said(built.remarks, model)
    assert built.files["model"].read_bytes() == (folder / "resnet8_vela.tflite").read_bytes()
    for role in ("vendor_layers", "vendor_summary"):
        written = built.files[role]
        assert written.read_bytes() == (folder / written.name).read_bytes()


def test_choices_for_operators_are_said_to_be_out_of_its_reach(resnet8_problem):
    space = resnet8_problem.space
    changed = space.complete({"conv1/ofm_block": "2x32x16", "network/strategy": "Size"})
    system = resnet8_problem.system
    first, *_ = vela_remarks(system, changed, space.default, core=resnet8_problem.core)
    assert first.startswith("1 of 2 changes are choices for single operators")
    assert "`ofm_block` of 1" in first


def test_the_tables_are_of_the_very_build(resnet8_problem, tmp_path):
    changes = {"conv1/ofm_block": "2x32x16"}
    built = resnet8_problem.build(changes, tmp_path)
    with built.files["vendor_summary"].open() as file:
        (summary,) = csv.DictReader(file)
    assert summary["network"] == "resnet8"
    assert float(summary["cycles_total"]) == built.evaluation.metrics["cycles"]
    with built.files["vendor_layers"].open() as file:
        layers = {row["Name"]: float(row["Op Cycles"]) for row in csv.DictReader(file)}
    assert layers == {name: row["cycles"] for name, row in built.evaluation.profile.items()}
    assert built.evaluation.metrics == resnet8_problem.evaluate(changes).metrics
