from __future__ import annotations

import pytest
from measured_cases import graph_of, separable_network
from small_networks import network_of

from npu_tune.targets.cpu_onnxruntime.plan import changed_by_range, is_quantizable, make_plan
from npu_tune.targets.measured.layers import LayeredGraph


def layered(nodes: str, weights=None, *, inputs: str = "float[1,4,6,6] x") -> LayeredGraph:
    return graph_of(network_of(nodes, weights or {}, inputs=inputs))


@pytest.fixture
def separable() -> LayeredGraph:
    return graph_of(separable_network())


def test_nothing_in_int8_plans_nothing(separable):
    plan = make_plan(separable, frozenset())
    assert not plan.nodes
    assert not plan.tensors


def test_a_layer_stores_its_input_and_what_its_activation_gives(separable):
    plan = make_plan(separable, {"c2"})
    assert plan.nodes == {"c2", "r2"}
    assert plan.tensors == {"m1": "m1", "r2": "r2"}


def test_a_pool_behind_a_layer_follows_it_with_its_codes(separable):
    plan = make_plan(separable, {"c1"})
    assert plan.nodes == {"c1", "r1", "m1"}
    assert plan.tensors == {"x": "x", "r1": "r1", "m1": "r1"}


def test_an_average_follows_with_a_range_of_its_own(separable):
    plan = make_plan(separable, {"s1"})
    assert plan.tensors["g1"] == "g1"
    assert plan.tensors["f1"] == "g1"


def test_a_pool_of_something_in_float_stays_in_float():
    graph = layered(
        "s = Sigmoid(x) m = MaxPool<kernel_shape=[2,2]>(s) y = Conv(m, w)", {"w": (4, 4, 1, 1)}
    )
    plan = make_plan(graph, {"y"})
    assert plan.nodes == {"y"}
    assert plan.tensors == {"m": "m", "y": "y"}


def test_a_concatenation_follows_only_where_all_of_it_is_in_int8():
    nodes = "a = Conv(x, v) b = Conv(x, w) y = Concat<axis=1>(a, b)"
    graph = layered(nodes, {"v": (4, 4, 1, 1), "w": (4, 4, 1, 1)})
    assert "y" not in make_plan(graph, {"a"}).nodes
    assert "y" in make_plan(graph, {"a", "b"}).nodes


def test_a_range_makes_a_difference_where_its_tensor_is_stored(separable):
    assert changed_by_range(separable, frozenset()) == frozenset()
    # c1 stores r1; c2 reads m1, which nobody chose a range for.
    assert changed_by_range(separable, {"c1"}) == {"c1"}
    assert changed_by_range(separable, {"c2"}) == {"c2"}
    # What s1 reads of c3 is stored for it, by the range of c3.
    assert changed_by_range(separable, {"s1"}) == {"c3", "s1"}


def test_every_tensor_of_a_part_is_one_of_the_whole(separable):
    whole = make_plan(separable, {layer.name for layer in separable.layers})
    for layer in separable.layers:
        part = make_plan(separable, {layer.name})
        assert part.nodes <= whole.nodes
        assert set(part.tensors) <= set(whole.tensors)


@pytest.mark.parametrize(
    ("nodes", "weights", "inputs", "expected"),
    [
        ("y = Gemm(x, w, b)", {"w": (4, 5), "b": (5,)}, "float[5,4] x", True),
        ("y = Gemm(x, w, b)", {"w": (4, 5), "b": (1, 5)}, "float[5,4] x", True),
        ("y = Gemm(x, w, b)", {"w": (4, 5), "b": (5, 1)}, "float[5,4] x", False),
        ("y = Gemm(x, w, b)", {"w": (4, 5), "b": (1,)}, "float[5,4] x", False),
        ("y = Gemm<alpha=0.5>(x, w)", {"w": (4, 5)}, "float[5,4] x", False),
        ("y = Gemm<beta=0.5>(x, w, b)", {"w": (4, 5), "b": (5,)}, "float[5,4] x", False),
        ("y = Gemm<transA=1>(x, w)", {"w": (5, 4)}, "float[5,4] x", False),
        ("y = MatMul(x, w)", {"w": (4, 5)}, "float[5,4] x", True),
        ("y = MatMul(x, w)", {"w": (2, 4, 5)}, "float[2,5,4] x", False),
        ("y = MatMul(x, w)", {"w": (4,)}, "float[4] x", False),
        ("y = MatMul(x, w)", {"w": (4, 5)}, "float[4] x", True),
        ("y = Add(x, z)", {}, "float[5,4] x, float[5,4] z", True),
        ("y = Add(x, z)", {}, "float[5,4] x, float[1,4] z", False),
        ("y = Mul(x, x)", {}, "float[5,4] x", True),
    ],
)
def test_layers_have_an_int8_form_where_onnxruntime_does(nodes, weights, inputs, expected):
    graph = layered(nodes, weights, inputs=inputs)
    (layer,) = graph.layers
    assert is_quantizable(graph, layer) is expected
