"""The suite, passed by every target of the kit."""

from __future__ import annotations

import pytest
from fake_targets import (
    Counting,
    FailingTarget,
    LayeredTarget,
    NoisyTarget,
    Where,
    WrappedTarget,
    fake_network,
)

from npu_tune.testing.suite import TargetSuite


class TestLayeredTarget(TargetSuite):
    illegal = ({"layer0/block": 24}, {"layer1/block": 24, "layer0/cascade": True})

    @pytest.fixture
    def target(self):
        return LayeredTarget(start_labels=("a",), forbidden_block=24)

    @pytest.fixture
    def network(self):
        return fake_network()

    @pytest.fixture
    def other_target(self):
        return LayeredTarget(layer_cycles=2000.0)

    @pytest.fixture
    def other_network(self):
        return fake_network(5, content=b"other")


class TestNoisyTarget(TestLayeredTarget):
    @pytest.fixture
    def target(self):
        return NoisyTarget(LayeredTarget(forbidden_block=24), drift=0.01)


class TestFailingTarget(TestLayeredTarget):
    @pytest.fixture
    def target(self):
        inner = LayeredTarget(forbidden_block=24)
        return FailingTarget(WrappedTarget(inner), Where("network/strategy", "speed"))


class TestOneOfTheTests(TestLayeredTarget):
    @pytest.fixture
    def target(self, tmp_path):
        return Counting(LayeredTarget(forbidden_block=24), tmp_path / "log")
