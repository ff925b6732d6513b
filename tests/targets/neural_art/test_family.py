from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from npu_tune.errors import TargetError
from npu_tune.targets import load_target, target_families
from npu_tune.targets.neural_art import NeuralArtFamily
from npu_tune.targets.neural_art.family import CUSTOM
from npu_tune.targets.neural_art.hardware import HardwareVariants, hardware_names, load_hardware
from npu_tune.targets.options import option_flags, option_texts
from npu_tune.tuning import load_study_file, study_file_to_toml
from npu_tune.tuning.study_file import parse_study

N6 = "neural-art-stm32n6"
OWN = 'based_on = "stm32n6"\nname = "own"\nclock_mhz = 800\n'


@dataclass(frozen=True)
class HandedOver:
    """What the family makes a target of."""

    name: str
    variants: HardwareVariants
    rule: str
    four_bit_weights: bool
    external_ram: bool
    core: str
    reported_chains: bool = False
    deployable: bool = False


@pytest.fixture(autouse=True)
def target_module(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("npu_tune.targets.neural_art.target")
    module.NeuralArtTarget = HandedOver
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_there_is_a_target_per_built_in_description_and_one_for_the_users_own():
    family = NeuralArtFamily()
    assert set(family.names()) >= {N6, "neural-art-stm32h7p", "neural-art-dimc", CUSTOM}
    assert len(family.names()) == len(hardware_names()) + 1
    assert all(family.describe(name) for name in family.names())


def test_the_family_is_found_through_its_entry_point():
    assert isinstance(target_families()["neural-art"], NeuralArtFamily)
    assert load_target(N6).name == N6


@pytest.mark.parametrize("name", hardware_names())
def test_a_built_in_description_needs_no_option(name):
    made = NeuralArtFamily().make(f"neural-art-{name}", {})
    assert made == HandedOver(
        f"neural-art-{name}",
        HardwareVariants(load_hardware(name)),
        rule="calibrated",
        four_bit_weights=False,
        external_ram=True,
        core="4.0",
    )


def test_every_option_reaches_the_target(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    made = NeuralArtFamily().make(
        CUSTOM,
        {
            "hardware_file": path,
            "hardware": {"accelerators": [1, 2], "pools": {"npuRAM3": "64 KiB"}},
            "rule": "vendor",
            "four_bit_weights": True,
            "external_ram": False,
            "core": "3.0",
        },
    )
    assert made.rule == "vendor"
    assert made.four_bit_weights is True
    assert made.core == "3.0"
    assert made.external_ram is False
    assert made.variants.base.clock_mhz == 800
    assert [knob.values for knob in made.variants.knobs()] == [(1, 2)]
    assert made.variants.base.digest != load_hardware(path).digest


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (N6, {"rules": "vendor"}, "Did you mean 'rule'"),
        (N6, {"rule": "vendors"}, "Did you mean 'vendor'"),
        (N6, {"rule": ["vendor"]}, "calibrated"),
        (N6, {"four_bit_weights": "yes"}, "true or false"),
        (N6, {"external_ram": 0}, "true or false"),
        (N6, {"hardware": 4}, "It takes a table"),
        (N6, {"hardware": {"accelerators": 0}}, "'accelerators'"),
        (N6, {"hardware": {"dimc_tiles": 4}}, "neural-art-dimc"),
        (N6, {"hardware_file": "own.toml"}, CUSTOM),
        ("neural-art-stm32h7p", {"four_bit_weights": True}, "no weights of 4 bits"),
        (CUSTOM, {}, "needs the option hardware_file"),
        (CUSTOM, {"hardware_file": 4}, ".toml"),
        (CUSTOM, {"hardware_file": "stm32n6"}, ".toml"),
        (CUSTOM, {"hardware_file": Path("own.ini")}, ".toml"),
        (CUSTOM, {"hardware_file": "/no/such/file.toml"}, "Cannot read"),
        ("neural-art-stm32n7", {}, N6),
    ],
)
def test_a_wrong_option_is_refused_with_the_remedy(name, options, words):
    with pytest.raises(TargetError) as caught:
        NeuralArtFamily().make(name, options)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_every_option_is_described():
    texts = option_texts(NeuralArtFamily().options)
    assert set(texts) == {
        "hardware_file",
        "hardware",
        "rule",
        "four_bit_weights",
        "external_ram",
        "chains",
        "deployable",
        "core",
    }
    assert all(texts.values())
    assert [flag.option for flag in option_flags(NeuralArtFamily().options)] == ["core"]


def test_a_hardware_file_is_found_beside_the_study_file(tmp_path: Path, monkeypatch):
    (tmp_path / "own.toml").write_text(OWN)
    study = tmp_path / "study.toml"
    study.write_text(
        f'[model]\npath = "resnet8"\n[target]\nname = "{CUSTOM}"\nhardware_file = "own.toml"\n'
    )
    monkeypatch.chdir("/")
    target = load_study_file(study).target
    assert load_target(target.name, target.options).variants.base.name == "own"


def test_a_hardware_table_is_the_same_after_it_was_written_into_a_study_folder(tmp_path):
    hardware = {
        "accelerators": [1, 2, 4],
        "clock_mhz": 800.5,
        "pools": {"npuRAM5": ["256 KiB", 458752], "cpuRAM2": 0},
    }
    asked = parse_study(
        {"model": {"path": "resnet8"}, "target": {"name": N6, "hardware": hardware}},
        base=tmp_path,
    )
    path = tmp_path / "study.toml"
    path.write_text(study_file_to_toml(asked))
    again = load_study_file(path)
    assert again.target.options == {"hardware": hardware}
    made = [load_target(study.target.name, study.target.options) for study in (asked, again)]
    assert made[0] == made[1]


@pytest.mark.parametrize("given", ["3.0", 3.0])
def test_a_version_of_the_compiler_may_be_a_number(given):
    assert NeuralArtFamily().make(N6, {"core": given}).core == "3.0"


@pytest.mark.parametrize("given", ["2.0", 2.0, 3.05, True])
def test_other_versions_of_the_compiler_are_refused(given):
    with pytest.raises(TargetError, match="core"):
        NeuralArtFamily().make(N6, {"core": given})


def test_what_is_deployable_is_offered_for_the_real_hardware_alone():
    target: Any = load_target(N6, {"deployable": True, "chains": "reported"})
    assert target.deployable
    assert target.reported_chains
    with pytest.raises(TargetError, match="nothing can be deployed to 'dimc'"):
        load_target("neural-art-dimc", {"deployable": True})
    with pytest.raises(TargetError, match="parameters of your own"):
        load_target(N6, {"deployable": True, "hardware": {"accelerators": [1, 2]}})
