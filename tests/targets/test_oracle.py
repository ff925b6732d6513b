from __future__ import annotations

import pytest

from npu_tune.errors import TargetError
from npu_tune.network import zoo_network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets import Evaluation, Problem, load_target
from npu_tune.targets.oracle import (
    Bound,
    Front,
    FrontPoint,
    gap,
    hypervolume_share,
    require_bounded,
    require_oracle,
)

NOTHING = Configuration(())


def front_of(*points):
    return Front(
        ("ms", "bytes"),
        tuple(FrontPoint(NOTHING, {"ms": ms, "bytes": size}) for ms, size in points),
        tolerance=0.0,
        configurations=100,
    )


BASELINE = {"ms": 10.0, "bytes": 100.0}


def test_the_gap_is_measured_to_the_cheapest_optimum():
    found = gap(
        front_of((4.0, 90.0), (8.0, 40.0)),
        {"ms": 9.0, "bytes": 60.0},
        weights={"ms": 0.5, "bytes": 0.5},
        baseline=BASELINE,
    )
    assert found.cost == pytest.approx(0.75)
    assert found.least_cost == pytest.approx(0.6)
    assert found.nearest.metrics == {"ms": 8.0, "bytes": 40.0}
    assert found.excess == pytest.approx(0.25)


def test_against_a_bound_no_optimum_is_named():
    bound = Bound({"ms": 4.0, "bytes": 40.0})
    found = gap(bound, {"ms": 8.0}, weights={"ms": 1.0}, baseline=BASELINE)
    assert found.nearest is None
    assert found.excess == pytest.approx(1.0)


def test_against_a_bound_the_cheapest_relaxed_optimum_counts():
    optima = ({"ms": 4.0, "bytes": 90.0}, {"ms": 8.0, "bytes": 40.0})
    bound = Bound({"ms": 4.0, "bytes": 40.0}, front=optima)
    weights = {"ms": 0.5, "bytes": 0.5}
    found = gap(bound, {"ms": 9.0, "bytes": 60.0}, weights=weights, baseline=BASELINE)
    assert found.least_cost == pytest.approx(0.6)


def test_a_metric_of_which_nothing_is_known_is_refused():
    with pytest.raises(TargetError, match="'joule'"):
        gap(front_of((1, 1)), {"joule": 1.0}, weights={"joule": 1.0}, baseline={"joule": 1.0})


def test_the_volume_is_counted_up_to_a_tenth_above_the_worst():
    front = front_of((5.0, 50.0))
    whole = (11 - 5) * (110 - 50)
    trials = [{"ms": 5.0, "bytes": 80.0}, {"ms": 8.0, "bytes": 50.0}]
    reached = (11 - 5) * (110 - 80) + (11 - 8) * (80 - 50)
    share = hypervolume_share(front, trials, baseline=BASELINE)
    assert share == pytest.approx(reached / whole)
    assert hypervolume_share(front, [p.metrics for p in front.points], baseline=BASELINE) == 1.0
    assert hypervolume_share(front, [], baseline=BASELINE) == 0.0


def test_volumes_are_counted_in_three_metrics_too():
    objectives = ("a", "b", "c")
    point = FrontPoint(NOTHING, dict.fromkeys(objectives, 0.0))
    front = Front(objectives, (point,), tolerance=0.0, configurations=1)
    baseline = dict.fromkeys(objectives, 1 / 1.1)
    trials = [{"a": 0.5, "b": 0.5, "c": 0.5}, {"a": 0.0, "b": 0.5, "c": 0.75}]
    share = hypervolume_share(front, trials, baseline=baseline)
    assert share == pytest.approx(0.5 * 0.5 * 0.5 + 0.5 * 0.5 * 0.25)


def test_a_problem_that_can_only_be_tried_is_no_oracle():
    class Tried(Problem):
        @property
        def space(self):
            return SearchSpace(())

        def evaluate(self, configuration):
            return Evaluation(dict.fromkeys(configuration, 0.0))

    problem = Tried(load_target("neural-art-stm32n6"), zoo_network("st-mnist"))
    for require in (require_oracle, require_bounded):
        with pytest.raises(TargetError, match="knows no optima") as caught:
            require(problem)
        assert caught.value.exit_code == 4


def test_a_problem_that_knows_its_optima_is_one():
    problem = load_target("neural-art-stm32n6").bind(zoo_network("st-mnist"))
    assert require_oracle(problem) is problem
    assert require_bounded(problem) is problem


def test_a_problem_may_know_a_bound_without_a_front():
    with load_target("ethos-u55-128").bind(zoo_network("st-mnist", format="tflite")) as problem:
        assert require_bounded(problem) is problem
        with pytest.raises(TargetError, match="knows no exact front"):
            require_oracle(problem)
