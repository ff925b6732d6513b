from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vela_operators import NETWORKS, SmallTflite, one_operator

from npu_tune.errors import EvaluationError
from npu_tune.network import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.ethos_u.bound import (
    MapLife,
    OperatorCosts,
    OperatorMaps,
    least_cycles,
    least_memory,
)
from npu_tune.testing.configurations import some_configurations

COUNTS = st.integers(0, 50).map(float)
COSTS = st.builds(
    lambda least, more, transfer, excess: OperatorCosts(least, least + more, transfer, excess),
    COUNTS, COUNTS, COUNTS, st.integers(0, 5).map(float),
)  # fmt: skip


@given(st.lists(st.tuples(COSTS, COUNTS), max_size=6))
def test_no_cycles_that_operators_may_take_add_up_to_less(operators):
    bound = least_cycles(costs for costs, _ in operators)
    total = slack = 0.0
    for costs, more in operators:  # each slower than it must be by some cycles
        cycles = more + max(costs.least, min(costs.in_place, costs.transfer - slack))
        total, slack = total + cycles, cycles + costs.excess
    assert bound <= total


def test_weights_that_nothing_hides_are_read_in_place_or_waited_for():
    first = OperatorCosts(10.0)
    assert least_cycles([first, OperatorCosts(10.0, 100.0, 50.0)]) == 10 + 40
    assert least_cycles([first, OperatorCosts(10.0, 30.0, 50.0)]) == 10 + 30
    assert least_cycles([first, OperatorCosts(10.0, 100.0, 15.0)]) == 10 + 10


def chain(sizes, rolling):
    """Operators in a row, each of which may join the next one."""
    lives = [MapLife(size, index - 1, index) for index, size in enumerate(sizes)]
    count = len(sizes) - 1
    operators = [OperatorMaps(i, rolling, 0.0, i + 1 < count) for i in range(count)]
    return operators, lives


def test_a_cascade_needs_its_ends_as_a_whole():
    operators, lives = chain([10.0, 100.0, 100.0, 20.0], rolling=4.0)
    assert least_memory(operators, lives) == 10 + 4 + 4 + 20


def test_where_operators_cannot_be_joined_the_larger_pair_counts():
    operators, lives = chain([10.0, 100.0, 70.0, 20.0], rolling=4.0)
    apart = [OperatorMaps(o.ifm, o.rolling, 0.0, joins_next=False) for o in operators]
    assert least_memory(apart, lives) == 170


def test_an_operator_that_works_in_place_needs_one_map():
    operators, lives = chain([10.0, 10.0], rolling=0.0)
    assert least_memory([OperatorMaps(0, 0.0, 10.0, joins_next=False)], lives) == 10
    assert least_memory(operators, lives) == 20


def test_what_is_read_later_is_in_use_meanwhile():
    operators, lives = chain([10.0, 100.0, 10.0], rolling=1.0)
    assert least_memory(operators, [*lives, MapLife(5.0, 0, 7)]) == 10 + 1 + 10 + 5


def below(problem, configurations):
    """What evaluations fall below the bound."""
    bound = problem.bound().metrics
    found = []
    for configuration in configurations:
        try:
            metrics = problem.evaluate_some(configuration, ()).metrics
        except EvaluationError:
            continue
        found += [(n, metrics[n], least) for n, least in bound.items() if metrics[n] < least]
    return found


def everything(problem, count):
    """Vela's own front, plans, the C++ core's schedules and random configurations."""
    yield problem.space.default
    yield from (start.configuration for start in islice(problem.starts(), 25))
    yield from some_configurations(problem.space, count, seed=23)


def test_no_evaluation_falls_below_the_bound(narrow_problem):
    assert below(narrow_problem, everything(narrow_problem, 60)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "target", "count"),
    [
        ("st-mnist", "ethos-u55-128", 80),
        ("st-mnist", "ethos-u55-32", 30),
        ("ds-cnn", "ethos-u55-64", 30),
        ("resnet8", "ethos-u55-256", 30),
        ("mobilenet-v1-0.25-96", "ethos-u55-128", 10),
        ("ds-cnn", "ethos-u65-256", 20),
        ("resnet8", "ethos-u65-512", 20),
    ],
)
def test_no_evaluation_of_a_network_falls_below_the_bound(name, target, count):
    with load_target(target).bind(zoo_network(name, format="tflite")) as problem:
        assert below(problem, everything(problem, count)) == []


@pytest.mark.slow
@pytest.mark.parametrize("target", ["ethos-u55-128", "ethos-u65-512"])
def test_no_evaluation_of_any_operator_falls_below_the_bound(target):
    for name in NETWORKS:
        with load_target(target).bind(one_operator(name)) as problem:
            assert below(problem, some_configurations(problem.space, 4, seed=5)) == [], name


def test_the_bound_is_near_what_the_planned_starts_reach(resnet8_problem):
    bound = resnet8_problem.bound()
    starts = [start.configuration for start in resnet8_problem.starts()]
    rows = [resnet8_problem.evaluate_some(start, ()).metrics for start in starts]
    least = {name: min(row[name] for row in rows) for name in bound.metrics}
    assert least["sram_bytes"] == bound.metrics["sram_bytes"]
    assert least["full_cycles"] <= 1.1 * bound.metrics["full_cycles"]


def test_where_maps_may_be_in_slow_memory_no_sram_is_needed():
    with load_target("ethos-u65-256").bind(zoo_network("st-mnist", format="tflite")) as problem:
        bound = problem.bound()
    assert bound.metrics["sram_bytes"] == 0
    assert any("slow memory" in note for note in bound.notes)


def test_an_operator_on_the_cpu_needs_all_it_reads_and_writes():
    file = SmallTflite()
    file.tensor("in", (1, 16, 16, 8))
    file.convolution("in", "large", (1, 16, 16, 32), 8)
    file.tensor("floored", (1, 16, 16, 32))
    file.operator("FLOOR", ["large"], ["floored"])
    file.convolution("floored", "out", (1, 16, 16, 8), 32)
    network = file.network("floor", ["in"], ["out"])
    with load_target("ethos-u55-128", {"allow_cpu": True}).bind(network) as problem:
        assert problem.bound().metrics["sram_bytes"] == 2 * 16 * 16 * 32
        assert below(problem, everything(problem, 10)) == []


def test_asking_for_the_bound_changes_no_evaluation(resnet8_problem):
    configurations = some_configurations(resnet8_problem.space, 3, seed=2)
    before = [resnet8_problem.evaluate(c) for c in configurations]
    assert resnet8_problem.bound() == resnet8_problem.bound()
    after = [resnet8_problem.evaluate(c) for c in configurations]
    assert all(one == other for one, other in zip(before, after, strict=True))
