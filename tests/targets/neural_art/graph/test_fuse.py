"""What exporters spell out, and the operations it comes down to."""

from __future__ import annotations

import numpy as np
import pytest
from imported_graphs import imported, kinds, only, sizes

CONV = {"w": (8, 8, 1, 1)}
NUMBERS = {
    "zero": np.float32(0),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "three": np.float32(3),
    "six": np.float32(6),
    "root": np.float32(2**0.5),
    "sixth": np.float32(1 / 6),
}


def fused(after: str, *, opset: int = 13, **options: object) -> list[str]:
    """The kinds of operations of a convolution with nodes after it that read ``a``."""
    used = {name: value for name, value in NUMBERS.items() if name in after}
    graph = imported(f"a = Conv(x, w) {after}", CONV, used, opset=opset, **options)
    return kinds(graph)


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21])
@pytest.mark.parametrize("relu6", [False, True])
def test_clipping_is_free_behind_a_convolution(opset: int, relu6: bool) -> None:
    if not relu6:
        node = "y = Relu(a)"
    elif opset < 11:
        node = "y = Clip<min=0.0, max=6.0>(a)"
    else:
        node = "y = Clip(a, zero, six)"
    assert fused(node, opset=opset) == ["convolution+relu"]


@pytest.mark.parametrize(
    "node",
    [
        "LeakyRelu<alpha=0.1>(a)",
        "PRelu(a, half)",
        "Max(a, zero)",
        "Min(a, six)",
    ],
)
def test_other_piecewise_linear_functions_clip_too(node: str) -> None:
    assert fused(f"y = {node}") == ["convolution+relu"]


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Sigmoid(a)",
        "y = Tanh(a)",
        "y = HardSigmoid(a)",
        "y = Elu(a)",
        "y = Softplus(a)",
        "b = Sigmoid(a) y = Mul(a, b)",
        "b = Sigmoid(a) y = Mul(b, a)",
        "b = HardSigmoid<alpha=0.16667>(a) y = Mul(a, b)",
        # hard-swish as PyTorch spells it out for operator sets 9 to 13
        "b = Add(a, three) c = Clip(b, zero, six) d = Mul(a, c) y = Div(d, six)",
        "b = Add(a, three) c = Clip(b, zero, six) d = Div(c, six) y = Mul(a, d)",
        "b = Add(three, a) c = Relu(b) d = Min(c, six) e = Mul(d, sixth) y = Mul(e, a)",
        # Mish
        "b = Softplus(a) c = Tanh(b) y = Mul(a, c)",
        # GELU
        "b = Div(a, root) c = Erf(b) d = Add(c, one) e = Mul(a, d) y = Mul(e, half)",
        "h = Mul(a, half) b = Div(a, root) c = Erf(b) d = Add(c, one) y = Mul(h, d)",
        # GELU with tanh
        (
            "p = Pow(a, three) q = Mul(p, half) r = Add(a, q) s = Mul(r, root) t = Tanh(s)"
            "u = Add(t, one) v = Mul(a, half) y = Mul(v, u)"
        ),
        "y = Mul(a, a)",
        "y = Div(one, a)",
    ],
)
def test_every_spelling_of_a_function_is_one_lookup(nodes: str) -> None:
    assert fused(nodes) == ["convolution+lut"]


def test_hard_swish_of_operator_set_9_is_one_lookup() -> None:
    nodes = "b = Add(a, three) c = Clip<min=0.0, max=6.0>(b) d = Mul(a, c) y = Div(d, six)"
    assert fused(nodes, opset=9) == ["convolution+lut"]


@pytest.mark.parametrize(
    ("opset", "node"), [(14, "HardSwish(a)"), (18, "Mish(a)"), (20, "Gelu(a)")]
)
def test_young_operators_are_lookups(opset: int, node: str) -> None:
    assert fused(f"y = {node}", opset=opset) == ["convolution+lut"]


def test_a_function_whose_parts_are_read_elsewhere_stays_in_parts() -> None:
    nodes = "b = Sigmoid(a) y = Mul(a, b) z = Softmax(b)"
    assert fused(nodes, outputs="float y, float z") == [
        "convolution",
        "activation+lut",
        "arithmetic",
        "software",
    ]


def test_an_output_between_convolution_and_activation_stays() -> None:
    assert fused("y = Relu(a)", outputs="float a, float y") == ["convolution", "activation+relu"]


def test_what_reads_the_value_before_the_activation_keeps_them_apart() -> None:
    assert fused("b = Relu(a) y = Concat<axis=1>(a, b)") == [
        "convolution",
        "activation+relu",
        "copy",
    ]


