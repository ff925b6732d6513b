from __future__ import annotations

import pytest

from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.shared import LostReservationError
from npu_tune.tuning.sharing.board import RECENT, Board, Claim, Ending, Reservation

EMPTY = Board("era", next=5, evaluated=4)


def reserved(board: Board, driver: str, most: float = 1000) -> tuple[Board, int]:
    board, row = board.reserve(driver, most=most)
    assert row is not None
    return board, row.number


def claimed(board: Board, number: int, driver: str, key: str, **more) -> Board:
    board, answer = board.claim(Reservation(number, driver, key, **more), seen=board.finished)
    assert answer is Claim.GRANTED
    return board


def test_every_reservation_has_a_number_of_its_own():
    board, first = reserved(EMPTY, "a")
    board, second = reserved(board, "b")

    assert (first, second, board.next) == (5, 6, 7)


def test_a_board_is_the_same_when_it_is_read_again():
    board, number = reserved(EMPTY.beat("a"), "a")
    board = claimed(board, number, "a", "key", origin="sampler", changes={"layer/knob": 3})
    board = board.finish(number, "a", Ending.ANSWERED)
    board, number = reserved(board, "a")

    assert Board.read(board.text()) == board


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reservations": [{}], "recent": []}'])
def test_a_text_that_is_no_board_is_an_error_of_the_storage(text):
    with pytest.raises(StorageError, match="damaged"):
        Board.read(text)


def test_no_more_is_begun_than_the_budget_has_with_what_is_under_way():
    board, first = reserved(EMPTY, "a", most=6)
    board, second = reserved(board, "b", most=6)

    assert board.reserve("c", most=6) == (board, None)
    board = claimed(board, first, "a", "key")
    board = claimed(board, second, "b", "key", waits=True)
    assert board.reserve("c", most=6)[1] == Reservation(7, "c")


def test_nobody_waits_for_what_nobody_evaluates():
    board, number = reserved(EMPTY, "a")

    asked = Reservation(number, "a", "key", waits=True)
    assert board.claim(asked, seen=0) == (board, Claim.BEHIND)


def test_an_evaluation_whose_worker_was_lost_answers_for_nothing():
    board, number = reserved(EMPTY, "a")
    board = claimed(board, number, "a", "key").finish(number, "a", Ending.UNANSWERED)
    board, number = reserved(board, "b")

    assert board.evaluated == EMPTY.evaluated + 1
    assert board.claim(Reservation(number, "b", "key"), seen=0)[1] is Claim.GRANTED


def test_a_number_of_which_the_answer_was_lost_is_given_once_more():
    board, number = reserved(EMPTY, "a")

    assert board.reserve("a", most=1000) == (board, Reservation(number, "a"))


def test_what_was_left_behind_and_is_more_than_the_budget_is_dropped():
    board = EMPTY
    for key in ("one", "two"):
        board, number = reserved(board, "a")
        board = claimed(board, number, "a", key)
    board = board.without({"a"})

    assert board.within(6) == board
    assert board.within(5).evaluations == 5


def test_what_is_evaluated_elsewhere_or_just_was_is_not_begun():
    board, first = reserved(EMPTY, "a")
    board, second = reserved(board, "b")
    board = claimed(board, first, "a", "key")

    assert board.claim(Reservation(second, "b", "key"), seen=0)[1] is Claim.TAKEN
    board = board.finish(first, "a", Ending.ANSWERED)
    assert board.claim(Reservation(second, "b", "key"), seen=0)[1] is Claim.TAKEN


def test_who_has_not_looked_for_long_has_to_look_first():
    board = EMPTY
    for number in range(RECENT + 1):
        board, own = reserved(board, "a")
        board = claimed(board, own, "a", f"key {number}")
        board = board.finish(own, "a", Ending.ANSWERED)
    board, number = reserved(board, "b")
    asked = Reservation(number, "b", "other")

    assert board.claim(asked, seen=0)[1] is Claim.BEHIND
    assert board.claim(asked, seen=board.finished)[1] is Claim.GRANTED


def test_what_a_dead_driver_had_is_taken_over_as_it_was_whatever_is_left():
    board, first = reserved(EMPTY.beat("a"), "a")
    board, _ = reserved(board, "a")
    board = claimed(board, first, "a", "key", origin="start: x", changes={"k": 1})

    board = board.without({"a"})
    assert board.has_abandoned
    assert not board.beats
    board, row = board.reserve("b", most=0)
    assert row == Reservation(first, "b", "key", "start: x", {"k": 1})
    assert board.reserve("b", most=0, own={first})[1] is None


def test_numbers_that_led_to_nothing_are_given_to_the_next():
    board, first = reserved(EMPTY, "a")
    board = board.give_back(first, "a")

    assert board.is_settled
    assert reserved(board, "b")[1] == first


def test_a_trial_that_a_dead_driver_had_written_is_not_evaluated_again():
    board, number = reserved(EMPTY.beat("a"), "a")
    board = claimed(board, number, "a", "key")

    board = board.without({"a"}, {number: Ending.ANSWERED})
    assert (board.is_settled, board.evaluated) == (True, EMPTY.evaluated + 1)


def test_a_driver_that_was_taken_for_dead_finishes_nothing():
    board, number = reserved(EMPTY.beat("a"), "a")
    board = claimed(board, number, "a", "key").without({"a"})
    board, _ = board.reserve("b", most=0)

    with pytest.raises(LostReservationError):
        board.finish(number, "a", Ending.ANSWERED)
    assert board.finish(number, "b", Ending.ANSWERED).is_settled
