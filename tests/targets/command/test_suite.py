"""What every target has to do, done by a program."""

from __future__ import annotations

import pytest
from command_cases import BITS, command_table
from small_networks import network_of

from npu_tune.network import load_network
from npu_tune.targets import load_target
from npu_tune.testing.suite import TargetSuite

WEIGHTS = {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3)}
TWO = "t = Conv(x, w) y = Conv(t, v)"


class TestCommandTarget(TargetSuite):
    configurations = 4

    @pytest.fixture
    def target(self):
        return load_target("command", {"command": command_table(formats=["onnx"])})

    @pytest.fixture
    def other_target(self):
        return load_target("command", {"command": command_table(version="2")})

    @pytest.fixture
    def network(self):
        return network_of(TWO, WEIGHTS, inputs="float[1,3,8,8] x")

    @pytest.fixture
    def other_network(self):
        return network_of("y = Conv(x, w)", {"w": (4, 3, 3, 3)}, inputs="float[1,3,8,8] x")

    @pytest.fixture
    def unfit_network(self):
        return load_network("ds-cnn")


class TestCalibratedCommandTarget(TestCommandTarget):
    @pytest.fixture
    def target(self):
        return load_target(
            "command", {"command": command_table(calibration=True, formats=["onnx"])}
        )

    @pytest.fixture
    def other_target(self):
        table = command_table(calibration=True, environment={"LEVEL": "3"})
        return load_target("command", {"command": table})


class TestCommandWithoutProfiles(TestCommandTarget):
    @pytest.fixture
    def target(self, tmp_path):
        script = tmp_path / "plain.py"
        script.write_text('print(\'{"metrics": {"total_cycles": 5, "accuracy": 1}}\')\n')
        table = command_table(
            profile=None, argv=["python3", str(script)], knobs=[BITS], formats=["onnx"]
        )
        return load_target("command", {"command": table})
