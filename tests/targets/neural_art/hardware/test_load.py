from __future__ import annotations

import copy
import dataclasses
import itertools
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from npu_tune.errors import TargetError
from npu_tune.targets.neural_art.hardware import (
    Dimc,
    Hardware,
    PoolKind,
    hardware_names,
    load_hardware,
)

KIB = 1024


def test_the_stm32n6_is_the_published_one():
    hardware = load_hardware("stm32n6")
    assert hardware.units.accelerators * hardware.units.macs_per_cycle == 288
    assert [pool.name for pool in hardware.internal] == [
        "npuRAM5",
        "npuRAM4",
        "npuRAM3",
        "npuRAM6",
        "cpuRAM2",
    ]
    assert sum(pool.size_bytes for pool in hardware.internal) == 2816 * KIB
    assert hardware.internal[0].cycles_per_byte == 1.25 / 8
    assert [pool.name for pool in hardware.external] == ["hyperRAM"]
    assert hardware.flash.cycles_per_byte == 6
    assert hardware.dimc is None


def test_the_npu_rams_and_the_cpu_ram_of_the_stm32n6_touch():
    pools = sorted(load_hardware("stm32n6").internal, key=lambda pool: pool.base)
    assert [a.end == b.base for a, b in itertools.pairwise(pools)] == [True] * 4


@pytest.mark.parametrize("name", hardware_names())
def test_every_built_in_description_is_valid_and_named_as_its_file(name):
    hardware = load_hardware(name)
    assert hardware.name == name
    kinds = [pool.kind for pool in hardware.pools]
    assert kinds == sorted(kinds, key=["npu", "cpu", "external", "flash"].index), (
        "RAM on the chip comes first, flash last"
    )
    assert hardware is load_hardware(name)


@pytest.mark.parametrize("name", hardware_names())
def test_every_figure_of_a_built_in_file_says_where_it_comes_from(name):
    import npu_tune.targets.neural_art.hardware as package

    text = (Path(package.__file__).parent / "data" / f"{name}.toml").read_text()
    parameters = [
        line for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#")
    ]
    plain = ("name", "description", "kind", "based_on")
    silent = [line for line in parameters if not line.startswith(plain) and "# [" not in line]
    assert not silent


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(TargetError, match="Did you mean 'stm32n6'"):
        load_hardware("stm32n7")


def as_table(hardware: Hardware) -> dict[str, Any]:
    """A description as the document that says the same."""

    def plain(value: Any) -> dict[str, Any]:
        table = {field.name: getattr(value, field.name) for field in fields(value)}
        return {
            key: list(item) if isinstance(item, tuple) else item for key, item in table.items()
        }

    document = plain(hardware)
    for key in ("units", "energy", "calibration", "dimc"):
        if document[key] is None:
            del document[key]
        else:
            document[key] = plain(document[key])
    pools = [plain(pool) for pool in hardware.pools]
    document["pools"] = {pool.pop("name"): pool | {"kind": pool["kind"].value} for pool in pools}
    return document


@pytest.fixture
def write(tmp_path: Path):
    def to_file(document: dict[str, Any]) -> Path:
        path = tmp_path / "own.toml"
        path.write_text(tomli_w.dumps(document))
        return path

    return to_file


@pytest.mark.parametrize("name", hardware_names())
def test_what_is_written_out_is_read_back_the_same(name, write):
    hardware = load_hardware(name)
    assert load_hardware(write(as_table(hardware))) == hardware


def test_the_order_of_pools_in_the_file_is_the_order_of_preference_on_the_chip(write):
    document = as_table(load_hardware("stm32n6"))
    document["pools"] = dict(reversed(document["pools"].items()))
    read = load_hardware(write(document))
    assert [pool.name for pool in read.pools] == [
        "cpuRAM2",
        "npuRAM6",
        "npuRAM3",
        "npuRAM4",
        "npuRAM5",
        "hyperRAM",
        "octoFlash",
    ]