def test_batch_normalization_becomes_a_bias_of_the_convolution() -> None:
    graph = imported(
        "a = Conv(x, w) c = BatchNormalization(a, g, b, m, v) y = Relu(c)",
        {"w": (6, 8, 3, 3), "g": (6,), "b": (6,), "m": (6,), "v": (6,)},
    )
    conv = only(graph)
    assert (conv.op, conv.activation, conv.output) == ("Conv", "relu", "y")
    assert conv.weights is not None
    assert (conv.weights.elements, conv.weights.bias_channels) == (6 * 8 * 9, 6)


def test_batch_normalization_spelled_out_is_folded_too() -> None:
    graph = imported(
        "a = Conv(x, w) c = Mul(a, s) d = Add(o, c) y = Relu(d)",
        {"w": (6, 8, 3, 3), "s": (6, 1, 1), "o": (1, 6, 1, 1)},
    )
    weights = only(graph).weights
    assert weights is not None
    assert (weights.elements, weights.bias_channels) == (6 * 8 * 9, 6)


def test_a_factor_alone_makes_no_bias() -> None:
    weights = only(imported("a = Conv(x, w) y = Mul(a, s)", {**CONV, "s": (8, 1, 1)})).weights
    assert weights is not None
    assert weights.bias_channels == 0


def test_a_constant_along_another_dimension_stays_arithmetic() -> None:
    graph = imported("a = Conv(x, w) y = Mul(a, s)", {**CONV, "s": (12, 1)})
    assert kinds(graph) == ["convolution", "arithmetic"]
    assert graph.operations[1].inputs == ("a",)


def test_factors_before_a_convolution_are_arithmetic_with_one_input() -> None:
    graph = imported(
        "a = Add(x, o) c = Mul(a, s) d = Relu(c) y = Conv(d, w)",
        {**CONV, "o": (8, 1, 1), "s": (8, 1, 1)},
    )
    assert kinds(graph) == ["arithmetic+relu", "convolution"]
    weights = graph.operations[0].weights
    assert weights is not None
    assert (weights.elements, weights.bias_channels) == (8, 8)


def test_normalization_that_no_convolution_takes_up_runs_on_the_cpu_in_float() -> None:
    graph = imported(
        "a = BatchNormalization(x, g, b, m, v) d = Relu(a) y = Conv(d, w)",
        {**CONV, "g": (8,), "b": (8,), "m": (8,), "v": (8,)},
    )
    assert kinds(graph) == ["software+relu", "convolution"]
    assert graph.operations[0].in_float
    assert "in float" in graph.operations[0].software_reason


def test_arithmetic_and_pools_take_activations() -> None:
    assert fused("b = Add(a, x) y = Relu(b)") == ["convolution", "arithmetic+relu"]
    assert fused("b = MaxPool<kernel_shape=[2,2]>(a) y = Sigmoid(b)") == [
        "convolution",
        "pool+lut",
    ]
    assert fused("b = Concat<axis=1>(a, x) y = Relu(b)") == [
        "convolution",
        "copy",
        "activation+relu",
    ]


def test_a_sum_of_many_is_a_chain_with_names_of_its_own() -> None:
    graph = imported("a = Conv(x, w) b = Conv(a, w) y = Sum(x, a, b)", CONV)
    first, second = (operation for operation in graph.operations if operation.op == "Sum")
    assert (first.kind, second.kind) == ("arithmetic", "arithmetic")
    assert second.inputs[0] == first.output
    assert second.output == "y"
    assert first.name != second.name


def test_squeeze_and_excite_multiplies_a_map_with_a_vector() -> None:
    graph = imported(
        "p = GlobalAveragePool(x) a = Conv(p, w1, b1) s = Sigmoid(a) b = Mul(a, s)"
        "c = Conv(b, w2) g = Sigmoid(c) y = Mul(x, g)",
        {"w1": (4, 8, 1, 1), "b1": (4,), "w2": (8, 4, 1, 1)},
    )
    assert kinds(graph) == ["pool", "convolution+lut", "convolution+lut", "arithmetic"]
    assert graph.operations[-1].inputs == ("x", "g")
    assert sizes(graph.maps["g"]) == (8, 1, 1)


def test_the_hard_sigmoid_gate_of_mobilenet_v3_is_free() -> None:
    graph = imported(
        "p = GlobalAveragePool(x) a = Conv(p, w) b = Add(a, three) c = Clip(b, zero, six)"
        "g = Div(c, six) y = Mul(g, x)",
        CONV,
        {name: NUMBERS[name] for name in ("zero", "three", "six")},
    )
    assert kinds(graph) == ["pool", "convolution+relu", "arithmetic"]


