"""How maps of codes are cut and joined; files of onnxruntime's quantizer are tested elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from rewritten import model_of, operators, rewritten, stripes

from npu_tune.network.rewrite.draft import Draft
from npu_tune.network.rewrite.source import open_source

SCALES = {
    "s": np.float32(0.05).reshape(()),
    "t": np.float32(0.25).reshape(()),
    "u": np.float32(0.02).reshape(()),
    "z": np.int8(3).reshape(()),
    "v": np.random.default_rng(0).integers(-90, 90, (4, 4, 3, 3)).astype(np.int8),
    "o": np.int8(0).reshape(()),
}


def test_codes_that_come_in_without_a_zero_point_stay_int8():
    model = model_of(
        "(int8[1,4,12,8] x) => (float y) { d = DequantizeLinear(x, s)"
        " k = DequantizeLinear(v, u, o) a = Conv<pads=[1,1,1,1]>(d, k)"
        " q = QuantizeLinear(a, t, z) y = DequantizeLinear(q, t, z) }",
        SCALES,
    )
    result = rewritten(model, stripes("a"), exactly=True)
    assert "d/stripe1/rows/quantize/zero_point" in {t.name for t in result.graph.initializer}


def test_one_quantizer_with_a_dequantizer_for_each_reader_is_cut_twice():
    model = model_of(
        "(float[1,4,12,8] x) => (float y) { p = QuantizeLinear(x, s, z)"
        " d = DequantizeLinear(p, s, z) k = DequantizeLinear(v, u, o)"
        " a = Conv<pads=[1,1,1,1]>(d, k) q = QuantizeLinear(a, t, z)"
        " e = DequantizeLinear(q, t, z) f = DequantizeLinear(q, t, z)"
        " b = Conv<pads=[1,1,1,1]>(e, k) r = QuantizeLinear(b, t, z)"
        " g = DequantizeLinear(r, t, z) c = Add(f, g) h = QuantizeLinear(c, t, z)"
        " y = DequantizeLinear(h, t, z) }",
        SCALES,
    )
    result = rewritten(model, stripes("a", "c"), exactly=True)
    assert operators(result, "Concat") == ["h/stripes"]
    joined = next(node for node in result.graph.node if node.op_type == "Concat")
    made = {name: node.op_type for node in result.graph.node for name in node.output}
    # Everything that is joined or cut stands between quantizers.
    assert {made[name] for name in joined.input} == {"DequantizeLinear"}
    for node in result.graph.node:
        if node.op_type in {"Slice", "Concat"}:
            readers = [n.op_type for n in result.graph.node if node.output[0] in n.input]
            assert readers == ["QuantizeLinear"]
            assert made[node.input[0]] == "DequantizeLinear"


def test_weights_are_stored_once_and_each_reader_has_a_dequantizer():
    model = model_of(
        "(float[1,4,12,8] x) => (float y) { k = DequantizeLinear(v, u, o)"
        " y = Conv<pads=[1,1,1,1]>(x, k) }",
        SCALES,
    )
    result = rewritten(model, stripes("y"))
    assert operators(result, "DequantizeLinear") == [f"k/stripe{n}" for n in (1, 2, 3)]
    assert [t.name for t in result.graph.initializer if len(t.dims) == 4] == ["v"]


def test_new_names_keep_out_of_the_way_of_those_there_are():
    model = model_of(
        "(float[1,4,12,8] x) => (float z) { y = Relu(x) z = Neg(y) }", {"y/stripe1": np.ones(1)}
    )
    model.graph.node[1].name = "y/stripe2"
    result = rewritten(model, stripes("y", count=2))
    relus = [node for node in result.graph.node if node.op_type == "Relu"]
    assert [node.name for node in relus] == ["y/stripe1", "y/stripe2#2"]
    assert [node.output[0] for node in relus] == ["y/stripe1#2", "y/stripe2"]


@pytest.mark.parametrize("opset", [9, 13])
def test_a_slice_has_the_form_of_the_operator_set(opset):
    model = model_of("(float[1,4,12,8] x) => (float y) { y = Relu(x) }", opset=opset)
    result = rewritten(model, stripes("y"), exactly=True)
    slices = [node for node in result.graph.node if node.op_type == "Slice"]
    assert [len(node.input) for node in slices] == [1 if opset == 9 else 4] * 3
    assert [each.version for each in result.opset_import] == [opset]


def test_equal_bounds_are_stored_once():
    draft = Draft(open_source(model_of("(float[1,4,12,8] x) => (float y) { y = Relu(x) }")))
    assert draft.integers(2) == draft.integers(2) == "index/2"
    assert len(draft.initializers) == 1