WRONG = [
    ("clock_mhz", 0),
    ("clock_mhz", -1.0),
    ("clock_mhz", float("inf")),
    ("clock_mhz", float("nan")),
    ("clock_mhz", 1e9),
    ("clock_mhz", "fast"),
    ("clock_mhz", True),
    ("cpu_clock_mhz", 0),
    ("cpu_cycles_per_element", -1),
    ("name", ""),
    ("description", ""),
    ("weight_bits", [4]),
    ("weight_bits", [8, 8]),
    ("weight_bits", [8, 5]),
    ("weight_bits", []),
    ("weight_bits", 8),
    ("units", 1),
    ("units.accelerators", 0),
    ("units.accelerators", 65),
    ("units.accelerators", 1.5),
    ("units.macs_per_cycle", 0),
    ("units.kernel_buffer_bytes", 0),
    ("units.kernel_buffer_bytes", "0.3 B"),
    ("units.feature_buffer_bytes", -1),
    ("units.feature_buffer_bytes", "much"),
    ("units.stream_engines", 1),
    ("units.pools", 0),
    ("units.activations", 0),
    ("units.arithmetics", 0),
    ("units.decompressors", -1),
    ("units.line_buffer_bytes", -1),
    ("pools", {}),
    ("pools.npuRAM5", 448),
    ("pools.npuRAM5.kind", "ram"),
    ("pools.npuRAM5.base", -1),
    ("pools.npuRAM5.base", 2**32),
    ("pools.npuRAM5.size_bytes", 0),
    ("pools.npuRAM5.size_bytes", -1),
    ("pools.npuRAM5.size_bytes", "-448 KiB"),
    ("pools.npuRAM5.width_bytes", 0),
    ("pools.npuRAM5.clock_ratio", 0),
    ("pools.npuRAM5.clock_ratio", float("inf")),
    ("pools.npuRAM5.read_power", -1),
    ("pools.npuRAM5.write_power", -1),
    ("energy.mac", -1),
    ("energy.element", float("nan")),
    ("energy.cpu_cycle", -1),
    ("energy.idle_cycle", -1),
    ("calibration.flash_cycles_per_byte", 0),
    ("calibration.epoch_cycles", -1),
    ("calibration.software_epoch_cycles", -1),
    ("calibration.compute_factor", 0),
    ("dimc.tiles", 0),
    ("dimc.rows", 0),
    ("dimc.columns", 0),
    ("dimc.cycles_per_pass", 0),
    ("dimc.load_bytes_per_cycle", 0),
    ("dimc.mac_power", -1),
]


@pytest.fixture
def document() -> dict[str, Any]:
    """The STM32N6 with tiles, as a document of its own."""
    table = as_table(load_hardware("stm32n6"))
    table["dimc"] = {
        field.name: value
        for field, value in zip(fields(Dimc), (8, 256, 32, 8, 8.0, 0.1), strict=True)
    }
    return copy.deepcopy(table)


def table_of(document: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *path, last = key.split(".")
    for part in path:
        document = document[part]
    return document, last


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_an_impossible_figure_is_refused_by_its_key(key, value, document, write):
    table, last = table_of(document, key)
    table[last] = value
    path = write(document)
    with pytest.raises(TargetError) as caught:
        load_hardware(path)
    assert f"'{key}'" in caught.value.message
    assert str(path) in caught.value.message
    assert caught.value.remedy


ALL_KEYS = [
    key for key, _ in dict(WRONG).items() if key not in {"pools", "units", "pools.npuRAM5"}
] + ["units", "pools", "energy", "calibration"]


@pytest.mark.parametrize("key", ALL_KEYS)
def test_a_missing_figure_is_named(key, document, write):
    table, last = table_of(document, key)
    del table[last]
    with pytest.raises(TargetError, match=rf"'{key}' is missing"):
        load_hardware(write(document))


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("clock_mz", "clock_mhz"),
        ("units.accelerator", "accelerators"),
        ("pools.npuRAM5.size_byte", "size_bytes"),
        ("energy.macs", "mac"),
        ("calibration.epochs_cycles", "epoch_cycles"),
        ("dimc.tile", "tiles"),
    ],
)
def test_an_unknown_key_is_named_with_the_known_ones(key, near, document, write):
    table, last = table_of(document, key)
    table[last] = 1
    with pytest.raises(TargetError, match=rf"no key '{key}'") as caught:
        load_hardware(write(document))
    assert f"Did you mean {near!r}?" in caught.value.remedy


def test_a_file_without_tiles_needs_no_table_for_them(document, write):
    del document["dimc"]
    assert load_hardware(write(document)).dimc is None


