from __future__ import annotations

import numpy as np
import pytest
from measured_cases import separable_network
from small_networks import network_of

from npu_tune.network import load_network
from npu_tune.targets import load_target
from npu_tune.testing.suite import TargetSuite

pytestmark = pytest.mark.slow

SMALL = "c = Conv(x, w) r = Relu(c) g = GlobalAveragePool(r) y = Flatten(g)"


class TestCpu(TargetSuite):
    """One thread; measuring takes long, so that few configurations are tried."""

    configurations = 2

    @pytest.fixture
    def target(self):
        return load_target("cpu-onnxruntime")

    @pytest.fixture
    def network(self):
        return separable_network()

    @pytest.fixture
    def other_target(self, target):
        return target.calibrated({"x": np.ones((4, 3, 16, 16), np.float32)})

    @pytest.fixture
    def other_network(self):
        return network_of(SMALL, {"w": (4, 3, 3, 3)}, inputs="float[1,3,16,16] x")

    @pytest.fixture
    def unfit_network(self):
        return load_network("ds-cnn")


class TestCpuWithLabelsAndThreads(TestCpu):
    """Two numbers of threads and labels, against other labels."""

    configurations = 1

    @pytest.fixture
    def target(self, tmp_path):
        return labelled_target(tmp_path, [0, 1, 2, 3], threads=[1, 2])

    @pytest.fixture
    def other_target(self, tmp_path):
        return labelled_target(tmp_path, [3, 2, 1, 0], threads=[1, 2])

    @pytest.fixture
    def other_network(self):
        return None


def labelled_target(folder, labels, *, threads):
    inputs = np.random.default_rng(2).uniform(-1, 1, (4, 3, 16, 16)).astype(np.float32)
    path = folder / f"{labels[0]}.npz"
    np.savez(path, x=inputs, labels=labels)
    return load_target("cpu-onnxruntime", {"data": str(path), "threads": threads})
