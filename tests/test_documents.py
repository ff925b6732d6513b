"""What README.md and docs/ say is what the program does."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from npu_tune import errors
from npu_tune.cli.main import commands

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def hardware_chapter():
    page = (ROOT / "docs/neural_art.md").read_text()
    return page.split("\n## Hardware\n")[1].split("\n## ")[0]


def command_lines():
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for document in documents:
        for block in blocks(document.read_text(), "sh"):
            for line in block.splitlines():
                yield from (part.strip() for part in line.split("&&") if "npu-tune " in part)


@pytest.mark.parametrize("line", list(command_lines()))
def test_every_documented_command_has_the_right_arguments(line):
    words = shlex.split(line)
    assert words[0].endswith("npu-tune")
    context = commands.make_context("npu-tune", words[1:])
    name, command, rest = commands.resolve_command(context, words[1:])
    command.make_context(name, list(rest))


def test_every_error_class_has_a_documented_exit_code():
    page = (ROOT / "docs/exit_codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    used = {getattr(errors, name).exit_code for name in dir(errors) if name.endswith("Error")}
    assert used | {0, 130, 141} == documented


def test_every_sampler_is_documented_with_all_its_arguments():
    from npu_tune import samplers
    from npu_tune.tuning.samplers import sampler_names

    page = (ROOT / "docs/samplers.md").read_text()
    assert {name for name in sampler_names() if f"`{name}`" not in page} == set()
    kinds = (
        samplers.SimulatedAnnealingSampler,
        samplers.QLearningSampler,
        samplers.OfflineQLearningSampler,
    )
    for kind in kinds:
        arguments = inspect.signature(kind).parameters
        assert {name for name in arguments if f"`{name}`" not in page} == set()


def test_every_key_of_the_study_file_is_documented():
    from npu_tune.tuning import StudyFile

    page = (ROOT / "docs/study_file.md").read_text()
    sections = {part.splitlines()[0]: part for part in page.split("\n## ")}
    for name, field in StudyFile.model_fields.items():
        section = sections[f"`[{name}]`"]
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
            assert keys == set(kind.model_fields), name


def test_the_study_files_in_the_documentation_are_valid():
    import tomllib

    from npu_tune.tuning import parse_study

    examples = blocks((ROOT / "docs/study_file.md").read_text(), "toml")
    assert len(examples) == 3
    for example in examples:
        parse_study(tomllib.loads(example), base=ROOT)


def test_every_key_of_the_comparison_file_is_documented():
    from npu_tune.compare.file import config

    page = (ROOT / "docs/compare.md").read_text()
    for name, kind in {
        "`[compare]`": config.CompareSection,
        "`[report]`": config.ReportSection,
        "`[replay]`": config.ReplaySection,
    }.items():
        section = page.split(f"\n### {name}\n")[1].split("\n##")[0]
        keys = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        assert keys == list(kind.model_fields), name


def test_the_comparison_file_in_the_documentation_is_valid():
    import tomllib

    from npu_tune.compare import parse_comparison

    (example,) = blocks((ROOT / "docs/compare.md").read_text(), "toml")
    parse_comparison(tomllib.loads(example), base=ROOT)


def test_every_key_of_the_configuration_of_a_rewriting_is_documented_and_the_example_is_valid():
    import json

    from npu_tune.network.rewrite import parse_plan, plan, plan_document

    page = (ROOT / "docs/rewrite.md").read_text()
    keys = [
        key
        for name, field in plan.RewriteFile.model_fields.items()
        for key in (name, *(f"{name}.{each}" for each in _entry_keys(field.annotation)))
    ]
    assert re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE) == keys
    (example,) = map(json.loads, blocks(page, "json"))
    assert plan_document(parse_plan(example, source="docs")) == example


def _entry_keys(annotation):
    tables = [kind for kind in get_args(annotation) if hasattr(kind, "model_fields")]
    return [key for table in tables for key in table.model_fields]


@pytest.mark.slow
def test_the_example_of_a_rewriting_says_what_the_page_says(tmp_path):
    page = (ROOT / "docs/rewrite.md").read_text()
    (tmp_path / "plan.json").write_text(*blocks(page, "json"))
    (line,) = blocks(page, "sh")
    (said,) = blocks(page, "text")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from npu_tune.cli.main import main; main()",
            *shlex.split(line)[1:],
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    # Whether sums come out to the last bit is the processor's.
    assert done.stdout.splitlines()[0] == said.splitlines()[0]
    (python,) = blocks(page, "python")
    exec(compile(python, "docs/rewrite.md", "exec"), {})  # noqa: S102 - the example is what is tested


def test_every_parameter_of_the_hardware_that_a_study_varies_is_documented():
    from npu_tune.targets.neural_art.hardware import VARIABLE_PARAMETERS

    page = (ROOT / "docs/study_file.md").read_text()
    section = page.split("\n## `[target.hardware]`\n")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == VARIABLE_PARAMETERS


def test_every_key_of_a_hardware_file_is_documented():
    from npu_tune.targets.neural_art.hardware import parameters

    tables = {
        "units": parameters.UnitParameters,
        "pools.NAME": parameters.PoolParameters,
        "energy": parameters.EnergyParameters,
        "calibration": parameters.CalibrationParameters,
        "dimc": parameters.DimcParameters,
    }
    keys = {
        name
        for name in parameters.HardwareParameters.model_fields
        if name not in {*tables, "pools"}
    }
    keys |= {f"{table}.{key}" for table, kind in tables.items() for key in kind.model_fields}
    documented = re.findall(r"^\| `([\w.]+)` \|", hardware_chapter(), re.MULTILINE)
    assert set(documented) == keys | {"based_on"}


def test_the_hardware_in_the_documentation_can_be():
    import tomllib

    from npu_tune.targets.neural_art.hardware import HardwareVariants, load_hardware
    from npu_tune.targets.neural_art.hardware.load import parse_hardware

    own, *studies = blocks(hardware_chapter(), "toml")
    assert parse_hardware(own, source="docs").units.accelerators == 2
    page = (ROOT / "docs/study_file.md").read_text()
    studies += [study for study in blocks(page, "toml") if "[target.hardware]" in study]
    assert len(studies) == 2
    for study in studies:
        target = tomllib.loads(study)["target"]
        hardware = load_hardware(target["name"].removeprefix("neural-art-"))
        assert HardwareVariants.of(hardware, target["hardware"]).knobs()


def test_the_constraints_name_no_place_and_cover_every_dependency():
    import tomllib

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.+!-]+", line) for line in lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    # PyTorch is larger than everything else together, and part of no tested environment.
    del extras["gp"]
    wanted = [*project["dependencies"], *chain(*extras.values())]
    names = {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in wanted}
    assert names - {"npu-tune"} <= pins


@pytest.mark.slow
@pytest.mark.parametrize(
    "example",
    [*blocks(README, "python"), *blocks((ROOT / "docs/ray_tune.md").read_text(), "python")],
)
def test_the_python_examples_of_the_readme_and_of_ray_tune_run(example, tmp_path):
    # In a process of its own, because Ray, once started, would be found running by other tests.
    script = tmp_path / "example.py"
    script.write_text(example)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_two_commands_of_the_readme_do_all_the_set_up_and_ci_runs_the_second():
    set_up = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    main_job, tests = set_up
    assert f"<!-- main job -->\n```sh\n{main_job}\n```" in README
    assert f"<!-- tests -->\n```sh\n{tests}\n```" in README
    assert main_job.split(" && ")[-1].startswith(".venv/bin/npu-tune tune resnet8 --target ")
    # .ci/run takes the line from the README by this very marker.
    assert "<!-- tests -->" in (ROOT / ".ci/run").read_text()
