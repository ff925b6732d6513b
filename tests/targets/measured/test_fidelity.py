from __future__ import annotations

import math

import numpy as np
import pytest
from measured_cases import feeds_of, graph_of, separable_network
from small_networks import network_of
from two_runtimes import onnx_model, onnx_network

from npu_tune.errors import InaccurateOutputError, ModelError, NpuTuneWarning, TargetError
from npu_tune.targets.measured.data import LabelledData
from npu_tune.targets.measured.fidelity import (
    MOST_DB,
    Fidelity,
    make_fidelity,
    signal_to_noise_db,
)


def decibels(reference, outputs, *softmax_axes):
    return signal_to_noise_db(
        [[np.asarray(value, np.float32) for value in each] for each in reference],
        [[np.asarray(value, np.float32) for value in each] for each in outputs],
        softmax_axes=softmax_axes or [None] * len(reference[0]),
    )


def fidelity_of(reference, *, labelled=None, compared=1):
    return Fidelity(
        feeds=({},) * len(reference),
        reference=tuple(tuple(np.asarray(v, np.float32) for v in each) for each in reference),
        softmax_axes=(None,) * len(reference[0]),
        compared=compared,
        labelled=labelled,
    )


def test_a_tenth_of_noise_is_twenty_decibels():
    assert decibels([[[3.0, 4.0]]], [[[3.3, 4.4]]]) == pytest.approx(20.0, abs=1e-4)


def test_squares_are_summed_over_all_inputs():
    # 25 + 0 of signal, 0.25 + 0 of noise: the silent input is no output of its own.
    found = decibels([[[3.0, 4.0]], [[0.0, 0.0]]], [[[3.3, 4.4]], [[0.0, 0.0]]])
    assert found == pytest.approx(20.0, abs=1e-4)


def test_the_worst_output_counts():
    assert decibels([[[1.0], [1.0]]], [[[1.01], [1.1]]]) == pytest.approx(20.0, abs=1e-3)
    assert decibels([[[1.0], [1.0]]], [[[1.1], [1.01]]]) == pytest.approx(20.0, abs=1e-3)


def test_equal_outputs_have_the_decibels_of_float32():
    assert decibels([[[1.0, -2.0]]], [[[1.0, -2.0]]]) == MOST_DB
    assert decibels([[[1e20, 1.0]]], [[[1e20, 1.0 + 1e-6]]]) == MOST_DB


def test_noise_without_a_signal_is_as_bad_as_can_be():
    assert decibels([[[0.0, 0.0]]], [[[0.0, 1e-9]]]) == -MOST_DB
    assert decibels([[[0.0, 0.0]]], [[[0.0, 0.0]]]) == MOST_DB


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_no_number_in_any_output_is_no_number(value, place):
    seen = [[1.0], [1.0]]
    seen[place] = [value]
    assert math.isnan(decibels([[[1.0], [1.0]]], [seen]))


def test_a_softmax_is_compared_by_what_it_was_given():
    logits, noisy = np.array([[4.0, -2.0, -2.0]]), np.array([[4.4, -2.2, -2.2]])
    found = decibels([[softmax(logits)]], [[softmax(noisy)]], -1)
    assert found == pytest.approx(decibels([[logits]], [[noisy]]), abs=1e-3)
    # By themselves the probabilities would seem much better, as the network is sure.
    assert decibels([[softmax(logits)]], [[softmax(noisy)]]) > found + 10


def test_every_row_of_a_softmax_has_a_mean_of_its_own():
    logits = np.array([[4.0, -2.0, -2.0], [0.1, -0.1, 0.0]])
    noisy = logits * 1.1
    found = decibels([[softmax(logits)]], [[softmax(noisy)]], -1)
    assert found == pytest.approx(20.0, abs=1e-3)


def test_a_probability_of_zero_is_no_infinite_noise():
    found = decibels([[[[1.0, 0.0]]]], [[[[1.0, 0.0]]]], -1)
    assert found == MOST_DB
    assert math.isfinite(decibels([[[[1.0, 0.0]]]], [[[[0.5, 0.5]]]], -1))


def test_an_output_that_is_no_number_is_inaccurate():
    with pytest.raises(InaccurateOutputError, match="not a number"):
        fidelity_of([[[[1.0]]]]).judge([[np.array([[np.nan]])]])


def test_more_noise_than_signal_is_inaccurate_and_says_how_much():
    with pytest.raises(InaccurateOutputError, match=r"-6\.0 dB") as caught:
        fidelity_of([[[[1.0]]]]).judge([[np.array([[3.0]])]])
    assert caught.value.data["snr_db"] == pytest.approx(-6.02, abs=0.01)


