from __future__ import annotations

import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npu_tune.errors import TargetError
from npu_tune.targets.neural_art.hardware import (
    VARIABLE_PARAMETERS,
    HardwareVariants,
    PoolKind,
    load_hardware,
)

KIB = 1024
N6 = load_hardware("stm32n6")
DIMC = load_hardware("dimc")


def knob(variants, name):
    return next(knob for knob in variants.knobs() if knob.name == f"hardware_{name}")


def size(hardware, name):
    return next(pool.size_bytes for pool in hardware.pools if pool.name == name)


def test_without_overrides_the_hardware_is_the_description_and_there_is_no_knob():
    variants = HardwareVariants.of(N6, {})
    assert variants.base == N6
    assert variants.knobs() == ()
    assert variants.hardware({"network/other": 1}) is variants.base


def test_a_plain_value_fixes_a_figure():
    variants = HardwareVariants.of(DIMC, {"accelerators": 2, "dimc_tiles": [16], "pool_units": 1})
    assert variants.knobs() == ()
    assert variants.base.units.accelerators == 2
    assert variants.base.units.pools == 1
    assert variants.base.dimc.tiles == 16
    assert variants.base.digest != DIMC.digest


def test_a_list_makes_a_knob_of_the_whole_network_in_rising_order():
    variants = HardwareVariants.of(N6, {"accelerators": [8, 2, 4]})
    (offered,) = variants.knobs()
    assert offered.full_name == "network/hardware_accelerators"
    assert offered.values == (2, 4, 8)
    assert offered.ordered
    assert variants.hardware({offered.full_name: 8}).units.accelerators == 8


def test_the_default_is_the_descriptions_own_value_or_else_the_first_given():
    variants = HardwareVariants.of(N6, {"accelerators": [2, 4], "clock_mhz": [800, 600]})
    assert knob(variants, "accelerators").default == 4
    assert knob(variants, "clock_mhz").default == 800
    assert variants.hardware({}).units.accelerators == 4
    assert variants.hardware({}).clock_mhz == 800


def test_the_size_of_a_pool_is_given_by_its_name():
    variants = HardwareVariants.of(
        N6, {"pools": {"npuRAM5": ["256 KiB", "448 KiB"], "cpuRAM2": "512 KiB"}}
    )
    assert knob(variants, "pool_npuRAM5_bytes").default == 448 * KIB
    assert size(variants.base, "cpuRAM2") == 512 * KIB
    small = variants.hardware({"network/hardware_pool_npuRAM5_bytes": 256 * KIB})
    assert size(small, "npuRAM5") == 256 * KIB


def test_pools_that_touch_go_on_touching():
    variants = HardwareVariants.of(N6, {"pools": {"npuRAM4": ["64 KiB", "1 MiB"]}})
    for choice in (64 * KIB, 1024 * KIB):
        made = variants.hardware({"network/hardware_pool_npuRAM4_bytes": choice})
        pools = sorted(made.internal, key=lambda pool: pool.base)
        assert all(a.end == b.base for a, b in itertools.pairwise(pools))
        assert pools[0].base == 0x34100000


def test_a_pool_of_no_bytes_is_left_out():
    variants = HardwareVariants.of(N6, {"pools": {"cpuRAM2": [0, "1 MiB"], "hyperRAM": 0}})
    made = variants.hardware({"network/hardware_pool_cpuRAM2_bytes": 0})
    assert [pool.kind for pool in made.internal] == [PoolKind.NPU] * 4
    assert made.external == ()


def test_all_ram_on_the_chip_can_be_scaled():
    variants = HardwareVariants.of(N6, {"internal_ram_scale": [0.5, 1, 2]})
    assert knob(variants, "internal_ram_scale").default == 1
    half = variants.hardware({"network/hardware_internal_ram_scale": 0.5})
    assert sum(pool.size_bytes for pool in half.internal) == 1408 * KIB
    assert half.external == N6.external
    assert variants.hardware({}) == N6


