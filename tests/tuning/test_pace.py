from __future__ import annotations

import pytest

from npu_tune.tuning.pace import Pace


def pace(*seconds):
    made = Pace()
    for second in seconds:
        made.count(second)
    return made


def test_nothing_is_told_of_the_first_evaluations_which_wait_for_workers():
    assert pace().seconds_for(10, 5.0) is None
    assert pace(30.0, 31.0, 32.0).seconds_for(10, 33.0) is None


def test_the_time_until_the_first_evaluation_is_no_part_of_the_pace():
    assert pace(30.0, 31.0, 32.0, 33.0).seconds_for(10, 33.0) == pytest.approx(10.0)


def test_an_evaluation_that_does_not_come_makes_the_rest_take_longer():
    assert pace(0.0, 1.0, 2.0, 3.0).seconds_for(10, 33.0) == pytest.approx(110.0)


def test_only_the_latest_evaluations_count():
    slow = [10.0 * number for number in range(100)]
    fast = [1000.0 + number for number in range(50)]
    assert pace(*slow, *fast).seconds_for(10, 1049.0) == pytest.approx(10.0)
