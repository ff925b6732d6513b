import pytest
from forty_lines import TinyTarget

from npu_tune.network import load_network
from npu_tune.testing.suite import TargetSuite


class TestTinyTarget(TargetSuite):
    @pytest.fixture
    def target(self):
        return TinyTarget()

    @pytest.fixture
    def other_target(self):
        return TinyTarget(clock_mhz=200)

    @pytest.fixture
    def network(self):
        return load_network("ds-cnn")