def test_a_channel_shuffle_is_one_copy() -> None:
    graph = imported(
        "a = Conv(x, w) b = Reshape(a, s) c = Transpose<perm=[0,2,1,3,4]>(b) d = Reshape(c, t)"
        "y = Conv(d, w)",
        CONV,
        {"s": np.asarray([1, 2, 4, 12, 10]), "t": np.asarray([1, 8, 12, 10])},
    )
    assert kinds(graph) == ["convolution", "copy", "convolution"]
    assert sizes(graph.maps[graph.operations[1].output]) == (8, 12, 10)


def test_a_shuffle_with_sizes_computed_from_shapes_is_one_copy_before_its_parts() -> None:
    graph = imported(
        "a = Conv(x, w) s = Shape(a) n = Gather(s, i0) h = Gather(s, i2) c = Gather(s, i3)"
        "un = Unsqueeze<axes=[0]>(n) uh = Unsqueeze<axes=[0]>(h) uc = Unsqueeze<axes=[0]>(c)"
        "s5 = Concat<axis=0>(un, two, four, uh, uc) r = Reshape(a, s5)"
        "t = Transpose<perm=[0,2,1,3,4]>(r) s4 = Concat<axis=0>(un, rest, uh, uc)"
        "v = Reshape(t, s4) p = Slice<axes=[1], starts=[0], ends=[4]>(v)"
        "q = Slice<axes=[1], starts=[4], ends=[8]>(v) y = Concat<axis=1>(q, p)",
        CONV,
        {
            **{f"i{place}": np.int64(place) for place in (0, 2, 3)},
            "two": np.asarray([2]),
            "four": np.asarray([4]),
            "rest": np.asarray([-1]),
        },
        opset=9,
    )
    assert kinds(graph) == ["convolution", "copy", "copy", "copy", "copy"]
    assert [sizes(graph.maps[op.output]) for op in graph.operations[1:]] == [
        (8, 12, 10),
        (4, 12, 10),
        (4, 12, 10),
        (8, 12, 10),
    ]


def test_a_transposition_that_a_reader_needs_done_is_a_copy_named_after_it() -> None:
    graph = imported(
        "a = MatMul(x, v) t = Transpose<perm=[0,2,1]>(a) y = MatMul(t, w)",
        {"v": (8, 8), "w": (50, 50)},
        inputs="float[1,50,8] x",
    )
    assert [(op.name, op.kind) for op in graph.operations] == [
        ("a", "convolution"),
        ("t", "copy"),
        ("y", "convolution"),
    ]
    assert sizes(graph.maps["y"]) == (50, 8, 1)


@pytest.mark.parametrize("opset", [9, 11, 13, 18, 21])
def test_zero_padding_joins_the_convolution(opset: int) -> None:
    pads = [0, 0, 1, 1, 0, 0, 2, 2]
    node = "Pad(x, p)" if opset >= 11 else f"Pad<pads={pads}>(x)"
    constants = {"p": np.asarray(pads)} if opset >= 11 else {}
    graph = imported(f"a = {node} y = Conv(a, w)", {"w": (8, 8, 3, 3)}, constants, opset=opset)
    conv = only(graph)
    assert conv.inputs == ("x",)
    assert sizes(graph.maps["y"]) == (8, 13, 11)


def test_padding_of_chosen_dimensions_joins_too() -> None:
    constants = {"p": np.asarray([1, 1]), "axes": np.asarray([-1])}
    graph = imported("a = Pad(x, p, , axes) y = Conv(a, w)", CONV, constants, opset=18)
    assert only(graph).inputs == ("x",)


@pytest.mark.parametrize(
    ("node", "constants"),
    [
        ("Pad(x, p, one)", {"one": np.float32(1)}),
        ('Pad<mode="reflect">(x, p)', {}),
        ("Pad(x, q)", {}),
    ],
)
def test_other_padding_is_a_copy(node: str, constants: dict[str, object]) -> None:
    values = {"p": [0, 0, 1, 1, 0, 0, 1, 1], "q": [0, 1, 0, 0, 0, 1, 0, 0]}
    used = {
        name: np.asarray(v)
        for name, v in values.items()
        if f"{name})" in node or f" {name}," in node
    }
    channels = 10 if "q)" in node else 8
    graph = imported(f"a = {node} y = Conv(a, w)", {"w": (8, channels, 1, 1)}, used | constants)
    assert kinds(graph) == ["copy", "convolution"]


def test_padding_that_something_else_reads_too_is_a_copy() -> None:
    constants = {"p": np.asarray([0, 0, 1, 1, 0, 0, 1, 1])}
    graph = imported("a = Pad(x, p) b = Conv(a, w) y = Add(a, b)", CONV, constants)
    assert kinds(graph) == ["copy", "convolution", "arithmetic"]


