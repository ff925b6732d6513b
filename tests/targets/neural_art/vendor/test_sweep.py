"""The best network-wide setting, found by trying every one."""

from __future__ import annotations

import math

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.vendor import VendorOptions, best_setting


@pytest.fixture(scope="module")
def problem():
    with load_target("neural-art-stm32n6").bind(zoo_network("ds-cnn", format="onnx")) as bound:
        yield bound


def test_the_shipped_profile_is_the_default_of_the_space(problem):
    first = problem.compiler.vendor_settings[0]
    assert first.options == VendorOptions()
    assert first.metrics == problem.evaluate({}).metrics


def test_the_rival_is_the_setting_of_least_cost_and_says_its_options(problem):
    for name in ("latency_ms", "ram_bytes"):
        (label, metrics), *others = problem.rivals(lambda row, name=name: row[name]).items()
        assert not others
        assert label.startswith("best network-wide setting (-O")
        assert metrics[name] == min(
            each.metrics[name] for each in problem.compiler.vendor_settings
        )


def test_constants_in_ram_are_faster_than_the_shipped_profile(problem):
    default = problem.evaluate({}).metrics
    (metrics,) = problem.rivals(lambda row: row["latency_ms"]).values()
    assert metrics["latency_ms"] < default["latency_ms"]
    assert metrics["ram_bytes"] > default["ram_bytes"]


def test_there_is_no_rival_where_every_setting_misses_the_limits(problem):
    assert problem.rivals(lambda _: math.inf) == {}
    assert best_setting([], lambda _: 0.0) is None
