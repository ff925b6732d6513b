"""What README.md and docs/ say is what the program does."""

from __future__ import annotations

import importlib.util
import inspect
import re
from itertools import chain
from pathlib import Path
from typing import get_args

import click
import pytest
from page_blocks import blocks_of, command_calls, pages
from page_links import codes_of, linked_pages
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
    """Words of every call of npu-tune in a block of shell, also on pages whose blocks are not run."""
    documents = [ROOT / "CONTRIBUTING.md", *pages(), *sorted((ROOT / "studies").rglob("*.md"))]
    for document in documents:
        for block in blocks_of(document):
            if block.language == "sh":
                yield from command_calls(block.text)


@pytest.mark.parametrize("words", [*command_lines()], ids=" ".join)
def test_every_documented_command_has_the_right_arguments(words):
    context = commands.make_context("npu-tune", words[1:])
    name, command, rest = commands.resolve_command(context, words[1:])
    command.make_context(name, list(rest))


def inline_calls():
    """Calls within a sentence, which leave out or abbreviate much."""
    for document in linked_pages():
        for code in codes_of(document):
            for words in command_calls(" ".join(code.split()).partition("\\|")[0]):
                if len(words) > 1 and words[1].islower():
                    yield words


@pytest.mark.parametrize("words", [*inline_calls()], ids=" ".join)
def test_every_command_in_a_sentence_exists_with_its_options(words):
    if words[1].startswith("-"):
        command, options = commands, words[1:]
    else:
        command, options = commands.commands[words[1]], words[2:]
    known = {
        option
        for parameter in command.get_params(click.Context(command))
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert [word for word in options if word.startswith("--") and word not in known] == []


def test_every_program_that_a_page_names_is_there():
    named = {
        (document, path)
        for document in linked_pages()
        for code in codes_of(document)
        for path in re.findall(r"\bpython\s+((?:tests|studies|docs)/\S+\.py)", code)
    }
    assert sorted(path for _, path in named if not (ROOT / path).is_file()) == []
    assert len(named) > 20


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


def test_the_tables_of_the_study_file_are_written_from_the_code():
    from npu_tune.tuning import StudyFile

    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    text = (ROOT / "docs/study_file.md").read_text()
    assert generate.page(text) == text, "run: python docs/generate.py"
    headings = {part.splitlines()[0]: part for part in text.split("\n## ")}
    for name, field in StudyFile.model_fields.items():
        section = headings[f"`[{name}]`"]
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            assert f"<!-- {field.annotation.__name__} -->" in section


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


def test_two_commands_of_the_readme_do_all_the_set_up_and_ci_runs_the_second():
    set_up = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    main_job, tests = set_up
    assert f"<!-- main job -->\n```sh\n{main_job}\n```" in README
    assert f"<!-- tests -->\n```sh\n{tests}\n```" in README
    assert main_job.split(" && ")[-1].startswith(".venv/bin/npu-tune tune resnet8 --target ")
    # .ci/run takes the line from the README by this very marker.
    assert "<!-- tests -->" in (ROOT / ".ci/run").read_text()
