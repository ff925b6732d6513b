"""Which operations form epochs and which segments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_graphs import DIMC, SETTINGS, STM32N6, chain, choices, graphs, image, run

from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED, cost_rule
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.graph import OperationGraph, OperationKind

DEEP = Choice(depth_first=True, stripes=4)
PLAIN = Choice()
LONG = chain(image(8, 16), *[{"kernels": 8}] * 6)


def groups(graph: OperationGraph, chosen, *, hardware=STM32N6) -> list[tuple[int, int]]:
    """First and last position of every epoch, segments among them."""
    return [(s.epoch.first, s.epoch.last) for s in run(graph, chosen, hardware=hardware).steps]


def epochs(graph: OperationGraph, chosen, *, hardware=STM32N6):
    return [step.epoch for step in run(graph, chosen, hardware=hardware).steps]


def test_operations_go_on_until_one_does_not():
    chosen = [PLAIN, DEEP, DEEP, PLAIN, DEEP, PLAIN]
    assert groups(LONG, chosen) == [(0, 0), (1, 3), (4, 5)]


def test_the_last_operation_has_none_to_go_on_to():
    assert groups(LONG, [*[PLAIN] * 4, DEEP, DEEP]) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 5)]


def test_a_segment_ends_early_where_a_map_is_read_behind_it():
    last = replace(LONG.operations[5], kind=OperationKind.ARITHMETIC, inputs=("e.out", "b.out"))
    graph = replace(LONG, operations=(*LONG.operations[:5], last))
    # Behind b nothing may be kept from the end, and c starts anew.
    assert groups(graph, [DEEP, DEEP, DEEP, DEEP, PLAIN, PLAIN]) == [(0, 1), (2, 4), (5, 5)]
    assert groups(graph, [DEEP] * 6) == [(0, 5)]


def test_an_operation_that_cannot_be_cut_parts_segments():
    third = replace(LONG.operations[2], kind=OperationKind.COPY, op="Transpose")
    graph = replace(LONG, operations=(*LONG.operations[:2], third, *LONG.operations[3:]))
    assert groups(graph, [DEEP] * 6) == [(0, 1), (2, 2), (3, 5)]


def test_a_layer_in_memory_tiles_parts_segments():
    chosen = [DEEP, DEEP, DEEP._replace(unit="dimc"), DEEP, DEEP, PLAIN]
    assert groups(LONG, chosen, hardware=DIMC) == [(0, 1), (2, 2), (3, 5)]


def test_a_segment_before_an_operation_ends_its_chain():
    chosen = [PLAIN._replace(chain=True), PLAIN._replace(chain=True), DEEP, PLAIN, PLAIN, PLAIN]
    assert groups(LONG, chosen) == [(0, 1), (2, 3), (4, 4), (5, 5)]


@pytest.mark.parametrize(("asked", "rows", "got"), [(2, 16, 2), (16, 16, 16), (32, 16, 16),
                                                    (8, 7, 4), (4, 3, 2)])  # fmt: skip
def test_there_are_no_more_stripes_than_rows_and_their_number_is_a_power_of_two(asked, rows, got):
    graph = chain(image(8, rows), {"kernels": 8}, {"kernels": 8})
    (epoch,) = epochs(graph, DEEP._replace(stripes=asked))
    assert epoch.segment.stripes == got
    assert epoch.choices[0].stripes == got


def test_the_first_operation_says_how_a_segment_is_cut():
    chosen = [DEEP._replace(stripes=8, halo="recompute"), *[DEEP._replace(stripes=2)] * 5]
    (epoch,) = epochs(LONG, chosen)
    assert (epoch.segment.stripes, epoch.segment.halo) == (8, "recompute")
    assert {choice.stripes for choice in epoch.choices[1:]} == {2}
    assert [choice.depth_first for choice in epoch.choices] == [*[True] * 5, False]


def test_operations_of_a_segment_are_not_cut_into_parts():
    (epoch,) = epochs(LONG, DEEP._replace(parts=4, parts_over="stripes"))
    assert {choice.parts for choice in epoch.choices} == {1}
    assert {demand.parts for demand in epoch.demands} == {4}


def test_no_more_accelerators_share_the_rows_of_a_stripe_than_it_has():
    graph = chain(image(8, 8), {"kernels": 8}, {"kernels": 8})
    shared = DEEP._replace(accelerators=4, parallel_over="stripes")
    (epoch,) = epochs(graph, shared)
    assert [choice.accelerators for choice in epoch.choices] == [2, 2]
    (epoch,) = epochs(graph, shared._replace(stripes=8))
    assert {(c.accelerators, c.parallel_over) for c in epoch.choices} == {(1, "input_channels")}


@given(graphs(), st.data())
@settings(max_examples=80, deadline=None)
def test_effective_choices_make_the_same_epochs(graph, data):
    scheduler = Scheduler(graph, STM32N6, cost_rule(CALIBRATED, STM32N6), SETTINGS)
    chosen = [data.draw(choices)._replace(unit="accelerator") for _ in graph.operations]
    made = scheduler.plan(scheduler.resolve(chosen)).epochs
    joined = {p for e in made for m in e.members for p in range(m.first, m.last)}
    effective = [
        choice._replace(chain=epoch.first + index in joined)
        if epoch.segment
        else choice._replace(chain=epoch.first + index in joined, depth_first=False)
        for epoch in made
        for index, choice in enumerate(epoch.choices)
    ]
    again = scheduler.plan(scheduler.resolve(effective)).epochs
    assert [(e.first, e.last, e.total) for e in again] == [
        (e.first, e.last, e.total) for e in made
    ]


def test_the_same_choices_give_the_same_epochs():
    scheduler = Scheduler(LONG, STM32N6, cost_rule(CALIBRATED, STM32N6), SETTINGS)
    chosen = [DEEP, DEEP, PLAIN._replace(chain=True), PLAIN, PLAIN._replace(chain=True), PLAIN]
    first, second = (scheduler.plan(scheduler.resolve(chosen)).epochs for _ in range(2))
    assert all(one is other for one, other in zip(first, second, strict=True))
