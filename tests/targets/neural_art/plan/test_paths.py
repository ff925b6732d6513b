"""The cheapest sequence of pieces below a limit, against trying all of them."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npu_tune.targets.neural_art.compiler.choice import Choice
from npu_tune.targets.neural_art.plan.estimate import CycleEstimate
from npu_tune.targets.neural_art.plan.paths import cheapest_path, with_preloading
from npu_tune.targets.neural_art.plan.pieces import Piece


def epoch(position: int, needs: int, *, flash: float, others: float, size: int = 0) -> Piece:
    """A single epoch of one operation whose weights are streamed."""
    estimate = CycleEstimate(flash, others, 10.0)
    return Piece(position, estimate.cycles, needs, (Choice(),), size, estimate)


def segment(last: int, length: int, cost: float, needs: int, early: int = 0) -> Piece:
    return Piece(last, cost, needs, (Choice(),) * length, 0, None, early)


@st.composite
def pieces(draw):
    """Pieces of up to three operations from each of a few positions on."""
    count = draw(st.integers(1, 5))
    found = []
    for first in range(count):
        own = []
        for _ in range(draw(st.integers(1, 3))):
            last = draw(st.integers(first, min(first + 2, count - 1)))
            cost, needs = draw(st.integers(1, 9)), draw(st.integers(1, 9))
            own.append(
                segment(last, last - first + 1, float(cost), needs, draw(st.integers(0, 4)))
            )
        found.append(tuple(own))
    return found


def every_path(found, first=0):
    if first == len(found):
        yield []
        return
    for piece in found[first]:
        for rest in every_path(found, piece.last + 1):
            yield [piece, *rest]


def peak(path) -> int:
    """Most bytes in use, also while the weights of the next piece arrive."""
    arriving = [before.needs + piece.early for before, piece in pairwise(path)]
    return max([*(piece.needs for piece in path), *arriving])


@given(pieces(), st.integers(1, 14))
@settings(max_examples=200, deadline=None)
def test_no_path_below_the_limit_is_cheaper(found, most):
    allowed = [path for path in every_path(found) if peak(path) <= most]
    path = cheapest_path(found, most)
    if not allowed:
        assert path is None
        return
    assert path is not None
    assert peak(path) <= most
    assert sum(p.cost for p in path) == min(sum(p.cost for p in each) for each in allowed)
    assert [p.last for p in path] == sorted({p.last for p in path})


@given(pieces())
@settings(max_examples=50, deadline=None)
def test_the_same_pieces_give_the_same_path(found):
    assert cheapest_path(found, inf) == cheapest_path(found, inf)


def test_a_dead_end_is_no_path():
    assert cheapest_path([(epoch(0, 9, flash=1, others=1),)], 8) is None


# Preloading -------------------------------------------------------------------------------


def test_weights_are_preloaded_where_flash_is_idle_before_and_there_is_room():
    path = [
        epoch(0, 100, flash=0, others=900),
        epoch(1, 100, flash=500, others=100, size=50),
    ]
    first, second = with_preloading(path, 150)
    assert first == path[0]
    assert (second.choices[0].weights, second.needs) == ("preload", 150)
    assert second.cost == pytest.approx(100 + 10)
    assert with_preloading(path, 149) == path


def test_weights_are_streamed_where_flash_is_never_idle():
    path = [
        epoch(0, 100, flash=900, others=100),
        epoch(1, 100, flash=500, others=100, size=50),
    ]
    assert with_preloading(path, inf) == path


def test_preloaded_weights_of_two_epochs_in_a_row_are_in_use_together():
    path = [
        epoch(0, 100, flash=0, others=900),
        epoch(1, 100, flash=500, others=400, size=50),
        epoch(2, 100, flash=300, others=100, size=30),
    ]
    found = with_preloading(path, 180)
    assert [piece.choices[0].weights for piece in found] == ["stream", "preload", "preload"]
    assert [piece.needs for piece in found] == [100, 150, 180]
    found = with_preloading(path, 179)
    assert [piece.choices[0].weights for piece in found] == ["stream", "preload", "stream"]


def test_weights_of_a_segment_arrive_beside_the_epoch_before():
    path = [
        epoch(0, 100, flash=0, others=900),
        epoch(1, 100, flash=500, others=100, size=50),
        segment(3, 2, 70.0, 90, early=40),
    ]
    found = with_preloading(path, 190)
    assert [piece.needs for piece in found] == [100, 190, 190]
    # Both do not fit together.
    found = with_preloading(path, 189)
    assert [piece.needs for piece in found] == [100, 100, 140]


@given(pieces(), st.integers(1, 14))
@settings(max_examples=100, deadline=None)
def test_preloading_keeps_the_limit(found, most):
    path = cheapest_path(found, most)
    if path is not None:
        assert all(piece.needs <= most for piece in with_preloading(path, most))
