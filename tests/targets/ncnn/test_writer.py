from __future__ import annotations

import random

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ncnn_cases import NcnnCase, convolutions, network_of
from two_runtimes import onnx_network

from npu_tune.targets.ncnn.checking import LEAST_DB
from npu_tune.targets.ncnn.plan import BF16, CHAINED, FLOAT, INT8, NO_BF16, LayerPlan
from npu_tune.targets.ncnn.writer import NcnnWriter

ORDINARY = ("c1", "c2", "c4", "c5", "y")


@pytest.fixture(scope="module")
def case():
    return NcnnCase(convolutions())


def lines_of(case, precisions=None, masks=None):
    plan = LayerPlan(case.precisions(**(precisions or {})), masks or {})
    magic, counts, *lines = NcnnWriter(case.program).text(plan).splitlines()
    assert magic == "7767517"
    return counts, [line.split() for line in lines]


def test_the_head_counts_layers_and_blobs(case):
    counts, lines = lines_of(case)
    outputs = [blob for _, _, into, out, *rest in lines for blob in rest[int(into) :][: int(out)]]
    assert counts == f"{len(lines)} {len(set(outputs))}"
    assert len(outputs) == len(set(outputs))


def test_every_blob_has_one_reader_at_most(case):
    _, lines = lines_of(case, {"c1": BF16, "c2": INT8, "c3": INT8})
    read = [blob for _, _, into, _, *rest in lines for blob in rest[: int(into)]]
    assert len(read) == len(set(read))


def test_all_in_float_computes_the_same(case):
    assert case.decibels() >= LEAST_DB


def test_all_in_int8_computes_nearly_the_same(case):
    assert case.decibels(dict.fromkeys(case.program.products, INT8)) >= 20


def test_what_stays_in_int8_computes_what_is_rounded_in_between_does(case):
    every = dict.fromkeys(case.program.products, INT8)
    chained = every | {"c2": CHAINED, "c3": CHAINED}
    assert case.decibels(chained) == pytest.approx(case.decibels(every), abs=1.0)


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("other", [FLOAT, INT8])
@pytest.mark.parametrize("packing", [True, False])
def test_layers_in_bf16_alternate_with_others(case, turn, other, packing):
    chosen = dict.fromkeys(case.program.products, other)
    chosen |= dict.fromkeys(ORDINARY[turn::2], BF16)
    assert case.decibels(chosen, packing=packing) >= (20 if other == INT8 else 35)


def test_random_precisions_and_masks_compute_nearly_the_same(case):
    rng = random.Random(0)
    for _ in range(12):
        chosen = {name: rng.choice((FLOAT, BF16, INT8, CHAINED)) for name in ORDINARY}
        chosen["c3"] = rng.choice((FLOAT, INT8, CHAINED))
        masks = {name: rng.choice((0, 32, 64, 96)) for name in chosen}
        options = {"packing": rng.random() < 0.5, "fp16": rng.choice(("off", "storage"))}
        assert case.decibels(chosen, masks, **options) >= 20, (chosen, masks, options)


def test_beside_bf16_everything_else_is_masked_and_gets_float_through_a_cast(case):
    _, lines = lines_of(case, {"c2": BF16})
    mask = f"31={NO_BF16}"
    unmasked = {(kind, name) for kind, name, *rest in lines if mask not in rest}
    assert {kind for kind, _ in unmasked} == {"Convolution", "Cast"}
    assert len(unmasked) == 2


def test_without_bf16_nothing_is_masked(case):
    _, lines = lines_of(case, {"c2": INT8})
    assert not any(word.startswith("31=") for line in lines for word in line)


def test_layers_of_every_kind_are_read_right_behind_bf16():
    nodes = """
        a = Conv(x, w)
        p = AveragePool<kernel_shape=[2,2]>(a)
        b = Conv(p, v)
        t = Tanh(b)
        c = Concat<axis=1>(b, t)
        d = Conv(c, u)
        s = Softmax<axis=1>(d)
        m = Mul(s, d)
        r = Transpose<perm=[0,2,3,1]>(m)
        q = Slice(d, starts, ends, axes)
        y = Flatten(r)
        z = Mul(q, channel)
    """
    weights = {"w": (24, 6, 3, 3), "v": (24, 24, 3, 3), "u": (24, 48, 1, 1)}
    constants = {"starts": [0], "ends": [6], "axes": [1]}
    channel = np.linspace(1, 2, 6, dtype=np.float32).reshape(1, 6, 1, 1)
    network = network_of(
        nodes,
        weights,
        constants={**constants, "channel": channel},
        outputs="float y, float z, float d",
    )
    case = NcnnCase(network)
    names = list(case.program.products)
    assert case.decibels() >= LEAST_DB
    for chosen in (names, names[::2], names[1::2], names[:1], names[-1:]):
        assert case.decibels(dict.fromkeys(chosen, BF16)) >= 35


def test_weights_in_int8_take_a_quarter(case):
    writer = NcnnWriter(case.program)
    sizes = {}
    for precision in (FLOAT, INT8):
        plan = LayerPlan(case.precisions(**dict.fromkeys(case.program.products, precision)), {})
        sizes[precision] = sum(map(len, writer.weights(plan, lambda _: 1.0)))
    assert sizes[INT8] < 0.45 * sizes[FLOAT]  # biases and factors stay


@pytest.mark.parametrize("precision", [BF16, INT8])
@pytest.mark.parametrize("shape", ["1,6,9,11", "1,9,11", "1,1,11", "1,11"])
def test_a_product_of_rows_may_be_in_any_precision(precision, shape):
    network = network_of("y = MatMul(x, w)", {"w": (11, 7)}, inputs=f"float[{shape}] x")
    case = NcnnCase(network)
    (name,) = case.program.products
    assert case.decibels() >= LEAST_DB
    assert case.decibels({name: precision}) >= 25


