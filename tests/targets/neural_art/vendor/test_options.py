"""Options of the vendor's compiler, and what they mean to the layers of a network."""

from __future__ import annotations

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.compiler.choice import RESIDENT, STREAM
from npu_tune.targets.neural_art.graph import OperationKind
from npu_tune.targets.neural_art.hardware import load_hardware
from npu_tune.targets.neural_art.vendor import VendorOptions, every_setting, vendor_choices

STM32N6 = load_hardware("stm32n6")


@pytest.fixture(scope="module")
def problem():
    with load_target("neural-art-stm32n6").bind(
        zoo_network("mobilenet-v2-0.35-96", format="onnx")
    ) as bound:
        yield bound


def choices(problem, **options):
    return vendor_choices(problem.compiler.graph, STM32N6, VendorOptions(**options))


def test_the_shipped_profile_reads_as_the_vendor_ships_it():
    assert str(VendorOptions()) == (
        "-O3 --Oalt-sched --enable-virtual-mem-pools --Omax-ca-pipe 4 --Os --Ocache-opt"
    )


def test_every_setting_stands_once_and_the_shipped_one_first():
    settings = list(every_setting(STM32N6))
    assert settings[0] == VendorOptions()
    assert len(settings) == len(set(settings))
    assert len({str(each) for each in settings}) == len(settings)


def test_settings_of_hardware_without_external_ram_put_no_constants_there():
    inside = load_hardware("stm32h7p")
    kinds = {str(pool.kind) for pool in inside.pools}
    assert {each.constants for each in every_setting(inside)} <= kinds


def test_the_pipe_limits_how_many_accelerators_are_chained(problem):
    for most in (1, 2, 4):
        assert max(choice.accelerators for choice in choices(problem, ca_pipe=most)) == most


def test_without_optimisation_nothing_is_joined_or_shared(problem):
    assert not any(c.chain or c.accelerators > 1 for c in choices(problem, level=0))
    joined = choices(problem, level=1)
    assert any(choice.chain for choice in joined)
    assert max(choice.accelerators for choice in joined) == 1


@pytest.mark.parametrize(
    ("split", "parts", "over"),
    [("kw", 2, "kernels"), ("cw", 2, "input_channels"), ("stripe-full", 8, "stripes")],
)
def test_convolutions_are_cut_as_the_option_says_but_for_small_ones(problem, split, parts, over):
    graph = problem.compiler.graph
    total = sum(operation.macs for operation in graph.operations)
    for operation, choice in zip(
        graph.operations, choices(problem, split=split, threshold=0.02), strict=True
    ):
        large = operation.kind is OperationKind.CONVOLUTION and operation.macs >= 0.02 * total
        assert (choice.parts, choice.parts_over) == ((parts, over) if large else (1, "kernels"))


def test_constants_in_a_pool_make_all_weights_resident(problem):
    found = choices(problem, constants="cpu")
    convolutions = [
        choice
        for choice, operation in zip(found, problem.compiler.graph.operations, strict=True)
        if operation.kind is OperationKind.CONVOLUTION
    ]
    assert {(c.weights, c.weights_pool) for c in convolutions} == {(RESIDENT, "cpu")}
    assert {choice.weights for choice in choices(problem)} == {STREAM}
