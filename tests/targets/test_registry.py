"""Families that packages bring: found, refused, broken, and named alike."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from npu_tune.errors import NpuTuneWarning, TargetError
from npu_tune.network import Network
from npu_tune.targets import load_target, target_families
from npu_tune.targets.ethos_u import EthosUFamily
from npu_tune.targets.registry import find_family, warn_of_shared_names

FORTY_LINES = '''
from dataclasses import dataclass, field

from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import BaseTarget, Evaluation, Kind, Metric


@dataclass(frozen=True)
class TinyTarget(BaseTarget):
    """An NPU with one knob.

    Nobody has ever seen it.
    """

    units: int = field(default=2, metadata={"description": "how many units there are"})

    name = "tiny-npu"
    metrics = (Metric("cycles", "cycles", Kind.ESTIMATED),)

    def space(self, network):
        return SearchSpace((Knob("network", "mode", ("slow", "fast"), "slow"),))

    def evaluate(self, network, configuration):
        speed = 2.0 if configuration["network/mode"] == "fast" else 1.0
        return Evaluation({"cycles": 100.0 / speed / self.units})


class Nameless(BaseTarget):
    pass
'''

FAMILY = """
from npu_tune.validation import Table

class Options(Table):
    pass

class Family:
    options = Options
    def names(self): return {names!r}
    def describe(self, name): return "made up"
    def make(self, name, options): return name

class Old(Family):
    def options(self): return {{}}

class Raising(Family):
    def names(self): raise OSError("no licence")

class Unmade(Family):
    def __init__(self): raise KeyError("x")
"""

BUILT_IN = {"ethos-u", "neural-art"}


@pytest.fixture
def offer(tmp_path: Path, monkeypatch):
    """Installs a package with one module and one entry point."""

    def install(package: str, what: str, text: str, point: str | None = None) -> None:
        folder = tmp_path / package
        module = package.replace("-", "_")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        line = f"[npu_tune.targets]\n{point or package} = {module}:{what}\n"
        (info / "entry_points.txt").write_text(line)
        monkeypatch.syspath_prepend(folder)

    return install


@pytest.fixture
def network() -> Network:
    return Network("none", "onnx", (), {}, (), (), b"")


def test_what_is_installed_later_is_found_and_loaded_once(offer):
    assert set(target_families()) >= BUILT_IN
    before = target_families()["ethos-u"]
    offer("vendor-a", "Family", FAMILY.format(names=("npu-a",)))
    assert "vendor-a" in target_families()
    assert load_target("npu-a") == "npu-a"
    assert target_families()["vendor-a"] is target_families()["vendor-a"]
    assert isinstance(before, EthosUFamily)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("Missing", "AttributeError"),
        ("Raising", "OSError: no licence"),
        ("Unmade", "KeyError: 'x'"),
        ("Old", "no subclass of Table"),
    ],
)
def test_a_broken_family_is_warned_of_and_harms_only_itself(offer, what, words):
    offer("broken-npu", what, FAMILY.format(names=("npu-b",)), point="broken")
    with pytest.warns(NpuTuneWarning, match="'broken' of the package broken-npu") as caught:
        assert load_target("ethos-u55-128").name == "ethos-u55-128"
    assert words in str(caught[0].message)
    assert "broken" not in target_families()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        with pytest.raises(TargetError) as refused:
            load_target("npu-b")
    assert "broken-npu cannot be used" in refused.value.remedy
    assert words in refused.value.remedy


def test_a_module_that_cannot_be_imported_is_a_broken_family(offer):
    offer("unfinished", "Family", "import no_such_module_anywhere\n")
    with pytest.warns(NpuTuneWarning, match="ModuleNotFoundError"):
        assert set(target_families()) >= BUILT_IN


def test_a_name_that_two_packages_offer_is_refused_with_both_and_no_other_name_is(offer):
    offer("vendor-c", "Family", FAMILY.format(names=("npu-c", "npu")))
    offer("vendor-d", "Family", FAMILY.format(names=("npu-d", "npu")))
    assert load_target("npu-c") == "npu-c"
    with pytest.raises(TargetError) as caught:
        find_family("npu")
    assert "vendor-c" in caught.value.message
    assert "vendor-d" in caught.value.message
    with pytest.warns(NpuTuneWarning, match="'npu' is offered by vendor-"):
        warn_of_shared_names()


def test_entry_points_of_one_name_are_told_apart_by_their_packages(offer):
    offer("vendor-e", "Family", FAMILY.format(names=("npu-e",)), point="npu")
    offer("vendor-f", "Family", FAMILY.format(names=("npu-f",)), point="npu")
    assert {"npu of vendor-e", "npu of vendor-f"} <= set(target_families())
    assert load_target("npu-f") == "npu-f"


def test_nothing_is_warned_of_where_every_name_is_offered_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_shared_names()


def test_a_single_target_needs_no_family(offer, network):
    offer("tiny", "TinyTarget", FORTY_LINES)
    family = find_family("tiny-npu")
    assert family.names() == ("tiny-npu",)
    assert family.describe("tiny-npu") == "An NPU with one knob"
    assert family.options.model_fields["units"].description == "how many units there are"
    with load_target("tiny-npu", {"units": 4}).bind(network) as problem:
        assert problem.evaluate(problem.space.default).metrics == {"cycles": 25.0}
        assert problem.target.fingerprint() == {"version": "1", "units": "4"}
    with load_target("tiny-npu").bind(network) as problem:
        assert problem.evaluate(problem.space.default).metrics == {"cycles": 50.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [({"units": "4"}, "It takes a whole number"), ({"unit": 4}, "Did you mean 'units'")],
)
def test_the_fields_of_a_single_target_are_its_options(offer, options, words):
    offer("tiny", "TinyTarget", FORTY_LINES)
    with pytest.raises(TargetError, match=words):
        load_target("tiny-npu", options)


def test_a_target_class_without_a_name_is_a_broken_family(offer):
    offer("nameless", "Nameless", FORTY_LINES)
    with pytest.warns(NpuTuneWarning, match="Nameless has no name"):
        target_families()


def test_an_unknown_name_is_answered_with_the_closest():
    with pytest.raises(TargetError, match="Did you mean 'ethos-u55-128'"):
        load_target("ethos-u55-129")
