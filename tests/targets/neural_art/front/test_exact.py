from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_networks import core_of, front_of, network_of, offer, size_of, tried

from npu_tune.errors import TargetError
from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.front import exact_front
from npu_tune.testing import some_configurations

LATENCY_AND_RAM = ("latency_ms", "ram_bytes")
LEFT_OUT = ("depth_first", "stripes", "halo", "weights_pool")
THREE_CONVOLUTIONS = """
    a = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (x, v)
    b = Conv <kernel_shape=[3,3], pads=[1,1,1,1], group=16> (a, w)
    y = Conv <kernel_shape=[1,1]> (b, z)
"""
THREE_WEIGHTS = {"v": (16, 8, 3, 3), "w": (16, 1, 3, 3), "z": (24, 16, 1, 1)}
BLOCKS = {
    "dense": ("Conv <kernel_shape=[3,3], pads=[1,1,1,1]> ({x}, {w})", (16, 16, 3, 3)),
    "pointwise": ("Conv <kernel_shape=[1,1]> ({x}, {w})", (16, 16, 1, 1)),
    "depthwise": ("Conv <kernel_shape=[3,3], pads=[1,1,1,1], group=16> ({x}, {w})", (16, 1, 3, 3)),
    "pool": ("MaxPool <kernel_shape=[2,2], pads=[0,0,1,1]> ({x})", ()),
    "sigmoid": ("Sigmoid ({x})", ()),
}


def three_convolutions(**parameters):
    network = network_of(THREE_CONVOLUTIONS, THREE_WEIGHTS, inputs="float[1,8,24,24] x")
    return core_of(network, {"accelerators": 2, **parameters})


def chain_of(blocks):
    names = ["x", *(f"m{i}" for i in range(len(blocks) - 1)), "y"]
    nodes, weights = [], {}
    for index, block in enumerate(blocks):
        text, shape = BLOCKS[block]
        nodes.append(f"{names[index + 1]} = " + text.format(x=names[index], w=f"w{index}"))
        if shape:
            weights[f"w{index}"] = shape
    return network_of("\n".join(nodes), weights, inputs="float[1,16,20,18] x")


def metrics_of(front):
    return [tuple(float(f"{p.metrics[n]:.12g}") for n in front.objectives) for p in front.points]


@pytest.mark.slow
@pytest.mark.parametrize(
    "hardware_parameters",
    [{}, {"pools": {"npuRAM5": "12 KiB", "npuRAM4": "24 KiB"}, "line_buffer_bytes": "4 KiB"}],
    ids=["stm32n6", "small pools"],
)
def test_the_front_of_three_layers_is_that_of_trying_everything(hardware_parameters):
    core = three_convolutions(**hardware_parameters)
    by_layer = {}
    for knob in core.space.knobs:
        if knob.layer != "network":
            by_layer.setdefault(knob.layer, []).append(knob)
    names = {"accelerators", "weights", "chain", "output_pool", "parallel_over", "parts"}
    wanted = {
        knob.full_name: next(
            (v,) for v in knob.values[::-1] if v not in (knob.default, "resident")
        )
        for own in by_layer.values()
        for knob in own
        if knob.name in names
    }
    for layer in list(by_layer)[2:3]:  # the second convolution has fewer choices
        wanted[f"{layer}/parts"] = wanted[f"{layer}/parallel_over"] = ()
    offer(core, wanted)
    assert 10_000 < size_of(core.space) < 200_000
    everything = tried(core, LATENCY_AND_RAM)
    front = exact_front(core, rule="calibrated", objectives=LATENCY_AND_RAM)
    assert metrics_of(front) == front_of(everything)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_front_is_that_of_trying_everything(data):
    blocks = data.draw(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=2, max_size=4))
    hardware = {
        "accelerators": data.draw(st.sampled_from([2, 4])),
        "kernel_buffer_bytes": data.draw(st.sampled_from([256, 16384])),
        "line_buffer_bytes": data.draw(st.sampled_from([0, 32768])),
        "pools": {
            "npuRAM5": data.draw(st.sampled_from([448 * 1024, 8192])),
            "npuRAM4": data.draw(st.sampled_from([448 * 1024, 6000])),
            "cpuRAM2": data.draw(st.sampled_from([1024 * 1024, 6000])),
        },
    }
    core = core_of(chain_of(blocks), hardware, external_ram=data.draw(st.booleans()))
    knobs = [k for k in core.space.knobs if k.layer != "network" and k.name not in LEFT_OUT]
    offered, size = {}, 1
    for knob in data.draw(st.permutations(knobs)):
        others = [v for v in knob.values if v not in (knob.default, "resident")]
        value = data.draw(st.sampled_from(others))
        if size * 2 > 1024:
            break
        offered[knob.full_name] = (value,)
        size *= 2
    offer(core, offered)
    base = core.space.default
    objectives = data.draw(
        st.sampled_from(
            [
                LATENCY_AND_RAM,
                ("latency_ms",),
                ("cycles", "peak_live_bytes"),
                ("ram_bytes",),
                ("energy", "latency_ms"),
                ("latency_ms", "ram_bytes", "peak_live_bytes"),
            ]
        )
    )
    everything = tried(core, objectives)
    front = exact_front(core, rule="calibrated", objectives=objectives, base=base)
    assert metrics_of(front) == front_of(everything)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds-cnn", "mobilenet-v1-0.25-96"])
