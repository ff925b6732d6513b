from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_cases import graph_of
from small_networks import network_of
from two_runtimes import onnx_model, onnx_network

from npu_tune.targets.cpu_onnxruntime.quantizing import (
    Affine,
    QuantizedWeights,
    quantize_weights,
)

SIZES = st.floats(0.0, 2.0**60, width=32)


@given(SIZES, SIZES, st.floats(0.0, 1.0))
@settings(max_examples=300, deadline=None)
def test_what_is_within_a_range_comes_back_within_half_a_step(below, above, share):
    affine = Affine.of(-below, above)
    assert 0 <= affine.zero <= 255
    scale = float(affine.scale)
    assert scale > 0
    value = -below + share * (below + above)
    code = np.clip(np.round(value / scale) + affine.zero, 0, 255)
    # The zero point is rounded too, which moves the ends by half a step at most.
    assert abs((code - affine.zero) * scale - value) <= scale * (1 + 1e-3)
    # Zero itself is exact.
    assert (np.round(0.0 / scale) + affine.zero - affine.zero) * scale == 0.0


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero"),
    [
        (0.0, 255.0, 1.0, 0),
        (-255.0, 0.0, 1.0, 255),
        (-1.0, 1.0, 2 / 255, 127),
        (0.0, 0.0, None, 0),
    ],
)
def test_codes_of_a_range_are_as_calculated_by_hand(low, high, scale, zero):
    affine = Affine.of(low, high)
    assert affine.zero == zero
    assert affine.scale > 0
    if scale is not None:
        assert affine.scale == np.float32(scale)


def weights_of(network) -> tuple[QuantizedWeights, np.ndarray]:
    graph = graph_of(network)
    (layer,) = graph.layers
    return quantize_weights(graph.graph, layer), graph.graph.constants[layer.node.inputs[1]]


@pytest.mark.parametrize(
    ("nodes", "weights", "inputs", "axis"),
    [
        ("y = Conv(x, w)", {"w": (6, 4, 3, 3)}, "float[1,4,6,6] x", 0),
        ("y = Conv<group=4>(x, w)", {"w": (4, 1, 3, 3)}, "float[1,4,6,6] x", 0),
        ("y = Conv(x, w)", {"w": (6, 4, 3)}, "float[1,4,6] x", 0),
        ("y = Gemm(x, w)", {"w": (4, 6)}, "float[1,4] x", 1),
        ("y = Gemm<transB=1>(x, w)", {"w": (6, 4)}, "float[1,4] x", 0),
        ("y = MatMul(x, w)", {"w": (4, 6)}, "float[1,4] x", 1),
    ],
)
def test_weights_come_back_within_half_a_step_of_their_channel(nodes, weights, inputs, axis):
    found, real = weights_of(network_of(nodes, weights, inputs=inputs))
    assert found.axis == axis
    assert found.scales.shape == (real.shape[axis],)
    along = [1] * real.ndim
    along[axis] = -1
    scales = found.scales.reshape(along)
    assert np.all(np.abs(found.codes * scales - real) <= scales * 0.5001)
    # Every channel uses all of its codes.
    others = tuple(a for a in range(real.ndim) if a != axis)
    assert np.all(np.abs(found.codes).max(axis=others) == 127)


def test_a_channel_of_zeros_stays_zero():
    weights = np.ones((2, 3), np.float32)
    weights[1] = 0.0
    network = onnx_network(
        onnx_model("(float[1,3] x) => (float y) { y = Gemm<transB=1>(x, w) }", {"w": weights})
    )
    found, _ = weights_of(network)
    assert np.array_equal(found.codes, [[127] * 3, [0] * 3])
    assert np.all(found.scales > 0)


def made(bias, scale=1.0) -> QuantizedWeights:
    count = len(bias)
    return QuantizedWeights(
        codes=np.full((count, 4), 100, np.int8),
        scales=np.full(count, scale, np.float32),
        axis=0,
        bias=np.array(bias, np.float32),
    )


def test_a_bias_is_in_steps_of_input_times_weights():
    assert made([1.0, -3.0], 0.5).integer_bias(np.float32(0.25)).tolist() == [8, -24]


def test_a_bias_that_fits_leaves_the_weights_alone():
    weights = made([1.0, -3.0])
    assert weights.fit_bias(np.float32(1e-3)) is weights


def test_a_bias_beyond_int32_raises_the_scale_of_its_channel_alone():
    weights = made([4.0, 1e-3], scale=1e-6)
    fitted = weights.fit_bias(np.float32(1e-3))
    assert fitted.scales[0] > weights.scales[0]
    assert fitted.scales[1] == weights.scales[1]
    assert np.all(fitted.codes[1] == weights.codes[1])
    expected = weights.codes[0] * float(weights.scales[0])
    assert np.allclose(fitted.codes[0] * fitted.scales[0], expected, atol=fitted.scales[0] / 2)
    assert fitted.integer_bias(np.float32(1e-3))[0] == pytest.approx(2**30, rel=1e-3)


@given(
    st.lists(st.floats(-(2.0**40), 2.0**40, width=32), min_size=1, max_size=8),
    st.floats(2.0**-60, 1.0, width=32),
    st.floats(2.0**-40, 1.0, width=32),
)
@settings(max_examples=200, deadline=None)
def test_every_bias_comes_back_after_it_was_fitted(bias, weight_scale, input_scale):
    step = np.float32(input_scale)
    fitted = made(bias, weight_scale).fit_bias(step)
    steps = fitted.scales.astype(np.float64) * float(step)
    back = fitted.integer_bias(step) * steps
    assert np.all(np.abs(back - fitted.bias) <= steps * 0.5 + np.abs(fitted.bias) * 1e-6)


def test_a_layer_without_a_bias_has_none():
    found, _ = weights_of(network_of("y = MatMul(x, w)", {"w": (4, 6)}, inputs="float[1,4] x"))
    assert found.bias is None
    assert found.fit_bias(np.float32(1e-9)) is found
    with pytest.raises(ValueError, match="no bias"):
        found.integer_bias(np.float32(1.0))