@pytest.mark.parametrize("precision", [BF16, INT8])
def test_a_gate_of_pooled_channels_may_be_in_any_precision(precision):
    nodes = """
        g = GlobalAveragePool(x)
        c = Conv(g, w, b)
        r = Relu(c)
        d = Conv(r, v)
        s = Sigmoid(d)
        y = Mul(s, x)
    """
    case = NcnnCase(network_of(nodes, {"w": (24, 6, 1, 1), "b": (24,), "v": (6, 24, 1, 1)}))
    for chosen in (["c"], ["d"], ["c", "d"]):
        assert case.decibels(dict.fromkeys(chosen, precision)) >= 30
    assert case.decibels({"c": CHAINED, "d": INT8}) >= 30


def test_outputs_that_others_read_keep_their_values():
    nodes = "a = Conv(x, w) r = Relu(a) y = Tanh(r) z = Add(r, y)"
    network = network_of(nodes, {"w": (8, 6, 3, 3)}, outputs="float z, float r, float y")
    assert NcnnCase(network).decibels() >= LEAST_DB


@pytest.mark.parametrize("separator", [".", ":"])
def test_tensors_that_are_named_like_copies_are_told_from_them(separator):
    nodes = "r_all = Relu(x) r = Tanh(r_all) r_1 = Add(r, r_all) r_2 = Mul(r, r_1) y = Add(r_2, r)"
    model = onnx.load_from_string(network_of(nodes).model_bytes)
    for node in model.graph.node:
        node.input[:] = [name.replace("_", separator) for name in node.input]
        node.output[:] = [name.replace("_", separator) for name in node.output]
    assert NcnnCase(onnx_network(model)).decibels() >= LEAST_DB


def test_a_network_may_have_several_inputs():
    nodes = "a = Conv(x, w) g = GlobalAveragePool(a) f = Flatten(g) s = Add(f, v) y = Mul(s, u)"
    inputs = "float[1,6,9,11] x, float[1,8] v, float[1] u"
    assert NcnnCase(network_of(nodes, {"w": (8, 6, 3, 3)}, inputs=inputs)).decibels() >= LEAST_DB


@st.composite
def stacks(draw):
    """Convolutions with activations, pools, shortcuts and joins, as ONNX text with weights."""
    channels = draw(st.integers(1, 20))
    height, width = draw(st.integers(6, 14)), draw(st.integers(6, 14))
    inputs = f"float[1,{channels},{height},{width}] x"
    nodes, weights, last, size = [], {}, "x", (height, width)
    for index in range(draw(st.integers(1, 5))):
        kind = draw(
            st.sampled_from(("plain", "plain", "depthwise", "grouped", "shortcut", "pool"))
        )
        out = f"t{index}"
        if kind == "pool" and min(size) >= 4:
            nodes.append(f"{out} = MaxPool<kernel_shape=[2,2], strides=[2,2]>({last})")
            last, size = out, (size[0] // 2, size[1] // 2)
            continue
        groups = channels if kind == "depthwise" else 2 if kind == "grouped" else 1
        if channels % groups:
            groups = 1
        kernel = draw(st.sampled_from((1, 3, 3, 5)))
        after = channels if kind == "shortcut" else draw(st.integers(1, 12)) * groups
        stride = 1 if kind == "shortcut" else draw(st.sampled_from((1, 1, 2)))
        weights[f"w{index}"] = (after, channels // groups, kernel, kernel)
        weights[f"b{index}"] = (after,)
        pad = kernel // 2
        nodes.append(
            f"c{index} = Conv<group={groups}, strides=[{stride},{stride}], "
            f"pads=[{pad},{pad},{pad},{pad}]>({last}, w{index}, b{index})"
        )
        op = draw(st.sampled_from(("Relu", "LeakyRelu", "Sigmoid", "Tanh", "Identity")))
        nodes.append(f"{out} = {op}(c{index})")
        if kind == "shortcut":
            joined = draw(st.sampled_from(("Add({0}, {1})", "Concat<axis=1>({1}, {0})")))
            nodes.append(f"j{index} = {joined.format(out, last)}")
            out = f"j{index}"
            channels += after if joined.startswith("Concat") else 0
        else:
            channels = after
        size = (-(-size[0] // stride), -(-size[1] // stride))
        last = out
    nodes.append(f"y = Identity({last})")
    return " ".join(nodes), weights, inputs


@settings(max_examples=25, deadline=None, derandomize=True)
@given(stacks())
def test_any_stack_of_convolutions_computes_the_same(stack):
    nodes, weights, inputs = stack
    assert NcnnCase(network_of(nodes, weights, inputs=inputs)).decibels() >= LEAST_DB


@settings(max_examples=15, deadline=None, derandomize=True)
@given(stacks(), st.randoms(use_true_random=False))
def test_any_stack_of_convolutions_computes_nearly_the_same_whatever_is_chosen(stack, rng):
    nodes, weights, inputs = stack
    case = NcnnCase(network_of(nodes, weights, inputs=inputs))
    chosen = {}
    for name, layer in case.program.products.items():
        if layer.product.is_grouped:
            continue
        short = [] if layer.product.is_depthwise else [BF16]
        chosen[name] = rng.choice([FLOAT, INT8, CHAINED, *short])
    assert case.decibels(chosen) >= 12  # of one channel, a value between others' is hard to round
