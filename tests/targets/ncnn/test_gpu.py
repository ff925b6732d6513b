"""A GPU, be it one in software, computes what it should."""

from __future__ import annotations

import random

import pytest
from ncnn_cases import NcnnCase, convolutions, network_of

from npu_tune.targets.ncnn.checking import LEAST_DB
from npu_tune.targets.ncnn.engine import FP16_LEVELS, WINOGRAD_LEVELS
from npu_tune.targets.ncnn.gpu_knobs import GpuChoices
from npu_tune.testing.configurations import some_configurations

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("gpu")]


@pytest.fixture(scope="module")
def case():
    return NcnnCase(convolutions())


def test_all_in_float_computes_the_same(case):
    assert case.decibels(device="gpu") >= LEAST_DB


@pytest.mark.parametrize("level", FP16_LEVELS)
def test_every_level_of_fp16_computes_nearly_the_same(case, level):
    assert case.decibels(device="gpu", fp16=level) >= 40


@pytest.mark.parametrize("tiles", WINOGRAD_LEVELS)
@pytest.mark.parametrize("sgemm", [True, False])
def test_every_algorithm_computes_the_same(tiles, sgemm):
    nodes = "c = Conv<pads=[1,1,1,1]>(x, w) r = Relu(c) y = Conv(r, v)"
    weights = {"w": (16, 16, 3, 3), "v": (20, 16, 5, 5)}
    case = NcnnCase(network_of(nodes, weights, inputs="float[1,16,12,12] x"))
    assert case.decibels(device="gpu", winograd=tiles, sgemm=sgemm) >= LEAST_DB


def test_whatever_is_offered_computes_nearly_the_same(case):
    choices = GpuChoices(case.program, (1,))
    for configuration in some_configurations(choices.space, 9):
        plan = choices.plan(configuration)
        options = choices.options(configuration)
        found = case.decibels(plan.precisions, plan.masks, device="gpu", **options)
        assert found >= 20, configuration.difference(choices.space.default)


def test_layers_on_both_devices_compute_nearly_the_same(case):
    rng = random.Random(1)
    choices = GpuChoices(case.program, (1,))
    for _ in range(4):
        changes = {f"{name}/device": rng.choice(("gpu", "cpu")) for name in case.program.products}
        plan = choices.plan(choices.space.configuration(changes))
        assert case.decibels(plan.precisions, plan.masks, device="gpu") >= LEAST_DB
