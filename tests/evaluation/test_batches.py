from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from npu_tune.evaluation.batches import MOST, BatchSize

SECONDS = st.floats(1e-6, 100.0)


def size(workers=2, task_s=0.001, budget=None, seconds=()):
    made = BatchSize(workers, task_s=task_s, budget=budget)
    made.learn(seconds)
    return made.now


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
