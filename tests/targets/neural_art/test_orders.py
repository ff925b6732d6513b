"""Orders of operations, and the copies that bring inputs in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from small_graphs import chain, conv, graphs, image

from npu_tune.network.zoo import zoo_network
from npu_tune.targets.neural_art.graph import Operation, OperationGraph, OperationKind, graph_of
from npu_tune.targets.neural_art.orders import FILE_ORDER, MEMORY_ORDER, in_order, with_loads


def live_peak(graph: OperationGraph) -> int:
    """Most bytes in use at a time when every operation is an epoch."""
    last = {
        name: len(graph.operations) if name in graph.outputs else max(readers, default=-1)
        for name, readers in graph.readers.items()
    }
    living, peak = set(graph.inputs), 0
    for position, operation in enumerate(graph.operations):
        living.update(operation.outputs)
        peak = max(peak, sum(graph.maps[name].size_bytes for name in living))
        living = {name for name in living if last[name] > position}
    return peak


def branches(*wide: int) -> OperationGraph:
    """Layers side by side on one input, each narrowed to few channels, then brought together."""
    source = image(4, 8)
    first, last, maps, narrow = [], [], [source], []
    for number, kernels in enumerate(wide):
        widening, middle = conv(f"wide{number}", source, kernels)
        narrowing, end = conv(f"narrow{number}", middle, 2)
        first.append(widening)
        last.append(narrowing)
        maps += [middle, end]
        narrow.append(end)
    joined = replace(narrow[0], name="joined", channels=2 * len(wide))
    concat = Operation(
        "join", "Concat", OperationKind.COPY, tuple(m.name for m in narrow), "joined"
    )
    return OperationGraph(
        "branches",
        (*first, *last, concat),
        {m.name: m for m in (*maps, joined)},
        ("in",),
        ("joined",),
    )


@given(graphs())
@settings(max_examples=100, deadline=None)
def test_an_order_runs_every_operation_once_and_behind_what_it_reads(graph):
    ordered = in_order(graph, MEMORY_ORDER)
    assert sorted(op.name for op in ordered.operations) == sorted(
        op.name for op in graph.operations
    )
    written = set(graph.inputs)
    for operation in ordered.operations:
        assert written.issuperset(operation.inputs)
        written.update(operation.outputs)


@given(graphs())
@settings(max_examples=30, deadline=None)
def test_an_order_that_is_there_already_is_kept(graph):
    assert in_order(graph, FILE_ORDER) is graph
    once = in_order(graph, MEMORY_ORDER)
    assert in_order(once, MEMORY_ORDER).operations == once.operations


def test_branches_are_computed_one_after_the_other():
    graph = branches(32, 32, 32)
    ordered = in_order(graph, MEMORY_ORDER)
    assert live_peak(ordered) < live_peak(graph)
    names = [operation.name for operation in ordered.operations]
    assert names[:4] == ["wide0", "narrow0", "wide1", "narrow1"]


@pytest.mark.parametrize("name", ["resnet8", "resnet32", "yolo-tiny", "squeezenet-128"])
def test_the_memory_order_of_a_built_in_network_needs_no_more_than_the_files(name):
    graph = with_loads(graph_of(zoo_network(name)))
    assert live_peak(in_order(graph, MEMORY_ORDER)) <= live_peak(graph)


def test_a_chain_has_one_order():
    graph = chain(image(3, 8), {"kernels": 8}, {"kernels": 2}, {"kernels": 9})
    assert in_order(graph, MEMORY_ORDER).operations == graph.operations


def test_images_are_brought_into_the_accelerators_order_first():
    graph = with_loads(chain(image(3, 8), {"kernels": 8}))
    load, layer = graph.operations
    assert (load.name, load.kind, load.inputs) == ("in/load", OperationKind.COPY, ("in",))
    assert layer.inputs == (load.output,)
    assert graph.maps[load.output].size_bytes == graph.maps["in"].size_bytes
    assert graph.inputs == ("in",)


@pytest.mark.parametrize("source", [image(1, 28), image(40, 1)], ids=["gray", "vector"])
def test_gray_images_and_vectors_are_in_order_already(source):
    graph = chain(source, {"kernels": 8})
    assert with_loads(graph).operations == graph.operations


def test_names_that_are_taken_are_not_given_again():
    graph = chain(image(3, 8), {"kernels": 8})
    (layer,) = graph.operations
    taken = replace(graph, operations=(replace(layer, name="in/load"),))
    names = [operation.name for operation in with_loads(taken).operations]
    assert names == ["in/load#2", "in/load"]