def test_no_configuration_dominates_a_point_of_the_front(name):
    problem = load_target("neural-art-stm32n6").bind(zoo_network(name, format="onnx"))
    front, space = problem.front(), problem.space
    fixed = {
        k.full_name: k.default for k in space.knobs if k.layer == "network" or k.name in LEFT_OUT
    }
    for configuration in some_configurations(space, 300):
        residents = [name for name, value in configuration.items() if value == "resident"]
        within = fixed | dict.fromkeys(residents, "preload")
        metrics = problem.evaluate(configuration.replace(within)).metrics
        for point in front.points:
            ratios = [metrics[n] / point.metrics[n] for n in LATENCY_AND_RAM]
            assert max(ratios) >= 1 - 1e-12
            assert min(ratios) >= 1 - 1e-12 or max(ratios) > 1


def test_every_point_is_what_its_configuration_evaluates_to():
    problem = load_target("neural-art-stm32n6").bind(zoo_network("ds-cnn", format="onnx"))
    front = problem.front()
    assert len(front.points) > 1
    assert front.configurations > 1e30
    for point in front.points:
        assert problem.evaluate(point.configuration).metrics == point.metrics
        assert problem.space.effective(point.configuration) == point.configuration


def test_a_front_with_a_tolerance_covers_the_exact_one():
    problem = load_target("neural-art-stm32n6").bind(zoo_network("resnet8", format="onnx"))
    exact, rough = problem.front(), problem.front(tolerance=0.02)
    assert rough.tolerance == 0.02
    assert len(rough.points) <= len(exact.points)
    for point in exact.points:
        assert any(
            other.metrics["latency_ms"] <= point.metrics["latency_ms"] / (1 - 0.02)
            and other.metrics["ram_bytes"] <= point.metrics["ram_bytes"]
            for other in rough.points
        )


def test_only_what_labels_carry_can_be_an_objective():
    core = three_convolutions()
    with pytest.raises(TargetError, match="cannot be exact in 'flash_bytes'"):
        exact_front(core, rule="calibrated", objectives=("latency_ms", "flash_bytes"))


def test_memory_that_is_given_out_for_all_maps_together_has_no_exact_front():
    core = three_convolutions()
    base = core.space.configuration({"network/placement": "by_size"})
    with pytest.raises(TargetError, match="by_size"):
        exact_front(core, rule="calibrated", base=base)


def test_too_many_labels_end_the_search_with_an_error():
    objectives = ("latency_ms", "energy")  # labels are not held against bounds
    with pytest.raises(TargetError, match="more than 3 labels"):
        exact_front(three_convolutions(), rule="calibrated", objectives=objectives, most_labels=3)


def test_layers_that_could_be_computed_in_memory_are_named():
    problem = load_target("neural-art-dimc").bind(zoo_network("ds-cnn", format="onnx"))
    front = problem.front(objectives=("latency_ms",))
    assert front.notes[0] == "Every layer is computed by accelerators, none in memory."


def test_what_the_front_leaves_out_is_named_where_the_space_has_it():
    core = three_convolutions()
    front = exact_front(core, rule="calibrated")
    assert front.notes == ("No layer goes on depth-first, and no weights are in RAM for good.",)
    core = three_convolutions()
    offer(core, {knob.full_name: () for knob in core.space.knobs})
    assert exact_front(core, rule="calibrated").notes == ()


def test_what_lies_in_external_ram_counts():
    pools = {"npuRAM5": 6000, "npuRAM4": 4000, "npuRAM3": 4000, "npuRAM6": 4000, "cpuRAM2": 4000}
    core = three_convolutions(pools=pools)
    names = {"weights", "output_pool", "accelerators"}
    wanted = {k.full_name: k.values[:2] for k in core.space.knobs if k.name in names}
    offer(core, wanted)
    everything = tried(core, LATENCY_AND_RAM)
    assert len(everything) > 10
    front = exact_front(core, rule="calibrated", objectives=LATENCY_AND_RAM)
    assert metrics_of(front) == front_of(everything)
