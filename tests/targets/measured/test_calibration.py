from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_cases import feeds_of, graph_of, separable_network
from small_networks import network_of

from npu_tune.targets.measured.calibration import (
    LEVELS,
    METHODS,
    Histogram,
    observe_histograms,
)

BINS = 2048


def histogram_of(values) -> Histogram:
    """What is seen of a tensor with some values."""
    value = np.asarray(values, np.float32).reshape(1, -1)
    network = network_of("y = Identity(x)", {}, inputs=f"float[1,{value.size}] x")
    return observe_histograms(graph_of(network).graph, ["x", "y"], [{"x": value}])["x"]


def squared_error(histogram: Histogram, low: float, high: float) -> float:
    """Of values at the centres of the bins, rounded to a range's codes."""
    width = (histogram.high - histogram.low) / BINS
    centres = histogram.low + width * (np.arange(BINS) + 0.5)
    cut = np.clip(centres, low, high)
    step = (high - low) / (LEVELS - 1)
    counts = histogram.counts
    return float(((cut - centres) ** 2 * counts).sum() + step**2 / 12 * counts.sum())


NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32)


@given(st.lists(NUMBERS, min_size=1, max_size=40), st.sampled_from(METHODS))
@settings(max_examples=80, deadline=None)
def test_a_range_holds_zero_and_nothing_that_was_not_seen(values, method):
    low, high = histogram_of(values).range(method)
    seen = np.asarray(values, np.float32)
    assert low <= 0.0 <= high
    assert low >= min(float(seen.min()), 0.0)
    assert high <= max(float(seen.max()), 0.0)


@given(st.lists(NUMBERS, min_size=2, max_size=40))
@settings(max_examples=80, deadline=None)
def test_the_least_error_is_never_greater_than_that_of_the_whole_range(values):
    histogram = histogram_of(values)
    least = squared_error(histogram, *histogram.range("mse"))
    assert least <= squared_error(histogram, *histogram.range("minmax")) * (1 + 1e-9)


def test_the_whole_range_is_what_was_seen():
    assert histogram_of([-1.0, 0.5, 3.0]).range("minmax") == (-1.0, 3.0)


def test_a_percentile_leaves_out_the_furthest_from_zero():
    values = np.concatenate([np.linspace(-1.0, 1.0, 99_990), np.full(10, 20.0)])
    histogram = histogram_of(values)
    assert histogram.range("minmax") == (-1.0, 20.0)
    # Ten of a hundred thousand are the furthest of ten thousand.
    low, high = histogram.range("p99.99")
    assert low == -1.0
    assert high == pytest.approx(1.0, abs=2 * 21 / BINS)
    low, high = histogram.range("p99.9")
    # A hundred are left out: ten at 20, ninety of the others that are beyond 0.9991 from zero.
    assert high == pytest.approx(1.0, abs=2 * 21 / BINS)


def test_a_rare_outlier_is_cut_where_that_loses_less():
    counts = np.zeros(BINS, np.int64)
    counts[: BINS // 10] = 100_000
    counts[-1] = 1
    low, high = Histogram(-1.0, 19.0, counts).range("mse")
    # The other end, up to which values are common, stays.
    assert low == pytest.approx(-1.0, abs=0.05)
    assert high < 5.0
    common = histogram_of(np.linspace(-1.0, 1.0, 1000))
    assert common.range("mse") == pytest.approx((-1.0, 1.0), abs=0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("value", "expected"), [(3.0, (0.0, 3.0)), (-3.0, (-3.0, 0.0)), (0.0, (0.0, 0.0))]
)
def test_a_constant_tensor_has_its_value_and_zero(method, value, expected):
    assert histogram_of([value] * 10).range(method) == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_below_zero_ends_at_zero(method):
    low, high = histogram_of(np.linspace(-5.0, -4.0, 1000)).range(method)
    assert high == 0.0
    assert -5.0 <= low <= -4.0


@pytest.mark.parametrize(
    "values", [[1e-45, 0.0], [3e38, -3e38], [1e-38, 2e-38], [1.0, np.nextafter(1, 2)]]
)
@pytest.mark.parametrize("method", METHODS)
def test_the_smallest_and_the_largest_numbers_have_ranges(values, method):
    low, high = histogram_of(values).range(method)
    assert low <= 0.0 <= high
    assert np.isfinite([low, high]).all()


def test_every_value_is_counted_once_over_all_inputs():
    network = separable_network()
    graph = graph_of(network).graph
    feeds = feeds_of(graph, 3)
    names = ["x", "r1", "y", "r1"]
    found = observe_histograms(graph, names, iter(feeds))
    assert set(found) == {"x", "r1", "y"}
    for name, histogram in found.items():
        assert histogram.counts.sum() == 3 * graph.size(name)
    assert found["r1"].low == 0.0
    assert found["x"].low == min(float(feed["x"].min()) for feed in feeds)


def test_values_that_are_not_finite_belong_to_no_range():
    histogram = histogram_of([-np.inf, -1.0, 2.0, np.inf, np.nan])
    assert histogram.range("minmax") == (-1.0, 2.0)
    assert histogram.counts.sum() == 2
    assert histogram_of([np.nan, np.inf]).range("mse") == (0.0, 0.0)


def test_values_are_counted_where_they_are():
    histogram = histogram_of([0.0, 0.0, 1.0, 4.0])
    assert histogram.counts[0] == 2
    assert histogram.counts[BINS // 4] == 1
    assert histogram.counts[-1] == 1


def test_a_network_that_draws_random_numbers_has_ranges():
    network = network_of(
        "r = RandomNormalLike(x) a = Add(x, r) y = Mul(a, a)", {}, inputs="float[1,64] x"
    )
    graph = graph_of(network).graph
    found = observe_histograms(graph, ["a"], feeds_of(graph, 4))
    assert found["a"].counts.sum() == 4 * 64
