from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rewritten import Weights, model_of, operators, quantized, rewritten, split, stripes
from two_runtimes import onnx_model

from npu_tune.errors import UsageError
from npu_tune.network.rewrite import RewritePlan, StripedSegment, rewrite_model

BLOCKS = {
    "residual": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = Conv<pads=[1,1,1,1]>(b, w)"
            " d = Add(c, x) e = Relu(d) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(e)"
        ),
        ("a", "d"),
    ),
    "residual with a shortcut": (
        (
            "a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w) b = Relu(a)"
            " c = Conv<pads=[1,1,1,1]>(b, w) s = Conv<strides=[2,2]>(x, v) d = Add(c, s)"
            " y = Relu(d)"
        ),
        ("a", "s", "d"),
    ),
    "inverted residual": (
        (
            "a = Conv(x, v) b = Clip(a, low, high) c = Conv<group=4, pads=[1,1,1,1]>(b, g)"
            " d = Clip(c, low, high) e = Conv(d, v) f = Add(x, e) y = Relu(f)"
        ),
        ("a", "f"),
    ),
    "two residuals": (
        (
            "a = Conv<pads=[1,1,1,1]>(x, w) b = Add(a, x) c = Conv<pads=[2,1,2,1], "
            "dilations=[2,1]>(b, w) d = Add(c, b) y = Relu(d)"
        ),
        ("a", "d"),
    ),
    "fire": (
        (
            "a = Conv(x, v) b = Relu(a) c = Conv(b, v) d = Relu(c)"
            " e = Conv<pads=[1,1,1,1]>(b, w) f = Relu(e) h = Concat<axis=1>(d, f)"
            " y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(h)"
        ),
        ("a", "y"),
    ),
}


def block(name, height=13):
    nodes, layers = BLOCKS[name]
    model = model_of(
        f"(float[1,4,{height},8] x) => (float y) {{ {nodes} }}",
        {"low": np.float32(0).reshape(()), "high": np.float32(1.5).reshape(())},
        w=(4, 4, 3, 3),
        v=(4, 4, 1, 1),
        g=(4, 1, 3, 3),
    )
    return model, layers


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("height", [12, 13])
@pytest.mark.parametrize("count", [2, 5])
def test_blocks_of_layers_are_computed_in_stripes(name, height, count):
    model, layers = block(name, height)
    rewritten(model, stripes(*layers, count=count))


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.parametrize("codes", ["QInt8", "QUInt8"])
def test_quantized_blocks_come_out_bit_for_bit(name, codes, tmp_path):
    model, layers = block(name)
    source = quantized(model, tmp_path, codes=codes, per_channel=name != "fire")
    # The quantizer takes some activations away.
    there = {node.name for node in source.graph.node}
    layers = [layer for layer in layers if layer in there]
    rewritten(source, stripes(*layers), exactly=True)


def test_every_row_may_be_a_stripe_and_more_are_refused():
    model, _ = block("residual", 6)
    rewritten(model, stripes("a", "d", count=6))
    with pytest.raises(UsageError, match=r"asks for 7 stripes, and its output 'e' has 6 rows"):
        rewrite_model(model, stripes("a", "d", count=7))


def test_rows_that_two_stripes_need_are_computed_twice_and_no_others():
    from two_runtimes import onnx_network

    model = model_of(
        "(float[1,1,8,8] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w)"
        " y = Conv<pads=[1,1,1,1]>(a, w) }",
        w=(1, 1, 3, 3),
    )
    network = onnx_network(rewritten(model, stripes("a", "y", count=2)))
    shapes = [network.tensors[f"{name}/stripe{k}"].shape[2] for name in "ay" for k in (1, 2)]
    assert shapes == [5, 5, 4, 4]
    assert [network.tensors[f"x/stripe{k}/rows"].shape[2] for k in (1, 2)] == [6, 6]


def test_a_layer_is_split_over_its_rows():
    model, _ = block("residual")
    result = rewritten(model, split("c", "rows", 3))
    assert operators(result, "Slice")
    assert {"c/stripe1", "c/stripe3", "a"} <= {n.name or n.output[0] for n in result.graph.node}


def test_a_stripe_of_padding_alone_is_refused():
    body = "(float[1,4,5,5] x) => (float y) { y = Conv<pads=[4,1,4,1]>(x, w) }"
    with pytest.raises(UsageError, match=r"too many stripes for the node 'y'.*padding alone"):
        rewrite_model(model_of(body, w=(2, 4, 3, 3)), stripes("y", count=11))


def test_several_segments_one_behind_the_other():
    model = model_of(
        "(float[1,4,16,8] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a)"
        " c = Conv<pads=[1,1,1,1]>(b, w) d = Relu(c) e = Conv<strides=[2,2]>(d, w) y = Relu(e) }",
        w=(4, 4, 3, 3),
    )
    plan = RewritePlan((StripedSegment(("a", "b"), 2), StripedSegment(("c", "e"), 3)))
    result = rewritten(model, plan)
    assert operators(result, "Concat") == ["b/stripes", "y/stripes"]


@st.composite
def chains(draw):
    """A random chain of windows and sums, its first layer, and a number of stripes."""
    nodes, channels, size = [], 3, draw(st.integers(9, 20))
    height, last = size, "x"
    for place in range(draw(st.integers(1, 4))):
        op = draw(st.sampled_from(["Conv", "depthwise", "MaxPool", "AveragePool"]))
        kernel = draw(st.sampled_from([1, 2, 3, 5]))
        stride = draw(st.sampled_from([1, 1, 2, 3]))
        dilation = 1 if "Pool" in op else draw(st.sampled_from([1, 1, 2]))
        top, bottom = (draw(st.integers(0, kernel - 1)) for _ in range(2))
        free = height + top + bottom - (kernel - 1) * dilation - 1
        if free < stride:
            continue
        height = free // stride + 1
        window = f"kernel_shape=[{kernel},1], strides=[{stride},1], pads=[{top},0,{bottom},0]"
        name = f"n{place}"
        if "Pool" in op:
            nodes.append(f"{name} = {op}<{window}>({last})")
        else:
            group, weights = (channels, f"g{kernel}") if op == "depthwise" else (1, f"w{kernel}")
            window += f", dilations=[{dilation},1], group={group}"
            nodes.append(f"{name} = Conv<{window}>({last}, {weights})")
        if draw(st.booleans()):
            nodes.append(f"r{place} = Relu({name}) s{place} = Add(r{place}, {name})")
            name = f"s{place}"
        last = name
    nodes.append(f"y = Neg({last})")
    shapes = {f"w{k}": (channels, channels, k, 1) for k in (1, 2, 3, 5)}
    shapes |= {f"g{k}": (channels, 1, k, 1) for k in (1, 2, 3, 5)}
    body = f"(float[1,{channels},{size},3] x) => (float y) {{ {' '.join(nodes)} }}"
    assume(height > 1)
    count = draw(st.integers(2, min(height, 6)))
    return onnx_model(body, Weights(**shapes)), nodes[0].partition(" ")[0], count


@settings(max_examples=30, deadline=None)
@given(chains())
def test_random_chains_come_out_the_same(chain):
    model, first, count = chain
    rewritten(model, stripes(first, "y", count=count))
