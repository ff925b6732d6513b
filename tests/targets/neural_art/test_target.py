"""What a target promises of its spaces and evaluations."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from small_graphs import STM32N6

from npu_tune.errors import EvaluationError, ModelError
from npu_tune.network import Network
from npu_tune.network.zoo import zoo_network
from npu_tune.space import (
    Configuration,
    from_params,
    from_ray_config,
    to_distributions,
    to_params,
)
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.hardware import HardwareVariants, PoolKind
from npu_tune.targets.neural_art.problem import NeuralArtProblem
from npu_tune.targets.neural_art.target import NeuralArtTarget
from npu_tune.testing import some_configurations

NETWORKS = (
    "resnet8",
    "ds-cnn",
    "mobilenet-v2-0.35-96",
    "squeezenet-128-c101",
    "efficientnet-v2-b0-96",
)

HARDWARE_STUDY = {
    "accelerators": [1, 2, 4, 6],
    "clock_mhz": [500, 1000],
    "decompressors": [0, 2],
    "line_buffer_bytes": [0, "32 KiB"],
    "pools": {"npuRAM3": [0, "100 KiB", "448 KiB"], "cpuRAM2": [0, "1 MiB"]},
}
DIMC_STUDY = {"dimc_tiles": [0, 1, 8, 40], "accelerators": [1, 4]}

TARGETS = {
    "stm32n6": ("neural-art-stm32n6", {"four_bit_weights": True}),
    "stm32h7p": ("neural-art-stm32h7p", {}),
    "dimc": ("neural-art-dimc", {"rule": "vendor"}),
    "varied stm32n6": ("neural-art-stm32n6", {"hardware": HARDWARE_STUDY}),
    "varied dimc": ("neural-art-dimc", {"hardware": DIMC_STUDY}),
    "no external RAM": ("neural-art-stm32n6", {"external_ram": False}),
}


@pytest.fixture(scope="module", params=TARGETS)
def target(request) -> NeuralArtTarget:
    return load_target(*TARGETS[request.param])


@pytest.fixture(scope="module", params=NETWORKS)
def network(request) -> Network:
    return zoo_network(request.param)


@pytest.fixture(scope="module")
def stm32n6() -> NeuralArtTarget:
    return load_target("neural-art-stm32n6", {})


@pytest.fixture(scope="module")
def resnet8() -> Network:
    return zoo_network("resnet8")


@pytest.fixture(scope="module")
def problem(target, network) -> Iterator[NeuralArtProblem]:
    with target.bind(network) as bound:
        yield bound


@pytest.fixture(scope="module")
def resnet8_problem(stm32n6, resnet8) -> Iterator[NeuralArtProblem]:
    with stm32n6.bind(resnet8) as bound:
        yield bound


def outcome(problem: NeuralArtProblem, configuration: Configuration):
    """The evaluation, or the sentence that refuses the configuration."""
    try:
        return problem.evaluate(configuration)
    except EvaluationError as refused:
        return refused.message


def test_the_default_is_what_it_says(problem):
    space = problem.space
    assert space.effective(space.default) == space.default
    assert next(iter(problem.starts())).configuration == space.default


def test_configurations_with_the_same_effect_have_the_same_metrics_and_key(problem):
    space = problem.space
    changed = 0
    for configuration in some_configurations(space, 30, seed=1):
        effective = space.effective(configuration)
        changed += effective != configuration
        assert space.effective(effective) == effective
        assert space.configuration(effective) == effective
        assert outcome(problem, configuration) == outcome(problem, effective)
        assert problem.key(configuration) == problem.key(effective)
        assert (problem.key(configuration) == problem.key(space.default)) == (
            effective == space.default
        )
    assert changed


def test_most_single_changes_that_have_an_effect_change_a_metric(stm32n6, network):
    problem = stm32n6.bind(network)
    space = problem.space
    default = problem.evaluate(space.default)
    told, silent = 0, 0
    for knob in space.knobs:
        for value in knob.values:
            one = space.effective(space.default.replace({knob.full_name: value}))
            if one != space.default:
                same = problem.evaluate(one) == default
                told, silent = told + (not same), silent + same
    assert told > silent


@pytest.mark.parametrize(
    "change",
    [
        {"parts_over": "stripes"},
        {"parallel_over": "kernels"},
        {"parallel_over": "kernels", "parts_over": "stripes"},
    ],
)
def test_a_way_of_sharing_has_no_effect_where_nothing_is_shared(resnet8_problem, change):
    space = resnet8_problem.space
    layer = next(
        knob.layer for knob in space.knobs if knob.name == "accelerators" and knob.default == 1
    )
    changed = space.default.replace({f"{layer}/{name}": v for name, v in change.items()})
    assert changed != space.default
    assert space.effective(changed) == space.default


def test_the_pool_of_a_map_that_is_never_in_memory_has_no_effect(resnet8_problem):
    space = resnet8_problem.space
    joined = next(knob.layer for knob in space.knobs if knob.name == "chain" and knob.default)
    changed = space.default.replace({f"{joined}/output_pool": "cpu"})
    assert space.effective(changed) == space.default


def test_weights_are_not_compressed_where_nothing_unpacks_them(resnet8):
    without = load_target("neural-art-stm32n6", {"hardware": {"decompressors": 0}})
    assert not [k for k in without.bind(resnet8).space.knobs if k.name == "weight_compression"]
    study = load_target("neural-art-stm32n6", {"hardware": {"decompressors": [0, 2]}})
    space = study.bind(resnet8).space
    knob = next(knob for knob in space.knobs if knob.name == "weight_compression")
    change = {knob.full_name: True, "network/hardware_decompressors": 0}
    assert space.effective(space.default.replace(change))[knob.full_name] is False


def test_the_answer_depends_on_the_configuration_alone(target, resnet8):
    with target.bind(resnet8) as problem:
        configurations = some_configurations(problem.space, 30, seed=5)
        first = [outcome(problem, c) for c in configurations]
        again = [outcome(problem, c) for c in reversed(configurations)][::-1]
    copy = pickle.loads(pickle.dumps(target))  # noqa: S301 - made right here
    with copy.bind(resnet8) as problem:
        fresh = [outcome(problem, c) for c in reversed(configurations)][::-1]
    assert first == again == fresh


def test_another_process_finds_the_same(stm32n6):
    network = zoo_network("mobilenet-v2-0.35-96")
    with stm32n6.bind(network) as problem:
        configurations = some_configurations(problem.space, 6, seed=2)
        for each in some_configurations(problem.space, 40, seed=3):
            problem.evaluate(each)
        here = [dict(problem.evaluate(each).metrics) for each in configurations]
    fresh = subprocess.run(
        [sys.executable, "-c", _FRESH],
        input=json.dumps([dict(each) for each in configurations]),
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(fresh.stdout) == here


_FRESH = """
import json, sys
from npu_tune.network.zoo import zoo_network
from npu_tune.space import Configuration
from npu_tune.targets import load_target
network = zoo_network("mobilenet-v2-0.35-96")
with load_target("neural-art-stm32n6", {}).bind(network) as problem:
    print(json.dumps([
        dict(problem.evaluate(Configuration.of(each)).metrics) for each in json.load(sys.stdin)
    ]))
