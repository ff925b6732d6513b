from __future__ import annotations

import pytest

from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.testing.suite import TargetSuite


class TestStm32n6(TargetSuite):
    """The built-in hardware."""

    @pytest.fixture
    def target(self):
        return load_target("neural-art-stm32n6")

    @pytest.fixture
    def network(self):
        return zoo_network("ds-cnn", format="onnx")

    @pytest.fixture
    def other_target(self):
        return load_target("neural-art-stm32n6", {"rule": "vendor"})

    @pytest.fixture
    def other_network(self):
        return zoo_network("st-mnist", format="onnx")


class TestHardwareVariants(TestStm32n6):
    """Hardware that is explored together with the compilation, against other lists of it."""

    @pytest.fixture
    def target(self):
        return load_target("neural-art-dimc", {"hardware": {"dimc_tiles": [2, 4]}})

    @pytest.fixture
    def other_target(self):
        return load_target("neural-art-dimc", {"hardware": {"dimc_tiles": [2, 8]}})
