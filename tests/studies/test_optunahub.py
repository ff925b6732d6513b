"""The packages for OptunaHub stand alone, and are what npu-tune's own samplers are."""

from __future__ import annotations

import inspect
import re
import runpy
import shutil
from functools import partial
from pathlib import Path

import check_packages
import gathering
import make_packages
import optuna
import optunahub
import pytest
import registry_rules
from gathering import PackagingError, Source
from optuna.testing.pytest_samplers import MultiObjectiveSamplerTestCase, RelativeSamplerTestCase

from npu_tune import samplers

ROOT = Path(__file__).resolve().parents[2]
SAMPLERS = {"layerwise": "LayerwiseSampler", "layer_profile": "LayerProfileSampler"}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    make_packages.make_packages(folder, author="Jane Doe")
    return folder / "package"


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def packaged(registry, name):
    """The class of a package's sampler."""
    module = optunahub.load_local_module(f"samplers/{name}", registry_root=str(registry))
    return getattr(module, SAMPLERS[name])


def search(sampler, objective, trials=20):
    """Parameters and values of a short study."""
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return [(trial.params, trial.value) for trial in study.trials]


def clone_with(tmp_path, module, text):
    """A copy of the samplers in which a module ends with some text."""
    shutil.copytree(ROOT / "npu_tune" / "samplers", tmp_path / "npu_tune" / "samplers")
    shutil.copy(ROOT / "npu_tune" / "pareto.py", tmp_path / "npu_tune")
    path = tmp_path / "npu_tune" / "samplers" / module
    path.write_text(path.read_text() + text)
    return Source(tmp_path)


def test_a_package_is_the_same_bytes_whenever_it_is_made(registry, tmp_path):
    make_packages.make_packages(tmp_path, author="Jane Doe")
    assert contents(tmp_path / "package") == contents(registry)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_package_has_the_files_and_names_of_the_registry(registry, name):
    files = contents(registry / "samplers" / name)
    assert {"__init__.py", "README.md", "LICENSE", "example.py", f"{name}.py"} <= set(files)
    assert b"Copyright (c) 2026 Jane Doe" in files["LICENSE"]
    header = registry_rules.front_matter(files["README.md"].decode())
    assert (header["author"], header["license"]) == ("Jane Doe", "MIT License")
    module = optunahub.load_local_module(f"samplers/{name}", registry_root=str(registry))
    assert SAMPLERS[name] in module.__all__
    assert all(hasattr(module, exported) for exported in module.__all__)


def test_a_package_brings_along_what_its_sampler_needs_and_no_more(registry):
    files = contents(registry / "samplers" / "layerwise")
    assert not any("offline" in file or "annealing" in file for file in files)
    assert b"AnnealingSettings" not in b"".join(files.values())


def test_the_registrys_settings_of_ruff_and_mypy_are_content(registry):
    check_packages.check_style(registry)


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_example_runs_where_npu_tune_cannot_be_imported(registry, name):
    example = registry / "samplers" / name / "example.py"
    printed = check_packages.run_alone(example, ["--trials", "8", "--seeds", "1"])
    assert [line.split()[0] for line in printed.splitlines()[2:]] == [
        SAMPLERS[name],
        "TPESampler",
        "RandomSampler",
    ]


@pytest.mark.parametrize(("name", "kind"), SAMPLERS.items())
def test_a_package_proposes_what_the_sampler_of_npu_tune_proposes(registry, name, kind):
    objective = runpy.run_path(str(registry / "samplers" / name / "example.py"))["objective"]
    ours = search(getattr(samplers, kind)(seed=5), objective)
    assert search(packaged(registry, name)(seed=5), objective) == ours
    assert search(packaged(registry, name)(seed=6), objective, 3) != ours[:3]


class _Packaged:
    @pytest.fixture(params=SAMPLERS)
    def sampler(self, registry, request):
        return packaged(registry, request.param)


