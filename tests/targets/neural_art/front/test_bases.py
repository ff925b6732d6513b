from __future__ import annotations

from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.front import bases
from npu_tune.testing import some_configurations

THRESHOLD = "network/split_threshold"


def test_the_bases_are_the_choices_of_the_whole_network_without_thresholds():
    problem = load_target("neural-art-stm32n6").bind(zoo_network("ds-cnn"))
    found = problem.bases()
    assert found[0] == problem.space.default
    assert {(b["network/placement"], b["network/virtual_pools"]) for b in found} == {
        (placement, virtual)
        for placement in ("ping_pong", "first_fit", "by_size")
        for virtual in (True, False)
    }
    assert len(found) == 6
    assert {base[THRESHOLD] for base in found} == {0.0}


def test_hardware_that_is_explored_makes_further_bases():
    hardware = {"clock_mhz": [1000, 600], "accelerators": [4, 2, 1]}
    target = load_target("neural-art-stm32n6", {"hardware": hardware})
    assert len(bases(target.bind(zoo_network("st-mnist")).space)) == 36


def test_whatever_a_threshold_does_layers_can_choose_without_one():
    problem = load_target("neural-art-stm32n6").bind(zoo_network("resnet8"))
    space = problem.space
    shares = {o.name: o.macs for o in problem.compiler.graph.operations}
    total = sum(shares.values())
    changed = 0
    for configuration in some_configurations(space, 30):
        for threshold in (0.005, 0.05):
            small = [name for name, macs in shares.items() if macs / total < threshold]
            alone = {
                knob.full_name: 1
                for knob in space.knobs
                if knob.layer in small and knob.name in ("accelerators", "parts")
            }
            with_one = problem.evaluate(configuration.replace({THRESHOLD: threshold}))
            chosen = configuration.replace({THRESHOLD: 0.0, **alone})
            assert problem.evaluate(chosen).metrics == with_one.metrics
            without = problem.evaluate(configuration.replace({THRESHOLD: 0.0}))
            changed += without.metrics != with_one.metrics
    assert changed