def test_a_network_as_tf2onnx_writes_it_has_no_copies() -> None:
    graph = imported(
        "n = Sub(x, half) t = Transpose<perm=[0,3,1,2]>(n) a = Conv<pads=[1,1,1,1]>(t, w)"
        "b = Relu(a) u = Transpose<perm=[0,2,3,1]>(b) m = ReduceMean<axes=[1,2], keepdims=0>(u)"
        "c = MatMul(m, d) y = Add(c, v)",
        {"w": (8, 3, 3, 3), "d": (8, 5), "v": (5,)},
        {"half": NUMBERS["half"]},
        inputs="float[1,32,24,3] x",
    )
    assert kinds(graph) == ["arithmetic", "convolution+relu", "pool", "convolution"]
    assert sizes(graph.maps["x"]) == (3, 32, 24)
    assert graph.operations[2].global_pool
    assert graph.operations[3].weights is not None
    assert graph.operations[3].weights.bias_channels == 5


def test_keras_padding_before_the_transposition_joins_too() -> None:
    graph = imported(
        "p = Pad(x, s) t = Transpose<perm=[0,3,1,2]>(p) y = Conv(t, w)",
        {"w": (8, 3, 3, 3)},
        {"s": np.asarray([0, 1, 1, 0, 0, 1, 1, 0])},
        inputs="float[1,32,24,3] x",
    )
    assert only(graph).inputs == ("x",)
    assert sizes(graph.maps["x"]) == (3, 32, 24)


def test_quantizers_leave_nothing_behind() -> None:
    graph = imported(
        "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)"
        "wd = DequantizeLinear<axis=0>(w, ws, wz) bd = DequantizeLinear(b, s)"
        "a = Conv(d, wd, bd) aq = QuantizeLinear(a, s, z) ad = DequantizeLinear(aq, s, z)"
        "r = Relu(ad) rq = QuantizeLinear(r, s, z) y = DequantizeLinear(rq, s, z)",
        constants={
            "s": np.float32(0.1),
            "z": np.int8(0),
            "w": np.arange(64, dtype=np.int8).reshape(8, 8, 1, 1),
            "ws": np.full(8, 0.1, np.float32),
            "wz": np.zeros(8, np.int8),
            "b": np.arange(8, dtype=np.int32),
        },
    )
    conv = only(graph)
    assert (conv.kind, conv.activation) == ("convolution", "relu")
    assert conv.weights is not None
    assert (conv.weights.elements, conv.weights.bias_channels) == (64, 8)
    assert {feature_map.bits for feature_map in graph.maps.values()} == {8}


def test_sixteen_bit_quantizers_make_sixteen_bit_maps() -> None:
    graph = imported(
        "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)",
        constants={"s": np.float32(0.1), "z": np.int16(0)},
        opset=21,
    )
    assert graph.maps["x"].bits == 16


def test_an_addition_follows_the_convolution_it_waits_for() -> None:
    graph = imported(
        "a = Conv(x, w) b = Conv(x, w) e = Conv(b, w) c = Add(a, b) d = Relu(c)"
        "y = Concat<axis=1>(d, e)",
        CONV,
    )
    assert [operation.output for operation in graph.operations] == ["a", "b", "d", "e", "y"]


def test_what_nobody_reads_is_dropped() -> None:
    assert fused("b = Sigmoid(a) c = Softmax(b) y = Relu(a)") == ["convolution+relu"]


def test_constants_are_computed_beforehand() -> None:
    graph = imported(
        "s = Shape(x) c = Cast<to=1>(s) u = Mul(k, k) v = Add(u, k) y = Conv(x, v)",
        {"k": (8, 8, 1, 1)},
    )
    assert only(graph).op == "Conv"


@pytest.mark.parametrize(
    "nodes",
    [
        "r = Reshape(a, column) s = Reshape(a, row) y = Mul(r, s)",
        "y = Add(a, offsets)",
        "y = Mul(a, offsets)",
    ],
)
def test_what_repeats_its_input_is_computed_for_itself(nodes: str) -> None:
    constants = {
        "column": np.array([1, 16, 1]),
        "row": np.array([1, 1, 16]),
        "offsets": np.ones((16, 1), np.float32),
    }
    graph = imported(
        f"a = MatMul(x, w) {nodes}",
        {"w": (8, 16)},
        {name: value for name, value in constants.items() if name in nodes},
        inputs="float[1,8] x",
    )
    assert kinds(graph) == ["convolution", "arithmetic"]
    product, after = graph.operations
    assert graph.maps[product.output].elements == 16
    assert graph.maps[after.output].elements == 16 * 16