def test_without_tiles_there_is_no_in_memory_computing():
    variants = HardwareVariants.of(DIMC, {"dimc_tiles": [0, 8], "dimc_rows": [128, 256]})
    made = variants.hardware({"network/hardware_dimc_tiles": 0})
    assert made.dimc is None
    assert variants.hardware({}).dimc == DIMC.dimc


@given(st.floats(min_value=1, max_value=4000))
def test_memories_and_fixed_costs_keep_their_times_at_another_clock(clock_mhz):
    made = HardwareVariants.of(N6, {"clock_mhz": clock_mhz}).base

    def us(hardware, cycles):
        return cycles / hardware.clock_mhz

    for now, before in zip(made.pools, N6.pools, strict=True):
        slowest = max(us(N6, before.cycles_per_byte), us(made, 1 / now.width_bytes))
        assert us(made, now.cycles_per_byte) == pytest.approx(slowest)
    for constant in ("flash_cycles_per_byte", "epoch_cycles", "software_epoch_cycles"):
        now, before = (getattr(h.calibration, constant) for h in (made, N6))
        assert us(made, now) == pytest.approx(us(N6, before))


def test_fixed_costs_of_software_epochs_fall_with_the_cpus_clock():
    made = HardwareVariants.of(N6, {"cpu_clock_mhz": 1600}).base
    assert made.calibration.software_epoch_cycles == N6.calibration.software_epoch_cycles / 2
    assert made.calibration.epoch_cycles == N6.calibration.epoch_cycles
    assert made.pools == N6.pools


@given(
    st.lists(st.integers(1, 64), min_size=2, max_size=6, unique=True),
    st.lists(st.integers(0, 2**20), min_size=2, max_size=6, unique=True),
    st.lists(st.integers(0, 32), min_size=2, max_size=4, unique=True),
    st.data(),
)
def test_every_combination_of_choices_is_the_hardware_it_says(accelerators, sizes, tiles, data):
    variants = HardwareVariants.of(
        DIMC,
        {"accelerators": accelerators, "dimc_tiles": tiles, "pools": {"npuRAM3": sizes}},
    )
    choices = {
        knob.full_name: data.draw(st.sampled_from(knob.values)) for knob in variants.knobs()
    }
    made = variants.hardware(choices)
    assert made.units.accelerators == choices["network/hardware_accelerators"]
    assert (
        sum(p.size_bytes for p in made.pools if p.name == "npuRAM3")
        == choices["network/hardware_pool_npuRAM3_bytes"]
    )
    assert (made.dimc.tiles if made.dimc else 0) == choices["network/hardware_dimc_tiles"]
    pools = sorted(made.pools, key=lambda pool: pool.base)
    assert all(a.end <= b.base for a, b in itertools.pairwise(pools))
    assert variants.hardware(dict(choices)) == made


