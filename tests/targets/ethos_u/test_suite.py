from __future__ import annotations

import pytest

from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.testing.suite import TargetSuite


class TestEthosU55(TargetSuite):
    """Vela's Python core."""

    configurations = 5

    @pytest.fixture
    def target(self):
        return load_target("ethos-u55-128")

    @pytest.fixture
    def network(self):
        return zoo_network("st-mnist", format="tflite")

    @pytest.fixture
    def other_target(self):
        return load_target("ethos-u55-64")

    @pytest.fixture
    def other_network(self):
        return zoo_network("ds-cnn", format="tflite")

    @pytest.fixture
    def unfit_network(self):
        return zoo_network("st-mnist", format="onnx")


class TestEthosU85(TestEthosU55):
    """Vela's C++ core, which has network-wide knobs only."""

    configurations = 2

    @pytest.fixture
    def target(self):
        return load_target("ethos-u85-256")

    @pytest.fixture
    def other_target(self):
        return load_target("ethos-u85-512")
