from __future__ import annotations

import pytest

from npu_tune.evaluation.pool.attempts import (
    FAILED_STARTS,
    LOSSES,
    Attempts,
    crash_error,
    start_error,
    timeout_error,
)


def test_a_crash_is_tried_again_once():
    attempts = Attempts()

    assert attempts.crashed(3, "a")
    assert not attempts.crashed(3, "a")


def test_every_evaluation_of_a_task_has_its_own_tries():
    attempts = Attempts()

    assert attempts.crashed(3, "a")
    assert attempts.crashed(3, "b")
    assert not attempts.crashed(3, "a")


def test_every_task_has_its_own_tries():
    attempts = Attempts()

    assert attempts.crashed(3, "a")
    assert attempts.crashed(4, "a")


def test_a_pool_within_a_pool_leaves_what_is_lost_to_the_outer_one():
    assert not Attempts(losses=1).lost(3)


def test_a_lost_worker_is_tried_again_but_not_for_ever():
    attempts = Attempts()

    assert [attempts.lost(3) for _ in range(LOSSES)] == [*[True] * (LOSSES - 1), False]


def test_a_loss_is_no_crash():
    attempts = Attempts()
    attempts.lost(3)

    assert attempts.crashed(3, "a")


def test_a_ticket_that_is_used_again_starts_with_all_its_tries():
    attempts = Attempts()
    attempts.crashed(3, "a")
    attempts.lost(3)
    attempts.forget(3)

    assert attempts.crashed(3, "a")
    assert [attempts.lost(3) for _ in range(LOSSES)].count(True) == LOSSES - 1


def test_a_crash_is_told_with_its_cause_and_how_often_it_happened():
    error = crash_error("killed by SIGSEGV", " (Segmentation fault)")

    assert error.failure == "crash"
    assert error.message == (
        "The process that ran the compiler ended: killed by SIGSEGV (Segmentation fault). "
        "It did so 2 times."
    )
    assert error.data == {"how": "killed by SIGSEGV"}


def test_a_timeout_is_told_with_its_limit_and_how_to_raise_it():
    error = timeout_error(1.5)

    assert error.failure == "timeout"
    assert error.data == {"timeout_s": 1.5}
    assert "executor.timeout_s" in error.remedy


@pytest.mark.parametrize("workers", [1, 4])
def test_all_workers_may_fail_to_start_at_once_but_not_for_ever(workers):
    attempts = Attempts(workers=workers)
    tries = FAILED_STARTS + workers - 1

    assert [attempts.failed_start() for _ in range(tries + 1)] == [*[True] * tries, False]


def test_a_worker_that_starts_ends_the_count_of_those_that_do_not():
    attempts = Attempts()
    for _ in range(FAILED_STARTS):
        attempts.failed_start()
    attempts.started()

    assert attempts.failed_start()


@pytest.mark.parametrize(
    "error", [crash_error("killed by SIGKILL", ""), start_error("It", "killed by SIGKILL", "")]
)
def test_what_was_killed_probably_had_no_memory(error):
    assert "memory" in error.remedy


def test_what_ended_of_its_own_accord_while_it_started_is_shown_by_the_inline_executor():
    error = start_error("A worker process", "exit status 1", " (no module)")

    assert error.message == "A worker process ended while it started: exit status 1 (no module)."
    assert "inline executor" in error.remedy
