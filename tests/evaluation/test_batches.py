from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from npu_tune.evaluation.batches import MOST, SHARE_READY, Ahead, BatchSize

SECONDS = st.floats(1e-6, 100.0)


def size(workers=2, task_s=0.001, budget=None, seconds=()):
    made = BatchSize(workers, task_s=task_s, budget=budget)
    made.learn(seconds)
    return made.now


def ahead(*tasks, workers=2, budget=None):
    """After tasks of 1 s, between which the driver has taken so many seconds."""
    made = Ahead(workers, budget=budget)
    for driver_s in tasks:
        made.learn(driver_s, 1.0)
    return made


@given(st.integers(1, 1000), SECONDS, st.none() | st.integers(1, 10**6), st.lists(SECONDS))
def test_a_batch_holds_something_and_not_too_much(workers, task_s, budget, seconds):
    number = size(workers, task_s, budget, seconds)

    assert 1 <= number <= MOST
    if workers == 1 or not seconds:
        assert number == 1
    if budget is not None:
        assert number == 1 or number * workers <= 0.02 * budget


def test_what_takes_long_is_handed_over_alone_and_what_is_fast_with_others():
    assert size(seconds=[0.01] * 50) == 1
    assert size(seconds=[0.002] * 50) == 5
    assert size(seconds=[1e-5] * 50) == MOST


def test_what_was_not_evaluated_says_nothing():
    assert size(seconds=[0.0] * 50) == 1
    assert size(seconds=[0.002] * 50 + [0.0] * 50) == 5


def test_the_size_follows_what_evaluations_take():
    made = BatchSize(2, task_s=0.001)
    made.learn([1e-4] * 50)
    fast = made.now
    made.learn([0.5] * 50)

    assert (fast, made.now) == (MOST, 1)


def test_a_task_is_made_ready_only_where_the_driver_takes_a_good_part_of_one():
    assert ahead(*[0.06] * 9).pays(1)
    assert not ahead(*[0.04] * 9).pays(1)


def test_nothing_is_made_ready_before_enough_is_known():
    assert not ahead().pays(1)
    assert not ahead(*[0.5] * 8).pays(1)


def test_a_driver_that_was_busy_once_makes_nothing_ready():
    assert not ahead(*[60.0] * 4, *[0.01] * 5).pays(1)
    assert ahead(*[0.01] * 20, *[0.5] * 5).pays(1)


def test_what_was_not_evaluated_says_nothing_of_what_a_task_takes():
    made = ahead(*[0.01] * 9)
    for _ in range(9):
        made.learn(1.0, 0.0)

    assert not made.pays(1)


@given(st.lists(SECONDS, max_size=20), st.integers(1, MOST))
def test_with_one_worker_nothing_is_ever_made_ready(tasks, size):
    assert not ahead(*tasks, workers=1).pays(size)


@given(st.integers(1, 10**5), st.integers(1, MOST))
def test_what_waits_is_a_small_part_of_what_is_planned(budget, size):
    assert ahead(*[1.0] * 9, budget=budget).pays(size) == (size <= SHARE_READY * budget)
