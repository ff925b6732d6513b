"""The adapter for ST's tool, on recorded reports: the tool itself is not to be had here."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
import stedgeai_program

import npu_tune
from npu_tune.errors import CompilerError
from npu_tune.network import load_network
from npu_tune.targets import load_target

FOLDER = Path(__file__).resolve().parents[2] / "docs/commands/stedgeai"


@pytest.fixture(scope="module")
def adapter():
    spec = importlib.util.spec_from_file_location("stedgeai_adapter", FOLDER / "adapter.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_report_becomes_the_figures_that_st_states(adapter):
    assert adapter.read_metrics(stedgeai_program.report()) == {
        "estimated_cycles": 355_664,
        "compute_cycles": 133_926,
        "ram_bytes": 18_944,
        "external_ram_bytes": 4_096,
        "weights_bytes": 49_809,
        "hardware_epochs": 9,
        "software_epochs": 3,
    }


SHIPPED = [
    "-O3",
    "--Oalt-sched",
    "--Omax-ca-pipe",
    "4",
    "--Oconv-split-kw",
    "--Oconv-split-th",
    "0.01",
    "--Os",
]


@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({"level": "exported", "max_ca_pipe": "exported"}, SHIPPED),
        ({"level": "O1"}, [*SHIPPED[1:], "-O1"]),
        ({"max_ca_pipe": 2}, [*SHIPPED[:2], *SHIPPED[4:], "--Omax-ca-pipe", "2"]),
        ({"conv_split": "none"}, [*SHIPPED[:4], *SHIPPED[5:]]),
        ({"conv_split": "stripe"}, [*SHIPPED[:4], *SHIPPED[5:], "--Oconv-split-stripe"]),
        ({"conv_split_threshold": 0.05}, [*SHIPPED[:5], "--Os", "--Oconv-split-th", "0.05"]),
        ({"shrink_buffers": "off"}, SHIPPED[:-1]),
        ({"virtual_pools": "on"}, [*SHIPPED, "--enable-virtual-mem-pools"]),
    ],
)
def test_a_knob_replaces_its_option_and_no_other(adapter, knobs, expected):
    assert adapter.with_knobs(list(SHIPPED), knobs) == expected


@pytest.mark.slow
def test_the_options_of_a_deployable_export_are_tuned(tmp_path, monkeypatch):
    npu_tune.tune(
        "resnet8", "neural-art-stm32n6", options={"deployable": True}, evaluations=2,
        study=tmp_path / "s", executor="inline",
    )  # fmt: skip
    exported = npu_tune.export(tmp_path / "s", tmp_path / "out")
    for name in ("adapter.py", "stedgeai.toml"):
        shutil.copy(FOLDER / name, tmp_path / "out" / name)
    tool = tmp_path / "bin" / "stedgeai"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} {stedgeai_program.__file__} "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{Path(sys.executable).parent}", prepend=":")

    target = load_target("command", {"command": str(tmp_path / "out" / "stedgeai.toml")})
    assert target.version == "ST Edge AI Core v4.0.0"
    with target.bind(load_network(exported.files["model"])) as problem:
        default = problem.evaluate({})
        assert "--Omax-ca-pipe" in default.notes[0]
        slower = problem.evaluate({"network/level": "O1"})
        assert slower.metrics["estimated_cycles"] - default.metrics["estimated_cycles"] == 26_000
        with pytest.raises(CompilerError, match="tensors do not fit"):
            problem.evaluate({"network/conv_split": "cw"})
        artifact = problem.build({}, tmp_path / "built")
    assert artifact.files["model"].name == "network.c"
