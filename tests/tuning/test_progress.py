from __future__ import annotations

import pytest

from npu_tune.space import Configuration
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.records import TrialRecord

OBJECTIVE = Objective({"a": 0.5, "b": 0.5}, {"a": "minimize", "b": "minimize"}, {})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def meter(clock, **budget):
    return ProgressMeter(
        OBJECTIVE,
        **{"evaluations": 10, "wall_time_s": None, "elapsed_s": 0.0, **budget},
        clock=clock,
    )


def trial(number, a, b, **fields):
    return TrialRecord(
        number=number,
        configuration=Configuration(()),
        metrics={"a": a, "b": b},
        cost=a + b,
        **fields,
    )


def test_finished_failed_and_duplicate_trials_are_counted_apart():
    counted = meter(Clock())
    counted.count(trial(0, 1.0, 1.0))
    counted.count(TrialRecord(number=1, configuration=Configuration(()), failure="crash"))
    counted.count(trial(2, 1.0, 1.0, duplicate_of=0))

    now = counted.progress(running=3, stopping=True)

    assert (now.finished, now.failed, now.duplicates, now.running) == (1, 1, 1, 3)
    assert now.evaluations == 2
    assert now.stopping


def test_the_best_trial_and_the_front_are_followed():
    counted = meter(Clock())
    for number, (a, b) in enumerate([(3.0, 3.0), (1.0, 4.0), (2.0, 2.0), (5.0, 5.0)]):
        counted.count(trial(number, a, b))
    counted.count(trial(9, 0.0, 0.0, violations={"a": 1.0}))

    now = counted.progress(running=0, stopping=False)

    assert now.best_cost == 4.0
    assert now.best_metrics == {"a": 2.0, "b": 2.0}
    assert now.front_size == 2


def test_speed_and_time_left_count_this_run_only():
    clock = Clock()
    counted = meter(clock)
    counted.count(trial(0, 1.0, 1.0), earlier=True)
    for number in range(1, 5):
        clock.now += 2.0
        counted.count(trial(number, 1.0, 1.0))

    now = counted.progress(running=0, stopping=False)

    assert now.trials_per_second == 0.5
    assert now.time_left_s == pytest.approx(10.0)


def test_no_time_left_is_made_up_before_enough_is_known_or_once_the_search_has_ended():
    clock = Clock()
    counted = meter(clock)
    for number in range(3):
        clock.now += 5.0
        counted.count(trial(number, 1.0, 1.0))
        assert counted.progress(running=1, stopping=False).time_left_s is None
    counted.count(trial(3, 1.0, 1.0))
    assert counted.progress(running=1, stopping=False).time_left_s is not None
    ended = counted.progress(running=0, stopping=False, phase=Phase.BOUND)
    assert ended.time_left_s is None


def test_of_two_budgets_the_one_that_ends_first_decides_how_long_it_takes_still():
    clock = Clock()
    counted = meter(clock, wall_time_s=20.0)
    for number in range(5):
        clock.now += 3.0
        counted.count(trial(number, 1.0, 1.0))
    assert counted.progress(running=1, stopping=False).time_left_s == pytest.approx(5.0)


def test_the_wall_time_covers_earlier_runs():
    clock = Clock()
    counted = meter(clock, evaluations=None, wall_time_s=60.0, elapsed_s=50.0)

    assert not counted.out_of_time
    assert counted.progress(running=0, stopping=False).time_left_s == 10.0
    clock.now += 10.0
    assert counted.out_of_time
