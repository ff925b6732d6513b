from __future__ import annotations

import pytest
from chained_trials import BYTES, CYCLES, PAIRED, SINGLE, chained_trial, learnt


def test_layers_with_the_same_epoch_are_one_run():
    profiles, segments = learnt([PAIRED, SINGLE])
    assert profiles.runs == [((0, 1), (2, 3)), ((0, 0), (1, 1), (2, 2), (3, 3))]
    assert profiles.columns == ("cycles", "live_bytes")
    assert segments.seen[0].choices == ((1, 0), (0, 0))
    assert list(segments.sums[:2, CYCLES]) == [3.0, 70.0]
    assert list(segments.peaks[:2, BYTES]) == [5.0, 9.0]


def test_without_epochs_every_layer_stands_alone():
    profiles, _ = learnt(
        [chained_trial(0, (True,) * 4, (0,) * 4, (1,) * 4, (1,) * 4, epochs=False)]
    )
    assert profiles.runs == [((0, 0), (1, 1), (2, 2), (3, 3))]


def test_what_a_segment_costs_is_averaged_over_the_trials_that_had_it():
    again = chained_trial(1, (True, False, False, False), (0, 0, 2, 2), (3, 4, 1, 1), (7, 7, 1, 1))
    _, segments = learnt([PAIRED, again])
    assert segments.sums[0, CYCLES] == pytest.approx(5.0)
    assert segments.peaks[0, BYTES] == pytest.approx(6.0)


def test_the_parameter_that_joins_layers_is_found():
    trials = [PAIRED, SINGLE]
    trials += [
        chained_trial(number, (True, False, False, False), (number % 4,) * 4, (1,) * 4, (1,) * 4)
        for number in (2, 3, 4)
    ]
    _, segments = learnt(trials)
    assert segments.joining() == ("chain", True)
    assert (1, 0) in segments.sociable(0)


def test_nothing_joins_where_nothing_ever_ran_together():
    _, segments = learnt([chained_trial(0, (False,) * 4, (0,) * 4, (1,) * 4, (1,) * 4)])
    assert segments.joining() is None
    assert segments.sociable(0) == []
