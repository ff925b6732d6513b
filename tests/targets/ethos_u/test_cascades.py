"""Planned cascades, against every possible division and against the compiler."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_operators import chain

from npu_tune.targets.ethos_u.cascades import CascadePlanner
from npu_tune.targets.ethos_u.starts import elsewhere_bytes


def divisions(planner: CascadePlanner, last: int):
    """Every way to divide the operators up to one into groups."""
    if last < 0:
        yield []
        return
    for group in planner._ending[last]:
        for before in divisions(planner, group.first - 1):
            yield [*before, group]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), relaxed=st.floats(0.5, 3.0))
def test_no_division_under_the_limit_has_fewer_cycles(seed, relaxed):
    operators = chain(4, seed)
    planner = CascadePlanner(operators, [0.0] * 4)
    limit = planner._least_memory() * relaxed
    found = planner.divide(limit)
    fitting = [
        sum(group.cycles for group in division)
        for division in divisions(planner, 3)
        if all(group.memory_bytes <= limit for group in division)
    ]
    assert bool(found) == bool(fitting)
    if found:
        assert sum(group.cycles for group in found) == pytest.approx(min(fitting))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_groups_follow_one_another_and_cover_everything(seed):
    planner = CascadePlanner(chain(6, seed), [0.0] * 6)
    groups = planner.divide(planner._least_memory())
    covered = [i for group in groups for i in range(group.first, group.last + 1)]
    assert covered == list(range(6))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_less_memory_than_the_least_is_not_promised(seed):
    planner = CascadePlanner(chain(5, seed), [0.0] * 5)
    assert planner.divide(planner._least_memory() * 0.999) == []


def test_the_tightest_cascades_save_memory_in_the_compiler(mobilenet_problem):
    problem, space = mobilenet_problem, mobilenet_problem.space
    elsewhere = elsewhere_bytes(problem.choices, problem.frames(space.default))
    changes = next(iter(CascadePlanner(problem.choices, elsewhere).plans()))
    base = problem.evaluate(space.default).metrics["sram_bytes"]
    found = problem.evaluate(space.configuration(changes)).metrics["sram_bytes"]
    assert found < 0.95 * base
