"""The vendor compiler's own estimates of one network against the model's."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_graphs import STM32N6

from npu_tune.targets.neural_art.validation import epoch_graph, estimate_epoch, reported_epochs

TABLE = (
    Path(__file__).resolve().parents[3]
    / "studies/neural-art/data/compiler_epochs_core3_mobilenetv2.csv"
)


@pytest.fixture(scope="module")
def epochs():
    return reported_epochs(TABLE)


def share_within(pairs, tolerance: float) -> float:
    found = [abs(ours - theirs) <= tolerance * theirs for ours, theirs in pairs]
    return sum(found) / len(found)


def test_every_hardware_epoch_of_the_report_is_read(epochs):
    assert len(epochs) == 55
    assert [epoch.number for epoch in epochs] == list(range(1, 56))


def test_compute_cycles_of_every_epoch_are_within_a_tenth(epochs):
    pairs = [(estimate_epoch(e, STM32N6).compute_cycles, e.compute_cycles) for e in epochs]
    assert share_within([p for p in pairs if p[1]], 0.1) == 1.0
    assert all(ours == 0 for ours, theirs in pairs if not theirs)


def test_cycles_of_nine_epochs_in_ten_are_within_a_tenth(epochs):
    pairs = [(estimate_epoch(e, STM32N6).max_cycles, e.max_cycles) for e in epochs]
    assert share_within(pairs, 0.1) >= 0.9


def test_the_whole_network_is_estimated_within_two_percent(epochs):
    ours = sum(estimate_epoch(e, STM32N6).max_cycles for e in epochs)
    assert ours == pytest.approx(sum(e.max_cycles for e in epochs), rel=0.02)


def test_the_reported_number_of_accelerators_is_used(epochs):
    assert all(estimate_epoch(e, STM32N6).accelerators == e.accelerators for e in epochs)


def test_the_default_number_of_accelerators_is_the_vendors_for_four_epochs_in_five(epochs):
    pairs = [(estimate_epoch(e, STM32N6).default_accelerators, e.accelerators) for e in epochs]
    assert sum(ours == theirs for ours, theirs in pairs) >= 0.8 * len(pairs)


def test_fewer_accelerators_are_estimated_where_they_are_asked_for(epochs):
    deep = next(e for e in epochs if e.accelerators == 4 and e.weights[1] >= 96)
    one = estimate_epoch(deep, STM32N6, accelerators=1)
    assert one.accelerators == 1
    assert one.compute_cycles >= estimate_epoch(deep, STM32N6).compute_cycles


def test_an_epoch_is_described_by_its_shapes_alone(epochs):
    by_number = {epoch.number: epoch for epoch in epochs}
    depthwise = epoch_graph(by_number[6]).operations[0]
    assert (depthwise.groups, depthwise.stride, depthwise.kernel) == (48, (2, 2), (3, 3))
    assert depthwise.weights.elements == 48 * 9
    assert [op.op for op in epoch_graph(by_number[10]).operations] == ["Conv", "Add"]
    assert [op.op for op in epoch_graph(by_number[54]).operations] == ["AveragePool"]
