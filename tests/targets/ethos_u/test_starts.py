"""Where a search begins, and what it must reach by that alone."""

from __future__ import annotations

import itertools
import math

import pytest
from vela_operators import SmallTflite

from npu_tune.errors import CompilerError
from npu_tune.targets.ethos_u.cpp_core import CppCore
from npu_tune.targets.ethos_u.problem import CPP_LABEL


def detector():
    """Scores of 400 positions, and the softmax over their two classes."""
    file = SmallTflite()
    file.tensor("in", (1, 20, 20, 8))
    file.convolution("in", "scores", (1, 20, 20, 2), 8)
    file.numbers("shape", (1, 400, 2), (3,))
    file.tensor("rows", (1, 400, 2))
    file.operator("RESHAPE", ["scores", "shape"], ["rows"], "ReshapeOptions", newShape=[1, 400, 2])
    file.tensor("out", (1, 400, 2), scale=1 / 256)
    file.operator("SOFTMAX", ["rows"], ["out"], "SoftmaxOptions", beta=1.0)
    return file.network("detector", ["in"], ["out"])


def costs(problem, starts):
    """Of each start by its label: half cycles, half memory, the default's being 1."""
    base = problem.evaluate(problem.space.default).metrics
    return {
        start.label: cost(problem.evaluate(start.configuration).metrics, base) for start in starts
    }


@pytest.fixture(scope="module")
def starts(narrow_problem):
    return list(narrow_problem.starts())


def cost(metrics, base):
    return sum(metrics[m] / base[m] for m in ("full_cycles", "sram_bytes")) / 2


def test_a_softmax_over_many_positions_takes_no_cycles_for_channels_that_it_has_not(u55, tmp_path):
    with u55.bind(detector()) as problem:
        base = problem.evaluate(problem.space.default).metrics
        starts = list(itertools.islice(problem.starts(), 20))
        found = costs(problem, starts)
        best = min(starts, key=lambda start: found[start.label])
        evaluation = problem.evaluate(best.configuration)
        other = problem.references()[CPP_LABEL]
        artifact = problem.build(best.configuration, tmp_path)
    assert found[best.label] <= cost(other, base)
    assert evaluation.metrics["cycles"] < 0.5 * base["cycles"]
    assert artifact.evaluation == evaluation


def test_the_first_starts_are_found_without_running_the_other_core(narrow_problem, monkeypatch):
    monkeypatch.setattr(narrow_problem, "_cpp_core", None)
    labels = [start.label for start in itertools.islice(narrow_problem.starts(), 12)]
    assert len(set(labels)) == 12
    assert not any("C++" in label for label in labels)


def test_starts_are_the_same_every_time_and_differ_from_one_another(narrow_problem, starts):
    assert list(narrow_problem.starts()) == starts
    assert len({start.configuration for start in starts}) == len(starts)
    assert narrow_problem.space.default not in {start.configuration for start in starts}


def test_the_whole_front_of_the_other_core_is_among_the_starts(narrow_problem, starts):
    names = [point.name for point in narrow_problem._cpp_core.points()]
    assert names[:2] == ["default", "Size"]
    assert len(names) == 10
    labels = [start.label for start in starts]
    assert [label for label in labels if label.startswith("Vela C++ core's schedule, ")]


def test_a_start_is_better_than_all_that_either_core_offers(narrow_problem, starts):
    base = narrow_problem.evaluate(narrow_problem.space.default).metrics
    found = costs(narrow_problem, starts)
    vendors = [v for label, v in found.items() if "planned" not in label and "C++" not in label]
    rivals = [cost(point.metrics, base) for point in narrow_problem._cpp_core.points()]
    assert min(found.values()) < min(*vendors, *rivals)


def test_what_fast_storage_cannot_hold_is_passed_over(u65, narrow):
    with u65.bind(narrow) as problem:
        for start in problem.starts():
            problem.space.check(start.configuration)


def test_the_rival_is_the_cheapest_point_of_the_other_core_by_both_estimates(narrow_problem):
    base = narrow_problem.evaluate(narrow_problem.space.default).metrics
    found = narrow_problem.rivals(lambda metrics: cost(metrics, base))
    points = {p.name: p.metrics for p in narrow_problem._cpp_core.points()}
    name = min(points, key=lambda point: cost(points[point], base))
    assert found.pop(f"Vela C++ core, {name} (its own estimate)") == points[name]
    ((label, metrics),) = found.items()
    assert label.startswith(f"Vela C++ core, {name} (same estimate, ")
    assert metrics.keys() == base.keys()


def test_there_is_no_rival_where_none_meets_the_limits(narrow_problem):
    assert narrow_problem.rivals(lambda _: math.inf) == {}


def test_a_core_that_compiles_nothing_leaves_starts_and_no_rivals(narrow_problem, monkeypatch):
    def stops(plan, keep=None):
        raise CompilerError("Vela stopped")

    core = CppCore(narrow_problem.network, narrow_problem.target.system)
    monkeypatch.setattr(core, "run", stops)
    monkeypatch.setattr(narrow_problem, "_cpp_core", core)
    assert list(narrow_problem._cpp_core.points()) == []
    assert not any("C++" in start.label for start in narrow_problem.starts())
    assert narrow_problem.rivals(lambda _: 1.0) == {}