"""


def test_an_equal_target_from_a_pickle_is_the_same_target(target):
    again = pickle.loads(pickle.dumps(target))  # noqa: S301 - made right here
    assert again == target
    assert again.fingerprint() == target.fingerprint()


def test_metrics_are_those_announced_finite_and_never_negative(problem):
    space = problem.space
    names = {metric.name for metric in problem.metrics}
    for configuration in some_configurations(space, 12, seed=4):
        try:
            evaluation = problem.evaluate(configuration)
        except EvaluationError:
            continue
        assert set(evaluation.metrics) == names
        assert all(math.isfinite(v) and v >= 0 for v in evaluation.metrics.values())


def test_the_rows_of_the_profile_add_up_to_the_cycles(problem):
    space = problem.space
    for configuration in some_configurations(space, 12, seed=6):
        try:
            evaluation = problem.evaluate(configuration)
        except EvaluationError:
            continue
        rows = evaluation.profile.values()
        assert sum(row[problem.profile.cost] for row in rows) == pytest.approx(
            evaluation.metrics["cycles"]
        )
        assert all(math.isfinite(value) and value >= 0 for row in rows for value in row.values())
        assert {knob.layer for knob in space.knobs} - {"network"} <= evaluation.profile.keys()


def test_rows_that_share_an_epoch_have_its_number(problem):
    space, group = problem.space, problem.profile.group
    chains = [knob.full_name for knob in space.knobs if knob.name == "chain"]
    joined = 0
    for configuration in some_configurations(space, 12, seed=8):
        effective = space.effective(configuration)
        try:
            rows = problem.evaluate(configuration).profile
        except EvaluationError:
            continue
        names = list(rows)
        for name in chains:
            layer = name.rpartition("/")[0]
            after = names[names.index(layer) + 1]
            together = rows[layer][group] == rows[after][group]
            in_segment = effective.get(f"{layer}/depth_first", False)
            assert together == (effective[name] or in_segment)
            joined += together
    assert joined or not chains


def test_a_configuration_survives_optuna_and_ray(problem):
    space = problem.space
    assert list(to_distributions(space)) == [knob.full_name for knob in space.knobs]
    for configuration in some_configurations(space, 5, seed=7):
        params = to_params(space, configuration)
        assert from_params(space, params) == configuration
        assert from_ray_config(space, params) == configuration


def test_the_fingerprint_tells_targets_apart_that_answer_differently():
    options = ({}, {"rule": "vendor"}, {"four_bit_weights": True}, {"external_ram": False})
    targets = [load_target("neural-art-stm32n6", each) for each in options]
    targets += [
        load_target("neural-art-dimc", {}),
        load_target("neural-art-stm32n6", {"hardware": {"clock_mhz": 800}}),
    ]
    targets += [
        load_target("neural-art-stm32n6", {"hardware": {"accelerators": each}})
        for each in ([2, 4], [1, 3], [2], [2, 4, 1])
    ]
    fingerprints = {json.dumps(dict(t.fingerprint()), sort_keys=True) for t in targets}
    assert len(fingerprints) == len(targets)


# What does not fit ------------------------------------------------------------------------


def with_ram(size_bytes: int, *, external_ram: bool = True, external_bytes: int = 0):
    """A target with one pool of so many bytes."""
    first, outside = STM32N6.internal[0], STM32N6.external[0]
    pools = [replace(first, size_bytes=size_bytes)]
    if external_bytes:
        pools.append(replace(outside, size_bytes=external_bytes))
    hardware = replace(STM32N6, pools=(*pools, STM32N6.flash))
    return NeuralArtTarget("tiny", HardwareVariants(hardware), external_ram=external_ram)


def test_a_layer_that_no_pool_holds_is_named_when_the_network_is_bound(resnet8_problem, resnet8):
    tiny = with_ram(20_000)
    with pytest.raises(ModelError) as refused:
        tiny.bind(resnet8)
    assert any(f"'{layer}'" in refused.value.message for layer in resnet8_problem.space.layers)
    assert "bytes" in refused.value.message
    assert refused.value.remedy


def test_an_input_that_no_pool_holds_is_named(resnet8):
    with pytest.raises(ModelError, match="input"):
        with_ram(2000).bind(resnet8)


def test_ram_outside_helps_where_it_is_allowed(resnet8):
    with_ram(20_000, external_bytes=1 << 20).bind(resnet8)
    with pytest.raises(ModelError):
        with_ram(20_000, external_bytes=1 << 20, external_ram=False).bind(resnet8)


def test_maps_in_external_ram_are_reported_with_names_and_bytes(resnet8):
    spilling = with_ram(40_000, external_bytes=1 << 20).bind(resnet8)
    evaluation = spilling.evaluate(spilling.space.default)
    notes = [note for note in evaluation.notes if "external RAM" in note]
    assert notes
    assert all("bytes" in note for note in notes)
    outside = with_ram(2000, external_bytes=1 << 20).bind(resnet8)
    notes = outside.evaluate(outside.space.default).notes
    assert "image lies in external RAM (3072 bytes)" in notes
    assert evaluation.metrics["external_ram_bytes"] > 0
    assert evaluation.metrics["traffic_external_bytes"] > 0


def test_nothing_is_reported_as_spilled_where_all_fits(resnet8_problem):
    evaluation = resnet8_problem.evaluate(resnet8_problem.space.default)
    assert not [note for note in evaluation.notes if "external" in note]
    assert evaluation.metrics["external_ram_bytes"] == 0


def test_layers_on_the_cpu_are_reported(resnet8_problem):
    evaluation = resnet8_problem.evaluate(resnet8_problem.space.default)
    assert evaluation.metrics["software_epochs"] == 1
    assert sum("runs on the CPU" in note for note in evaluation.notes) == 1


def test_pools_of_other_kinds_are_offered_where_there_are_some(resnet8_problem):
    kinds = {pool.kind for pool in STM32N6.internal}
    assert kinds == {PoolKind.NPU, PoolKind.CPU}
    layer = resnet8_problem.space.layers[1]
    knob = resnet8_problem.space.by_name[f"{layer}/output_pool"]
    assert knob.values == ("auto", "npu", "cpu")


def test_weights_that_flash_cannot_hold_are_refused(tmp_path):
    hardware = tmp_path / "small.toml"
    hardware.write_text(
        'based_on = "stm32n6"\nname = "small"\ndescription = "little flash"\n'
        "[pools.octoFlash]\nsize_bytes = 1000\n"
    )
    target = load_target("neural-art-custom", {"hardware_file": str(hardware)})
    with pytest.raises(ModelError, match=r"octoFlash has 1000\."):
        target.bind(zoo_network("resnet8"))
