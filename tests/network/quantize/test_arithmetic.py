from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from npu_tune.network.quantize.arithmetic import (
    Parameters,
    bias_parameters,
    dequantize,
    parameters_for,
    quantize,
    quantize_bias,
    weight_parameters,
)

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@given(finite, finite)
def test_every_value_in_range_comes_back_within_one_step(low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    parameters = parameters_for(low, high)
    values = np.linspace(low, high, 100)

    error = np.abs(dequantize(quantize(values, parameters), parameters) - values)

    # Half a step of rounding and half a step by which the zero point moves the range; float32
    # adds its own rounding.
    assert error.max() <= parameters.scales[0] * 1.01 + 1e-6 * max(abs(low), abs(high))


@given(finite, finite)
def test_zero_has_an_exact_code(low: float, high: float) -> None:
    parameters = parameters_for(min(low, high), max(low, high))
    assert -128 <= parameters.zero_point <= 127
    assert dequantize(quantize(np.zeros(1), parameters), parameters)[0] == 0.0


@given(st.floats(-1e30, 1e30))
def test_what_is_out_of_range_saturates(value: float) -> None:
    parameters = parameters_for(-1.0, 1.0)
    code = int(quantize(np.asarray([value]), parameters)[0])
    if value > 1.01:
        assert code == 127
    if value < -1.01:
        assert code == -128


@given(
    npst.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=finite),
    st.integers(0, 1),
)
def test_weights_come_back_within_half_a_step_of_their_channel(
    weights: np.ndarray, axis: int
) -> None:
    parameters = weight_parameters(weights, axis=axis)
    codes = quantize(weights, parameters)

    assert len(parameters.scales) == weights.shape[axis]
    assert np.abs(codes.astype(int)).max() <= 127
    steps = np.asarray(parameters.scales).reshape([-1, 1] if axis == 0 else [1, -1])
    error = np.abs(dequantize(codes, parameters).astype(np.float64) - weights)
    assert np.all(error <= 0.501 * steps + 1e-6 * np.abs(weights))


@given(
    npst.arrays(np.float32, (3, 4), elements=st.floats(-0.0009765625, 0.0009765625, width=32)),
    npst.arrays(np.float32, 3, elements=finite),
    st.floats(1e-4, 1.0),
)
def test_biases_fit_32_bits_even_beside_tiny_weights(
    weights: np.ndarray, bias: np.ndarray, input_scale: float
) -> None:
    for_weights = weight_parameters(weights, axis=0, bias=bias, input_scale=input_scale)
    for_bias = bias_parameters(Parameters((input_scale,)), for_weights)
    codes = quantize_bias(bias, for_bias)

    assert np.abs(codes.astype(np.int64)).max() <= 2**30 * 1.001
    steps = np.asarray(for_bias.scales)
    assert np.all(np.abs(codes * steps - bias) <= 0.51 * steps + 1e-6 * np.abs(bias))