@pytest.mark.filterwarnings("ignore:No parameter name has the form")
class TestRelative(_Packaged, RelativeSamplerTestCase):
    pass


@pytest.mark.filterwarnings("ignore:No parameter name has the form")
class TestMultiObjective(_Packaged, MultiObjectiveSamplerTestCase):
    pass


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nimport pandas\n", "imports pandas, but a package of OptunaHub may only import Optuna"),
        (
            "\nfrom npu_tune.pareto import front\n",
            "imports from npu_tune.pareto, which is no part",
        ),
        ("\nimport npu_tune.pareto\n", "imports npu_tune.pareto as a whole"),
        ("\nfrom .plan import SweepPlan\n", "imports by a relative name"),
        (
            "\nfrom npu_tune.samplers import LayerwiseSampler\n",
            "import it from where it is defined",
        ),
    ],
)
def test_a_module_that_a_package_cannot_have_is_named(tmp_path, text, problem):
    source = clone_with(tmp_path, "steps.py", text)
    with pytest.raises(
        PackagingError, match=rf"^npu_tune\.samplers\.steps, line \d+, .*{problem}"
    ):
        source.gather("npu_tune.samplers.layerwise")


def test_a_module_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PackagingError, match=r"There is no module npu_tune\.samplers\.layerwise"):
        Source(tmp_path).gather("npu_tune.samplers.layerwise")


def test_an_author_that_breaks_the_front_matter_is_refused(tmp_path):
    with pytest.raises(PackagingError, match="is no YAML"):
        make_packages.make_packages(tmp_path, author="Doe: Jane: {")


def test_what_exists_is_not_overwritten(registry):
    with pytest.raises(PackagingError, match="exists already"):
        make_packages.make_packages(registry.parent, author="Jane Doe")


GOOD = {
    "author": "Jane Doe",
    "title": "A Sampler",
    "description": "Samples.",
    "tags": ["sampler"],
    "optuna_versions": ["5.0.0"],
    "license": "MIT License",
}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"license": "Apache-2.0"}, "`license` is 'MIT License'"),
        ({"optuna_versions": [5.0]}, "`optuna_versions` is a list of texts"),
        ({"tags": ["layers"]}, "the tags of a sampler name `sampler`"),
        ({"title": None}, "`title` is text"),
    ],
)
def test_a_front_matter_that_the_registry_would_refuse_is_refused(tmp_path, changes, rule):
    registry_rules.check_front_matter(GOOD, tmp_path)
    with pytest.raises(PackagingError, match=rule):
        registry_rules.check_front_matter(GOOD | changes, tmp_path)


def test_names_are_relative_to_the_module_that_imports():
    module = Source(ROOT).find("npu_tune.samplers.profile.lessons")
    text = gathering.standalone_text(module)
    assert "from ..arrays import Floats, Integers" in text
    assert "from ..history import History" in text
    assert "from .profiles import SUM, Profiles" in text


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_example_on_a_page_runs(registry, name, monkeypatch, capsys):
    load = partial(optunahub.load_local_module, registry_root=str(registry))
    monkeypatch.setattr(optunahub, "load_module", load)
    page = (registry / "samplers" / name / "README.md").read_text()
    (example,) = re.findall(r"## Example\n\n```python\n(.*?)```", page, re.DOTALL)
    assert f'load_module("samplers/{name}")' in example
    exec(compile(example, name, "exec"), {})  # noqa: S102 - the example is what is tested
    assert float(capsys.readouterr().out) > 0


@pytest.mark.parametrize(("name", "kind"), SAMPLERS.items())
def test_a_page_names_every_argument_with_its_default(registry, name, kind):
    page = (registry / "samplers" / name / "README.md").read_text()
    for argument in inspect.signature(packaged(registry, name)).parameters.values():
        default = f"{kind.removesuffix('Sampler')}Settings()"
        if argument.name != "settings":
            default = repr(argument.default).replace("'", '"')
        assert f"{argument.name}={default}" in page
        assert f"\n  - `{argument.name}`: " in page
