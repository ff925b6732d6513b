from __future__ import annotations

from dataclasses import replace

import pytest

from npu_tune.errors import InfeasibleError
from npu_tune.space import Configuration
from npu_tune.targets import Goal, Identity, Kind, Metric
from npu_tune.tuning import StudyResult, TrialRecord, require_feasible
from npu_tune.tuning.objective import Objective

DEFAULT = Configuration.of({"a/knob": 0})


def trial(number, cycles, sram, **fields):
    return TrialRecord(
        number=number,
        configuration=Configuration.of({"a/knob": number}),
        metrics={"cycles": cycles, "sram_bytes": sram},
        cost=cycles + sram,
        **fields,
    )


def result(*trials, limits=None, floors=None, directions=None):
    return StudyResult(
        name="s",
        model="m",
        identity=Identity("0", "t", {}),
        metrics=(Metric("cycles", "", Kind.ESTIMATED), Metric("sram_bytes", "B", Kind.ESTIMATED)),
        objective=Objective(
            {"cycles": 0.5, "sram_bytes": 0.5},
            {"cycles": "minimize", "sram_bytes": "minimize"} | (directions or {}),
            limits or {},
            floors=floors or {},
        ),
        default=DEFAULT,
        trials=trials,
        references={},
        evaluations_planned=10,
    )


def numbers(trials):
    return [t.number for t in trials]


def test_the_front_holds_what_nothing_beats():
    trials = [trial(0, 3.0, 1.0), trial(1, 1.0, 3.0), trial(2, 3.0, 3.0), trial(3, 2.0, 2.0)]

    assert numbers(result(*trials).front) == [1, 3, 0]


def test_of_equal_trials_the_front_keeps_the_earliest():
    assert numbers(result(trial(4, 1.0, 1.0), trial(2, 1.0, 1.0)).front) == [2]


def test_of_equal_trials_best_and_front_are_those_with_the_fewest_changes():
    changed, plain = trial(1, 1.0, 1.0), replace(trial(2, 1.0, 1.0), configuration=DEFAULT)

    assert result(changed, plain).best.number == 2
    assert numbers(result(changed, plain).front) == [2]


def test_the_front_looks_for_more_of_a_maximised_metric():
    trials = [trial(0, 1.0, 1.0), trial(1, 1.0, 2.0)]

    assert numbers(result(*trials, directions={"sram_bytes": "maximize"}).front) == [1]


def test_the_best_trial_is_required_to_meet_the_limits():
    beyond = trial(0, 1.0, 1.0, violations={"sram_bytes": 1.0})
    within = trial(1, 5.0, 1.0, violations={"sram_bytes": 0.0})

    assert require_feasible(result(beyond, within, limits={"sram_bytes": 1.0})).number == 1


def test_an_unmet_limit_is_reported_with_the_least_infeasible_trial():
    trials = [
        trial(0, 1.0, 30.0, violations={"sram_bytes": 10.0}),
        trial(1, 1.0, 25.0, violations={"sram_bytes": 5.0}),
    ]

    with pytest.raises(InfeasibleError, match=r"trial 1 .* sram_bytes 25 \(limit 20\)") as caught:
        require_feasible(result(*trials, limits={"sram_bytes": 20.0}))

    assert caught.value.data["violations"] == {"sram_bytes": 5.0}
    assert caught.value.data["configuration"] == {"a/knob": 1}


def test_an_unmet_lower_limit_is_reported_too():
    trials = [
        trial(0, 1.0, 30.0, violations={"sram_bytes": 10.0}),
        trial(1, 1.0, 35.0, violations={"sram_bytes": 5.0}),
    ]

    with pytest.raises(InfeasibleError, match=r"trial 1 .* sram_bytes 35 \(limit 40\)"):
        require_feasible(result(*trials, floors={"sram_bytes": 40.0}))


def test_the_goal_of_a_metric_beside_the_objective_is_what_the_target_says():
    accuracy = Metric("accuracy", "", Kind.ESTIMATED, goal=Goal.MAXIMIZE)
    known = replace(result(), metrics=(*result().metrics, accuracy))

    assert known.goals == {"cycles": "minimize", "sram_bytes": "minimize", "accuracy": "maximize"}


def test_a_limit_of_zero_has_a_least_infeasible_trial_too():
    trials = [
        trial(0, 1.0, 30.0, violations={"sram_bytes": 30.0}),
        trial(1, 1.0, 25.0, violations={"sram_bytes": 25.0}),
    ]

    with pytest.raises(InfeasibleError, match=r"trial 1 .* sram_bytes 25 \(limit 0\)"):
        require_feasible(result(*trials, limits={"sram_bytes": 0.0}))


def test_a_study_whose_every_trial_failed_says_so():
    failed = TrialRecord(number=0, configuration=DEFAULT, failure="crash")

    with pytest.raises(InfeasibleError, match="No evaluation"):
        require_feasible(result(failed))
