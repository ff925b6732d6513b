from __future__ import annotations

from dataclasses import replace

import pytest
from ncnn_cases import convolutions, network_of

from npu_tune.errors import MissingExtraError, ModelError, TargetError, UnsupportedOperatorError
from npu_tune.targets.ncnn import NcnnFamily, NcnnGpuTarget, family

FAMILY = NcnnFamily()


@pytest.fixture
def target():
    return FAMILY.make("cpu-ncnn", {})


def test_there_are_a_cpu_and_a_gpu():
    assert FAMILY.names() == ("cpu-ncnn", "gpu-ncnn")
    assert len({FAMILY.describe(name) for name in FAMILY.names()}) == 2


def test_an_unknown_name_is_refused():
    with pytest.raises(TargetError, match="no target"):
        FAMILY.make("tpu-ncnn", {})


def test_threads_are_an_option():
    target = FAMILY.make("cpu-ncnn", {"threads": [1, 2]})
    assert target.threads == (1, 2)
    assert target.fingerprint()["threads"] == "1, 2"


def test_the_fingerprint_has_library_and_machine(target):
    found = target.fingerprint()
    assert found["library"].startswith("ncnn 1.")
    assert found["machine"] == target.machine


def test_an_operator_that_ncnn_lacks_is_named_when_a_network_is_bound(target):
    with pytest.raises(UnsupportedOperatorError, match="Erf") as caught:
        target.bind(network_of("y = Erf(x)"))
    assert caught.value.exit_code == 3


def test_a_batch_is_refused(target):
    network = network_of("y = Relu(x)", inputs="float[2,6,9,11] x")
    with pytest.raises(ModelError, match="batch of 2") as caught:
        target.bind(network)
    assert "batch of 1" in caught.value.remedy


def test_without_the_package_the_extra_is_named(target, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ncnn", None)
    with pytest.raises(MissingExtraError):
        target.bind(convolutions())


def test_without_a_gpu_the_cpu_is_still_there(monkeypatch):
    def none():
        raise TargetError("ncnn finds no GPU.")

    monkeypatch.setattr(family, "require_gpu", none)
    FAMILY.make("cpu-ncnn", {})
    with pytest.raises(TargetError):
        FAMILY.make("gpu-ncnn", {})


def test_a_gpu_is_part_of_the_fingerprint(monkeypatch):
    monkeypatch.setattr(family, "require_gpu", lambda: "some GPU")
    one = FAMILY.make("gpu-ncnn", {})
    assert isinstance(one, NcnnGpuTarget)
    assert one.fingerprint()["gpu"] == "some GPU"
    assert "some GPU" in one.metrics[0].description


def test_another_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(family, "require_gpu", lambda: "some GPU")
    target = replace(FAMILY.make("gpu-ncnn", {}), gpu="another GPU")
    with pytest.raises(TargetError, match="another GPU"):
        target.bind(convolutions())
