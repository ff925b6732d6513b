"""What the rows of a profile say bounds an operator."""

from __future__ import annotations

import pytest

from npu_tune.targets import ProfileSchema, bounding_cause
from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.testing import some_configurations

HIGH_END = {"system_config": "Ethos_U65_High_End"}
SYSTEMS = {
    "U55 Shared_Sram": ("ethos-u55-128", {}, "off_chip_cycles", "flash"),
    "U55 Sram_Only": (
        "ethos-u55-128",
        {"memory_mode": "Sram_Only"},
        "on_chip_flash_cycles",
        "on-chip flash",
    ),
    "U65 Dedicated_Sram": (
        "ethos-u65-256",
        {**HIGH_END, "memory_mode": "Dedicated_Sram"},
        "off_chip_cycles",
        "DRAM",
    ),
    "U65 Shared_Sram": (
        "ethos-u65-256",
        {**HIGH_END, "memory_mode": "Shared_Sram"},
        "off_chip_cycles",
        "DRAM",
    ),
}


@pytest.fixture(scope="module", params=SYSTEMS)
def bound(request, resnet8):
    """A problem on each system, with the column and the word of the memory beyond SRAM."""
    name, options, column, word = SYSTEMS[request.param]
    with EthosUFamily().make(name, options).bind(resnet8) as problem:
        yield problem, column, word


def rows(problem):
    chosen = [problem.space.default, *some_configurations(problem.space, 4, seed=5)]
    return [row for each in chosen for row in problem.evaluate(each).profile.values()]


def test_the_largest_cause_is_what_the_operator_costs_in_every_memory_mode(bound):
    problem, column, word = bound
    assert problem.profile.causes == {
        "compute_cycles": "compute",
        "fetch_cycles": "weights",
        "sram_cycles": "SRAM",
        column: word,
    }
    for row in rows(problem):
        assert max(row[name] for name in problem.profile.causes) == row["cycles"]


def test_computing_or_copying_stands_for_all_that_the_npu_takes(bound):
    problem, _, _ = bound
    for row in rows(problem):
        both = row["compute_cycles"], row["fetch_cycles"]
        assert max(both) == max(row["npu_cycles"], 0.0)
        assert min(both) >= 0.0


@pytest.mark.parametrize(
    ("layer", "buffer", "cause"),
    [
        ("stage3/conv2", "none", "flash"),
        ("stage3/conv2", "single", "weights"),
        ("stage3/conv2", "double-16", "weights"),
        ("stage3/shortcut", "single", "compute"),
    ],
)
def test_weights_bound_a_layer_by_reading_or_by_copying_them(
    resnet8_problem, layer, buffer, cause
):
    changed = resnet8_problem.space.configuration({f"{layer}/weight_buffer": buffer})
    row = resnet8_problem.evaluate(changed).profile[layer]
    assert bounding_cause(resnet8_problem.profile, row) == cause


def test_the_core_that_tells_nothing_by_operator_names_no_causes(resnet8):
    with EthosUFamily().make("ethos-u85-256", {}).bind(resnet8) as problem:
        assert problem.profile == ProfileSchema()