def test_a_pool_name_that_cannot_name_a_knob_is_refused(document, write):
    document["pools"]["a/b"] = document["pools"].pop("npuRAM5")
    with pytest.raises(TargetError, match="a/b"):
        load_hardware(write(document))


def test_pools_that_overlap_are_refused_by_name(document, write):
    document["pools"]["npuRAM3"]["size_bytes"] += 1
    with pytest.raises(TargetError, match=r"'npuRAM3' .* 'npuRAM4' .* overlap"):
        load_hardware(write(document))


def test_flash_that_overlaps_ram_is_refused_too(document, write):
    document["pools"]["octoFlash"]["base"] = document["pools"]["hyperRAM"]["base"] + 8
    with pytest.raises(TargetError, match="overlap"):
        load_hardware(write(document))


@pytest.mark.parametrize(("flashes", "count"), [((), "no"), (("octoFlash", "hyperRAM"), "2")])
def test_there_must_be_exactly_one_flash(flashes, count, document, write):
    for name, pool in document["pools"].items():
        if pool["kind"] == "flash":
            pool["kind"] = "external"
        if name in flashes:
            pool["kind"] = "flash"
    with pytest.raises(TargetError, match=f"{count} pools of kind 'flash'"):
        load_hardware(write(document))


def test_there_must_be_ram_on_the_chip(document, write):
    for pool in document["pools"].values():
        if pool["kind"] in {PoolKind.NPU, PoolKind.CPU}:
            pool["kind"] = "external"
    with pytest.raises(TargetError, match="no RAM on the chip"):
        load_hardware(write(document))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"clock_mhz = ", "not TOML"), (b"\xff\xfe", "not TOML"), (None, "No such file")],
)
def test_a_file_that_cannot_be_read_is_named(content, words, tmp_path):
    path = tmp_path / "own.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TargetError, match=words) as caught:
        load_hardware(path)
    assert str(path) in str(caught.value)


def test_a_file_can_say_only_what_differs_from_a_built_in_description(write):
    n6 = load_hardware("stm32n6")
    own = load_hardware(
        write(
            {
                "based_on": "stm32n6",
                "name": "own",
                "units": {"accelerators": 2},
                "pools": {"hyperRAM": {"size_bytes": "32 MiB"}},
            }
        )
    )
    expected = dataclasses.replace(
        n6,
        name="own",
        units=dataclasses.replace(n6.units, accelerators=2),
        pools=tuple(
            dataclasses.replace(pool, size_bytes=32 * KIB * KIB)
            if pool.name == "hyperRAM"
            else pool
            for pool in n6.pools
        ),
    )
    assert own == expected


@pytest.mark.parametrize("base", ["stm32n7", 6, ["stm32n6"]])
def test_a_base_that_is_no_built_in_description_is_refused(base, write):
    with pytest.raises(TargetError, match="'based_on'") as caught:
        load_hardware(write({"based_on": base}))
    assert "stm32n6" in caught.value.remedy


def test_the_prototype_is_an_stm32n6_with_tiles():
    n6, dimc = load_hardware("stm32n6"), load_hardware("dimc")
    assert dataclasses.replace(dimc, name=n6.name, description=n6.description, dimc=None) == n6
    assert dimc.dimc.capacity_bytes == 64 * KIB
    ratio = dimc.energy.mac / dimc.dimc.mac_power
    assert 40 / 5 <= ratio <= 40 / 1, "40 TOPS/W against 1 to 5"


def test_the_stm32h7p_has_the_published_rate_and_no_npu_ram():
    hardware = load_hardware("stm32h7p")
    gops = 2 * hardware.units.accelerators * hardware.units.macs_per_cycle * hardware.clock_mhz
    assert gops / 1000 == pytest.approx(90, rel=0.01)
    assert {pool.kind for pool in hardware.internal} == {PoolKind.CPU}


@pytest.mark.parametrize("key", [key for key in ALL_KEYS if key.count(".") or "clock" in key])
def test_the_digest_changes_with_every_figure(key, document, write):
    before = load_hardware(write(document)).digest
    table, last = table_of(document, key)
    value = table[last]
    if isinstance(value, str):
        table[last] = "cpu"
    else:
        table[last] = value + 8 if last == "base" else value + 1
        if last in {"base", "size_bytes"}:
            document["pools"]["npuRAM6"]["base"] += 4096
    assert load_hardware(write(document)).digest != before
