from __future__ import annotations

import numpy as np
import pytest
from rewritten import Weights, model_of, quantized

from npu_tune.errors import RewriteError
from npu_tune.network.quantize.runtimes import onnx_session
from npu_tune.network.rewrite import compare_models
from npu_tune.network.rewrite.compare import _random_feeds
from npu_tune.network.rewrite.source import open_source

BODY = "(float[1,4,8,8] x) => (float y, float z) {{ y = Conv(x, w) a = Mul(y, {k}) z = Relu(a) }}"


def network(factor=1.0, bias=0.0):
    given = {
        "k": np.float32(factor).reshape(()),
        "w": Weights(w=(4, 4, 3, 3))["w"] + np.float32(bias),
    }
    return model_of(BODY.format(k="k"), given)


def test_a_network_agrees_with_itself_bit_for_bit():
    agreement = compare_models(network(), network(), samples=3)
    assert agreement.identical
    assert agreement.to_dict() == {
        "least_decibels": 60.0,
        "samples": 3,
        "outputs": [{"output": name, "identical": True, "decibels": 200.0} for name in ("y", "z")],
    }
    assert str(agreement) == "every output is the same bit for bit on 3 random inputs"


def test_sums_in_another_order_are_told_by_their_decibels():
    agreement = compare_models(network(), network(1.0001))
    assert not agreement.identical
    assert agreement.worst.output == "z"
    assert agreement.worst.decibels == pytest.approx(80.0, abs=0.1)
    assert str(agreement).endswith("'y' bit for bit, 'z' to 80.0 dB")


def test_a_network_that_computes_something_else_is_refused():
    with pytest.raises(RewriteError, match=r"output 'z' to 40\.0 dB, and 60 dB") as error:
        compare_models(network(), network(1.01), name="net")
    assert error.value.exit_code == 3
    assert error.value.data["agreement"]["outputs"][0]["identical"]


def test_a_single_code_that_differs_is_found(tmp_path):
    body = "(float[1,4,8,8] x) => (float y) { r = Relu(x) y = Conv(r, w) }"
    source = quantized(model_of(body, w=(4, 4, 3, 3)), tmp_path)
    other = type(source)()
    other.CopyFrom(source)
    codes = next(t for t in other.graph.initializer if len(t.dims) == 4)
    codes.raw_data = bytes([codes.raw_data[0] ^ 4]) + codes.raw_data[1:]
    assert compare_models(source, source).identical
    with pytest.raises(RewriteError):
        compare_models(source, other)


def test_inputs_have_the_types_and_the_range_that_the_network_takes():
    model = model_of(
        "(float[1,500] f, int8[1,500] i, bool[1,500] b, int64[1,500] n, float[1,500] g)"
        " => (float y, float d, bool o, int64 m, float16 h)"
        " { q = QuantizeLinear(f, s, z) y = DequantizeLinear(q, s, z) d = DequantizeLinear(i, s)"
        " o = Not(b) m = Abs(n) h = Cast<to=10>(g) }",
        {"s": np.float32(0.5).reshape(()), "z": np.uint8(100).reshape(())},
    )
    (feed,) = _random_feeds(open_source(model), 1, 0)
    assert [feed[name].dtype.name for name in "fibng"] == [
        "float32", "int8", "bool", "int64", "float32",
    ]  # fmt: skip
    assert -50 <= feed["f"].min() < -45
    assert 72 < feed["f"].max() <= 77.5
    assert feed["i"].min() < -120
    assert feed["i"].max() > 120
    assert set(feed["n"].reshape(-1)) == {0, 1}
    assert -1 <= feed["g"].min() < -0.9
    assert compare_models(model, model).identical


def test_quantized_networks_run_in_integers(tmp_path):
    body = "(float[1,4,8,8] x) => (float y) { r = Relu(x) y = Conv(r, w) }"
    source = quantized(model_of(body, w=(4, 4, 3, 3)), tmp_path)
    feed = {"x": np.random.default_rng(0).normal(size=(1, 4, 8, 8)).astype(np.float32)}
    outputs = [
        onnx_session(source, optimized=optimized).run(None, feed)[0] for optimized in (True, False)
    ]
    np.testing.assert_allclose(*outputs, atol=0.2)


def test_the_same_seed_gives_the_same_inputs():
    source = open_source(network())
    one, two, other = (next(_random_feeds(source, 1, seed))["x"] for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