def test_variants_are_values():
    overrides = {"accelerators": [1, 2], "pools": {"npuRAM3": [64, 128]}}
    one, other = (HardwareVariants.of(N6, overrides) for _ in range(2))
    one.hardware({"network/hardware_accelerators": 2})
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.dumps(one) == pickle.dumps(other)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 -- our own bytes


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ({"accelerators": 0}, "accelerators"),
        ({"accelerators": [4, 65]}, "accelerators"),
        ({"accelerators": 2.5}, "accelerators"),
        ({"accelerators": True}, "accelerators"),
        ({"accelerators": "two"}, "accelerators"),
        ({"accelerators": []}, "accelerators"),
        ({"accelerators": [[1, 2]]}, "accelerators"),
        ({"accelerators": [2, 2]}, "accelerators"),
        ({"kernel_buffer_bytes": ["1 KiB", 1024]}, "kernel_buffer_bytes"),
        ({"kernel_buffer_bytes": 0}, "kernel_buffer_bytes"),
        ({"feature_buffer_bytes": 0}, "feature_buffer_bytes"),
        ({"line_buffer_bytes": -1}, "line_buffer_bytes"),
        ({"macs_per_cycle": 0}, "macs_per_cycle"),
        ({"stream_engines": 1}, "stream_engines"),
        ({"pool_units": 0}, "pool_units"),
        ({"activation_units": 0}, "activation_units"),
        ({"arithmetic_units": 0}, "arithmetic_units"),
        ({"decompressors": -1}, "decompressors"),
        ({"clock_mhz": 0}, "clock_mhz"),
        ({"clock_mhz": [1000, float("nan")]}, "clock_mhz"),
        ({"clock_mhz": 1e-320}, "clock_mhz"),
        ({"cpu_clock_mhz": -800}, "cpu_clock_mhz"),
        ({"cpu_clock_mhz": 1e308}, "cpu_clock_mhz"),
        ({"dimc_tiles": -1}, "dimc_tiles"),
        ({"dimc_rows": 0}, "dimc_rows"),
        ({"dimc_columns": [32, 0]}, "dimc_columns"),
        ({"dimc_cycles_per_pass": 0}, "dimc_cycles_per_pass"),
        ({"dimc_load_bytes_per_cycle": 0}, "dimc_load_bytes_per_cycle"),
        ({"internal_ram_scale": 0}, "internal_ram_scale"),
        ({"internal_ram_scale": 1e308}, "internal_ram_scale"),
        ({"internal_ram_scale": 1e-9}, "pools"),
        ({"internal_ram_scale": 2, "pools": {"npuRAM3": 64}}, "internal_ram_scale"),
        ({"pools": 448}, "pools"),
        ({"pools": {"npuRAM3": -1}}, "pools.npuRAM3"),
        ({"pools": {"npuRAM3": "many"}}, "pools.npuRAM3"),
        ({"pools": {"npuRAM3": {"size": 1}}}, "pools.npuRAM3"),
        ({"pools": {"npuRAM33": 64}}, "pools.npuRAM33"),
        ({"pools": {"octoFlash": [0, 64]}}, "pools"),
        ({"pools": {"hyperRAM": ["16 MiB", "4 GiB"]}}, "pools.hyperRAM.size_bytes"),
        ({"pools": {"npuRAM6": "1 GiB"}}, "pools.octoFlash.base"),
        ({"pools": {key: [0, 64] for key in [p.name for p in N6.internal]}}, "pools"),
    ],
)
def test_an_impossible_value_is_refused_by_its_key(overrides, key):
    with pytest.raises(TargetError) as caught:
        HardwareVariants.of(DIMC, overrides)
    assert "[target.hardware]" in caught.value.message
    assert caught.value.data["key"] == key
    assert caught.value.remedy


def test_an_unknown_key_is_answered_with_the_known_ones():
    with pytest.raises(TargetError, match="Did you mean 'accelerators'") as caught:
        HardwareVariants.of(N6, {"acelerators": 2})
    assert all(name in caught.value.remedy for name in VARIABLE_PARAMETERS)


@pytest.mark.parametrize("key", [name for name in VARIABLE_PARAMETERS if name.startswith("dimc_")])
def test_tiles_cannot_be_varied_where_there_are_none(key):
    with pytest.raises(TargetError, match="no in-memory-computing tiles") as caught:
        HardwareVariants.of(N6, {key: [4, 8]})
    assert "neural-art-dimc" in caught.value.remedy


CHANGES = {
    "clock_mhz": 900,
    "cpu_clock_mhz": 700,
    "accelerators": 3,
    "macs_per_cycle": 71,
    "kernel_buffer_bytes": 1024,
    "feature_buffer_bytes": 1024,
    "line_buffer_bytes": 0,
    "stream_engines": 9,
    "pool_units": 1,
    "activation_units": 1,
    "arithmetic_units": 1,
    "decompressors": 1,
    "dimc_tiles": 9,
    "dimc_rows": 9,
    "dimc_columns": 9,
    "dimc_cycles_per_pass": 9,
    "dimc_load_bytes_per_cycle": 9,
    "internal_ram_scale": 0.5,
    "pools": {"npuRAM3": 64},
}


@pytest.mark.parametrize("key", VARIABLE_PARAMETERS)
def test_every_key_changes_the_hardware(key):
    changed = HardwareVariants.of(DIMC, {key: CHANGES[key]}).base
    assert changed != DIMC
    assert changed.digest != DIMC.digest
