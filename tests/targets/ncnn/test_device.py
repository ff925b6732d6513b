from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from npu_tune.errors import TargetError
from npu_tune.targets.ncnn import device


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Nothing is remembered from before, nor for later."""
    device.gpu_name.cache_clear()
    yield
    device.gpu_name.cache_clear()


def answer(monkeypatch, *, stdout: str = "", code: int = 0) -> None:
    done = subprocess.CompletedProcess([], code, stdout, "")
    monkeypatch.setattr(device.subprocess, "run", lambda *_, **__: done)


def test_the_gpu_is_named_with_its_driver(monkeypatch):
    answer(monkeypatch, stdout="[0 llvmpipe] queueC=0\ndevice: llvmpipe driver 0x1\n")
    assert device.require_gpu() == "llvmpipe driver 0x1"


@pytest.mark.parametrize("code", [0, -11])
def test_without_a_gpu_the_remedy_is_a_driver(monkeypatch, code):
    answer(monkeypatch, stdout="load vulkan driver failed\n", code=code)
    with pytest.raises(TargetError) as caught:
        device.require_gpu()
    assert "mesa-vulkan-drivers" in caught.value.remedy


def test_a_driver_that_hangs_is_none(monkeypatch):
    def run(*_, **how):
        raise subprocess.TimeoutExpired("python", how["timeout"])

    monkeypatch.setattr(device.subprocess, "run", run)
    assert device.gpu_name() == ""


def test_this_machine_answers(gpu):
    assert device.require_gpu() == gpu
