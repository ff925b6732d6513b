from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper
from rewritten import model_of, operators, quantized, rewritten, split

from npu_tune.errors import UnsupportedOperatorError, UsageError
from npu_tune.network.rewrite import rewrite_model


def sizes(model):
    return {t.name: numpy_helper.to_array(t).shape for t in model.graph.initializer}


def test_a_convolution_is_computed_in_parts_of_its_kernels():
    model = model_of(
        "(float[1,4,9,9] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a)"
        " y = Clip(r, low, high) }",
        {"low": np.float32(0).reshape(()), "high": np.float32(1).reshape(())},
        w=(7, 4, 3, 3),
        b=(7,),
    )
    result = rewritten(model, split("a", "kernels", 3))
    assert operators(result, "Conv", "Relu") == [
        f"{name}/part{k}" for k in (1, 2, 3) for name in "ar"
    ]
    assert operators(result, "Concat") == ["y/parts"]
    found = sizes(result)
    assert [found[f"w/part{k}"][0] for k in (1, 2, 3)] == [3, 2, 2]
    assert [found[f"b/part{k}"] for k in (1, 2, 3)] == [(3,), (2,), (2,)]
    assert "w" not in found
    assert "low" in found


@pytest.mark.parametrize(("kernels", "groups", "channels"), [(4, 4, 4), (8, 4, 4), (6, 3, 6)])
def test_a_grouped_convolution_is_divided_between_its_groups(kernels, groups, channels):
    model = model_of(
        f"(float[1,{channels},9,9] x) => (float y) {{"
        f" y = Conv<group={groups}, pads=[1,1,1,1]>(x, w, b) }}",
        w=(kernels, channels // groups, 3, 3),
        b=(kernels,),
    )
    result = rewritten(model, split("y", "kernels", 2))
    assert len(operators(result, "Slice")) == 2
    with pytest.raises(UsageError, match=f"the layer has {groups} groups, which are not divided"):
        rewrite_model(model, split("y", "kernels", groups + 1))


@pytest.mark.parametrize(
    ("call", "weights", "bias"),
    [
        ("Gemm(x, w, b)", (5, 6), (6,)),
        ("Gemm<transB=1>(x, w, b)", (6, 5), (1, 6)),
        ("Gemm(x, w, b)", (5, 6), (1,)),
        ("Gemm(x, w, b)", (5, 6), ()),
        ("Gemm(x, w, b)", (5, 6), (2, 6)),
        ("Gemm(x, w, b)", (5, 6), (2, 1)),
        ("Gemm<alpha=0.5, beta=2.0>(x, w)", (5, 6), (1,)),
        ("MatMul(x, w)", (5, 6), (1,)),
    ],
)
def test_a_product_is_computed_in_parts_of_its_columns(call, weights, bias):
    model = model_of(f"(float[2,5] x) => (float y) {{ y = {call} }}", w=weights, b=bias)
    result = rewritten(model, split("y", "kernels", 4))
    assert len(operators(result, "Gemm", "MatMul")) == 4


def test_a_product_of_three_dimensions_is_joined_along_the_last_one():
    model = model_of("(float[1,3,5] x) => (float y) { y = MatMul(x, w) }", w=(5, 4))
    rewritten(model, split("y", "kernels", 2))


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("codes", ["QInt8", "QUInt8"])
def test_quantized_layers_keep_every_bit(tmp_path, group, per_channel, codes):
    model = model_of(
        "(float[1,4,9,9] x) => (float y) { r = Relu(x)"
        f" y = Conv<group={group}, pads=[1,1,1,1]>(r, w, b) }}",
        w=(8, 4 // group, 3, 3),
        b=(8,),
    )
    source = quantized(model, tmp_path, codes=codes, per_channel=per_channel)
    result = rewritten(source, split("y", "kernels", 3), exactly=True)
    found = sizes(result)
    assert sum(shape[0] for name, shape in found.items() if len(shape) == 4) == 8
    scales = [shape for name, shape in found.items() if name.startswith("w_scale")]
    assert len(scales) == (3 if per_channel else 1)


def test_weights_with_quantizers_of_their_own_are_cut_along():
    model = model_of(
        "(float[1,4,9,9] x) => (float y) { q = QuantizeLinear<axis=0>(w, s, z)"
        " d = DequantizeLinear<axis=0>(q, s, z) y = Conv(x, d) }",
        {"s": np.linspace(0.01, 0.02, 6, dtype=np.float32), "z": np.zeros(6, np.int8)},
        w=(6, 4, 3, 3),
    )
    result = rewritten(model, split("y", "kernels", 2))
    assert operators(result, "QuantizeLinear") == ["q/part1", "q/part2"]
    assert sizes(result)["s/part1"] == (3,)


REFUSED = {
    "MaxPool<kernel_shape=[2,2]>(x)": "has no kernels that are divided here",
    "ConvTranspose(x, w)": "has no kernels that are divided here",
    "Conv(x, x)": "reads its weights at run time",
    "Conv(x, w, bias)": "reads its bias at run time",
    "MatMul(x, w)": r"has weights of the shape \(4, 4, 2, 2\)",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_has_no_kernels_is_refused_by_name(call):
    body = f"(float[4,4,2,2] x, float[4] bias) => (float y) {{ y = {call} }}"
    with pytest.raises(UnsupportedOperatorError, match=REFUSED[call]) as error:
        rewrite_model(model_of(body, w=(4, 4, 2, 2)), split("y", "kernels"))
    assert error.value.data["node"] == "y"


def test_weights_that_are_computed_are_refused_by_name():
    body = "(float[1,4,9,9] x) => (float y) { n = Neg(w) y = Conv(x, n) }"
    with pytest.raises(UnsupportedOperatorError, match="The weights 'n' cannot be divided"):
        rewrite_model(model_of(body, w=(4, 4, 3, 3)), split("y", "kernels"))


def test_more_parts_than_kernels_are_refused():
    body = "(float[1,4,9,9] x) => (float y) { y = Conv(x, w) }"
    with pytest.raises(UsageError, match="asks for 4 parts, and the layer has 3 kernels"):
        rewrite_model(model_of(body, w=(3, 4, 3, 3)), split("y", "kernels", 4))


def test_maps_with_scales_per_channel_are_not_divided_into_groups():
    body = (
        "(int8[1,4,9,9] x) => (float y) { d = DequantizeLinear<axis=1>(x, s)"
        " y = Conv<group=4>(d, w) }"
    )
    model = model_of(body, {"s": np.full(4, 0.1, np.float32)}, w=(4, 1, 3, 3))
    with pytest.raises(UnsupportedOperatorError, match="reads a map with scales per channel"):
        rewrite_model(model, split("y", "kernels"))


def test_what_looks_at_neighbouring_channels_stays_behind_the_parts():
    body = "(float[1,4,9,9] x) => (float y) { a = Conv(x, w) y = LRN<size=3>(a) }"
    result = rewritten(model_of(body, w=(4, 4, 3, 3)), split("a", "kernels"))
    assert operators(result, "LRN") == [""]
