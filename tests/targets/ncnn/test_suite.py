from __future__ import annotations

from dataclasses import replace

import pytest
from ncnn_cases import network_of

from npu_tune.targets.measured.rounds import RoundSettings
from npu_tune.targets.ncnn import NcnnFamily
from npu_tune.testing.suite import TargetSuite

SHORT = RoundSettings(timed=1, least=2, most=2, patience=0.0)

SMALL = """
    c = Conv<pads=[1,1,1,1]>(x, w, b)
    r = Relu(c)
    d = Conv(r, v)
    g = GlobalAveragePool(d)
    f = Flatten(g)
    y = Gemm<transB=1>(f, u)
"""
WEIGHTS = {"w": (20, 4, 3, 3), "b": (20,), "v": (8, 20, 1, 1), "u": (5, 8)}


def small_network(side):
    return network_of(SMALL, WEIGHTS, inputs=f"float[1,4,{side},{side}] x")


@pytest.mark.slow
class TestCpuNcnn(TargetSuite):
    """The processor."""

    configurations = 3
    name = "cpu-ncnn"

    @pytest.fixture
    def target(self):
        return replace(NcnnFamily().make(self.name, {}), rounds=SHORT)

    @pytest.fixture
    def network(self):
        return small_network(8)

    @pytest.fixture
    def other_network(self):
        return small_network(9)

    @pytest.fixture
    def unfit_network(self):
        return network_of("y = Erf(x)")


@pytest.mark.slow
@pytest.mark.usefixtures("gpu")
class TestGpuNcnn(TestCpuNcnn):
    """A GPU, be it one in software."""

    configurations = 1
    name = "gpu-ncnn"

    @pytest.fixture
    def network(self):
        """Loading compiles programs for the GPU, which takes its time."""
        return network_of(
            "c = Conv(x, w) r = Relu(c) y = Conv(r, v)",
            {"w": (8, 4, 3, 3), "v": (8, 8, 1, 1)},
            inputs="float[1,4,8,8] x",
        )

    @pytest.fixture
    def other_network(self):
        return network_of("y = Conv(x, w)", {"w": (8, 4, 3, 3)}, inputs="float[1,4,8,8] x")
