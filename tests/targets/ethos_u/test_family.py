from __future__ import annotations

import re
from pathlib import Path

import pytest

from npu_tune.errors import TargetError
from npu_tune.targets import load_target
from npu_tune.targets.ethos_u import system
from npu_tune.targets.ethos_u.family import ACCELERATORS, SECTIONS, EthosUFamily
from npu_tune.targets.ethos_u.system import vendor_ini
from npu_tune.targets.options import option_flags, option_texts


def test_every_accelerator_can_be_made_with_the_defaults_of_vela():
    for name in ACCELERATORS:
        target = EthosUFamily().make(name, {})
        assert target.name == name
        assert target.fingerprint()["compiler"] == "ethos-u-vela 5.2.0"


def test_a_target_is_found_through_its_entry_point():
    assert load_target("ethos-u55-64").name == "ethos-u55-64"


def test_an_unknown_target_is_refused_with_the_known_ones():
    with pytest.raises(TargetError, match="ethos-u55-128"):
        load_target("ethos-u56-128")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"system_config": "Ethos_U55_HighEnd"}, "Ethos_U55_High_End_Embedded"),
        ({"memory_mode": "Shared_SRAM"}, "Shared_Sram"),
        ({"memory": "Shared_Sram"}, "memory_mode"),
        ({"memory_mode": 4}, "It takes text"),
        ({"config": 4}, "It takes a path in quotes"),
        ({"allow_cpu": "yes"}, "true or false"),
        ({"config": "/no/such/vela.ini"}, "cannot be read"),
    ],
)
def test_a_wrong_option_is_refused_with_the_remedy(options, words):
    with pytest.raises(TargetError) as caught:
        EthosUFamily().make("ethos-u55-128", options)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ACCELERATORS)
def test_a_system_config_of_another_accelerator_is_refused(name):
    configs = re.findall(r"^\[System_Config\.(\w+)\]", vendor_ini().read_text(), re.MULTILINE)
    number = name[len("ethos-u") :].partition("-")[0]
    for config in configs:
        if config.startswith(f"Ethos_U{number}_"):
            assert EthosUFamily().make(name, {"system_config": config}).name == name
            continue
        with pytest.raises(TargetError, match=f"{name!r} is an Ethos-U{number}") as caught:
            EthosUFamily().make(name, {"system_config": config})
        assert f"Ethos_U{number}_" in caught.value.remedy
        assert config not in caught.value.remedy


def test_a_system_config_that_names_no_accelerator_is_for_any(tmp_path):
    ini = tmp_path / "board.ini"
    text = vendor_ini().read_text().replace("Ethos_U55_High_End_Embedded", "My_Board")
    ini.write_text(text)
    options = {"system_config": "My_Board", "config": str(ini)}
    for name in ("ethos-u55-128", "ethos-u65-256"):
        assert EthosUFamily().make(name, options).fingerprint()["system_config"] == "My_Board"


def test_every_system_config_and_memory_mode_of_velas_own_is_listed():
    listed = option_texts(EthosUFamily().options)
    for option, kind in SECTIONS.items():
        sections = re.findall(rf"^\[{kind}\.(\w+)\]", vendor_ini().read_text(), re.MULTILINE)
        assert len(sections) >= 6
        assert all(name in listed[option] for name in sections)


def test_the_options_are_told_without_vela_too(monkeypatch):
    monkeypatch.setattr(system, "find_spec", lambda _: None)
    listed = option_texts(EthosUFamily().options)
    assert set(listed) == {"system_config", "memory_mode", "config", "allow_cpu"}
    assert listed["memory_mode"] == "a Memory_Mode section of the ini file"


def test_four_options_have_a_flag_of_their_own():
    flags = {flag.name: flag.is_switch for flag in option_flags(EthosUFamily().options)}
    assert flags == {
        "--system-config": False,
        "--memory-mode": False,
        "--config": False,
        "--allow-cpu": True,
    }


def test_a_name_that_is_no_accelerator_is_refused_with_the_closest():
    with pytest.raises(TargetError, match="Did you mean 'ethos-u55-128'"):
        EthosUFamily().make("ethos-u55-127", {})


def test_a_wrong_name_is_answered_with_those_of_the_users_own_file(tmp_path: Path):
    path = tmp_path / "own.ini"
    path.write_text("[System_Config.Ours]\n[System_Config.Theirs]\n")
    with pytest.raises(TargetError, match="Known are Ours, Theirs"):
        EthosUFamily().make("ethos-u55-128", {"config": str(path)})


def test_an_ini_file_of_another_name_is_refused_as_vela_does(tmp_path: Path):
    path = tmp_path / "vela.cfg"
    path.write_text(vendor_ini().read_text())
    with pytest.raises(TargetError, match=r"suffix \.ini"):
        EthosUFamily().make("ethos-u55-128", {"config": str(path)})


def test_a_file_that_is_no_ini_file_is_refused(tmp_path: Path):
    path = tmp_path / "vela.ini"
    path.write_text("core_clock without a section\n")
    with pytest.raises(TargetError, match="not a valid ini file"):
        EthosUFamily().make("ethos-u55-128", {"config": str(path)})


def test_the_users_own_ini_file_changes_the_fingerprint(tmp_path: Path):
    path = tmp_path / "vela.ini"
    path.write_text(vendor_ini().read_text().replace("core_clock=500e6", "core_clock=400e6"))
    own = EthosUFamily().make("ethos-u55-128", {"config": str(path)})
    vendor = EthosUFamily().make("ethos-u55-128", {})
    assert own.fingerprint()["config_sha256"] != vendor.fingerprint()["config_sha256"]