def test_an_output_of_another_shape_is_inaccurate():
    with pytest.raises(InaccurateOutputError, match=r"\(1, 2\).*\(1, 1\)"):
        fidelity_of([[[[1.0]]]]).judge([[np.zeros((1, 2))]])


def test_accuracy_is_that_of_the_labelled_inputs_alone():
    labelled = LabelledData({}, np.array([0, 1, 1]))
    sure = [[[[1.0, 0.0]]], [[[0.0, 1.0]]], [[[0.0, 1.0]]], [[[0.0, 1.0]]]]
    fidelity = fidelity_of(sure, labelled=labelled)
    outputs = [[np.array(each[0])] for each in sure]
    found = fidelity.judge(outputs)
    # The first one is compared; of the other three the float network has one wrong.
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["accuracy_drop"] == 0.0
    outputs[2] = [np.array([[0.9, 0.1]])]
    found = fidelity.judge(outputs)
    assert found["accuracy"] == pytest.approx(1 / 3)
    assert found["accuracy_drop"] == pytest.approx(1 / 3)


def test_a_labelled_output_that_is_no_number_is_inaccurate():
    labelled = LabelledData({}, np.array([0]))
    fidelity = fidelity_of([[[[1.0, 0.0]]], [[[1.0, 0.0]]]], labelled=labelled)
    with pytest.raises(InaccurateOutputError, match="not a number"):
        fidelity.judge([[np.array([[1.0, 0.0]])], [np.array([[np.nan, 0.0]])]])


def test_a_network_is_as_accurate_as_itself():
    network = separable_network()
    graph = graph_of(network).graph
    feeds = tuple(feeds_of(graph))
    fidelity = make_fidelity(network, graph, feeds, None)
    assert fidelity.judge(fidelity.reference) == {"snr_db": MOST_DB}


def test_a_softmax_at_the_end_is_found():
    network = network_of("m = MatMul(x, w) y = Softmax(m)", {"w": (4, 3)}, inputs="float[1,4] x")
    graph = graph_of(network).graph
    fidelity = make_fidelity(network, graph, tuple(feeds_of(graph)), None)
    assert fidelity.softmax_axes == (-1,)


def test_outputs_that_are_not_finite_are_a_fault_of_network_or_data():
    network = network_of("m = MatMul(x, w) y = Log(m)", {"w": (4, 3)}, inputs="float[1,4] x")
    graph = graph_of(network).graph
    with pytest.raises(ModelError, match="finite") as caught:
        make_fidelity(network, graph, tuple(feeds_of(graph, 8)), None)
    assert "--calibration" in caught.value.remedy


def test_labelled_samples_must_fit_the_network():
    network = separable_network()
    graph = graph_of(network).graph
    labelled = LabelledData({"x": np.zeros((2, 3, 8, 8), np.float32)}, np.array([0, 1]))
    with pytest.raises(ModelError, match="shape"):
        make_fidelity(network, graph, tuple(feeds_of(graph)), labelled)


def test_an_accuracy_of_ones_own_that_fails_does_so_before_anything_is_measured():
    def failing(outputs, labels):
        raise ValueError(f"no use for {outputs.shape}")

    network = separable_network()
    graph = graph_of(network).graph
    inputs = {"x": np.zeros((2, 3, 16, 16), np.float32)}
    labelled = LabelledData(inputs, np.array([0, 1]), failing, "mine:failing")
    with pytest.raises(TargetError, match=r"no use for \(2, 5\)"):
        make_fidelity(network, graph, tuple(feeds_of(graph)), labelled)


def test_labels_beyond_the_classes_of_the_network_are_refused():
    network = separable_network()
    graph = graph_of(network).graph
    labelled = LabelledData({"x": np.zeros((2, 3, 16, 16), np.float32)}, np.array([0, 5]))
    with pytest.raises(ModelError, match=r"5.*classes"):
        make_fidelity(network, graph, tuple(feeds_of(graph)), labelled)


def softmax(value):
    powers = np.exp(value - value.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_outputs_that_do_not_depend_on_the_input_are_warned_of():
    network = onnx_network(
        onnx_model(
            "(float[1,4] x) => (float y) { z = Sub(x, x) y = Add(z, w) }",
            {"w": np.ones((1, 4), np.float32)},
        )
    )
    graph = graph_of(network).graph
    with pytest.warns(NpuTuneWarning, match="whatever the input"):
        make_fidelity(network, graph, tuple(feeds_of(graph)), None)


def test_outputs_of_a_single_input_are_not_called_alike(recwarn):
    network = separable_network()
    graph = graph_of(network).graph
    make_fidelity(network, graph, tuple(feeds_of(graph, 1)), None)
    make_fidelity(network, graph, tuple(feeds_of(graph, 3)), None)
    assert not recwarn
