from __future__ import annotations

import copy

import pytest
from optuna.trial import TrialState, create_trial

from npu_tune.samplers.feed import TrialFeed


def made(number, state=TrialState.COMPLETE):
    trial = create_trial(
        state=state, value=1.0 if state == TrialState.COMPLETE else None, params={}
    )
    trial.number = number
    return trial


@pytest.fixture
def feed():
    return TrialFeed()


def test_a_trial_is_handed_out_when_it_begins_and_when_it_changes(feed):
    trials = [made(0), made(1, TrialState.RUNNING), made(2)]
    assert feed.changed(list(trials)) == trials
    assert feed.changed(list(trials)) == []
    assert feed.settled == 1

    trials[1:2], new = [made(1)], made(3)

    assert feed.changed([*trials, new]) == [trials[1], new]
    assert feed.settled == 4


def test_a_finished_trial_may_be_an_equal_object(feed):
    trials = [made(0), made(1, TrialState.RUNNING), made(2)]
    feed.changed(list(trials))

    assert feed.changed([trials[0], trials[1], copy.copy(trials[2])]) == []


@pytest.mark.parametrize("place", [0, 2])
def test_nothing_holds_when_a_finished_trial_has_become_another(feed, place):
    trials = [made(0), made(1, TrialState.RUNNING), made(2)]
    feed.changed(list(trials))
    trials[place] = made(place, TrialState.FAIL)

    assert feed.changed(trials) is None


def test_nothing_holds_when_trials_are_gone(feed):
    trials = [made(0), made(1, TrialState.RUNNING), made(2)]
    feed.changed(list(trials))

    assert feed.changed(trials[:2]) is None
