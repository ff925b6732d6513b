from __future__ import annotations

import pytest

from npu_tune.errors import StorageError
from npu_tune.tuning.ledger.shared import LostReservationError
from npu_tune.tuning.sharing.board import RECENT, Board, Claim, Reservation

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
    board = board.finish(number, "a", is_evaluated=True)
    board, number = reserved(board, "a")

    assert Board.read(board.text()) == board


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reservations": [{}], "recent": []}'])
def test_a_text_that_is_no_board_is_an_error_of_the_storage(text):
    with pytest.raises(StorageError, match="damaged"):
        Board.read(text)


def test_no_more_is_begun_than_the_budget_has_with_what_is_under_way():
    board, number = reserved(EMPTY, "a", most=5)

    assert board.reserve("b", most=5) == (board, None)
    board = claimed(board, number, "a", "key", waits=True)
    assert board.reserve("b", most=5)[1] == Reservation(6, "b")


def test_what_is_evaluated_elsewhere_or_just_was_is_not_begun():
    board, first = reserved(EMPTY, "a")
    board, second = reserved(board, "b")
    board = claimed(board, first, "a", "key")

    assert board.claim(Reservation(second, "b", "key"), seen=0)[1] is Claim.TAKEN
    board = board.finish(first, "a", is_evaluated=True)
    assert board.claim(Reservation(second, "b", "key"), seen=0)[1] is Claim.TAKEN


def test_who_has_not_looked_for_long_has_to_look_first():
    board = EMPTY
    for number in range(RECENT + 1):
        board, own = reserved(board, "a")
        board = claimed(board, own, "a", f"key {number}")
        board = board.finish(own, "a", is_evaluated=True)
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
    assert board.reserve("b", most=0)[1] is None


def test_numbers_that_led_to_nothing_are_given_to_the_next():
    board, first = reserved(EMPTY, "a")
    board = board.give_back(first, "a")

    assert board.is_settled
    assert reserved(board, "b")[1] == first


def test_a_trial_that_a_dead_driver_had_written_is_not_evaluated_again():
    board, number = reserved(EMPTY.beat("a"), "a")
    board = claimed(board, number, "a", "key")

    board = board.without({"a"}, {number: True})
    assert (board.is_settled, board.evaluated) == (True, EMPTY.evaluated + 1)


def test_a_driver_that_was_taken_for_dead_finishes_nothing():
    board, number = reserved(EMPTY.beat("a"), "a")
    board = claimed(board, number, "a", "key").without({"a"})
    board, _ = board.reserve("b", most=0)

    with pytest.raises(LostReservationError):
        board.finish(number, "a", is_evaluated=True)
    assert board.finish(number, "b", is_evaluated=True).is_settled
