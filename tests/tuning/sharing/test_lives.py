from __future__ import annotations

from npu_tune.tuning.sharing.lives import LEASE_S, Lives


def test_a_driver_whose_count_stands_still_for_a_lease_is_dead():
    now = [0.0]
    lives = Lives("own", clock=lambda: now[0])

    assert not lives.dead({"own": 1, "moves": 1, "stands": 7})
    now[0] = LEASE_S + 1
    assert lives.dead({"own": 1, "moves": 2, "stands": 7}) == {"stands"}
    assert lives.dead({"own": 1, "moves": 2}) == set()


def test_a_driver_that_has_just_counted_on_is_at_work():
    now = [0.0]
    lives = Lives("own", clock=lambda: now[0])

    lives.dead({"other": 1})
    assert lives.are_at_work()
    now[0] = 5.0
    lives.dead({"other": 1})
    assert not lives.are_at_work()
