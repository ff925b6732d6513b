"""What trials say of a layer's choices is worked out anew as soon as there is enough more to say."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import TrialState

from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace
from npu_tune.samplers.promise import EffectBook
from npu_tune.samplers.settings import LayerwiseSettings

DISTRIBUTIONS = {"a/tile": IntDistribution(0, 999), "b/tile": IntDistribution(0, 999_999)}
PRESENT = (0,)


def trial_of(number, params, state=TrialState.COMPLETE):
    value = {"value": float(sum(params))} if state == TrialState.COMPLETE else {}
    trial = optuna.trial.create_trial(
        params=dict(zip(DISTRIBUTIONS, params, strict=True)),
        distributions=DISTRIBUTIONS,
        state=state,
        **value,
    )
    trial.number = number
    return trial


@pytest.fixture
def effects_after():
    """What is said of the first layer after so many trials that differ in it, beside running ones."""
    history = History(LayeredSpace.of(DISTRIBUTIONS, None), [StudyDirection.MINIMIZE])
    book = EffectBook(history, LayerwiseSettings())
    trials = [trial_of(number, (number, 0)) for number in range(300)]

    def after(count, running=0):
        # Running trials are alike to no other one in the first layer.
        others = [
            trial_of(1000 + n, (0, 1 + n), TrialState.RUNNING)
            for n in range(history.running, running)
        ]
        history.read(trials, [*trials[len(history.points) : count], *others], settled=count)
        return book.effects(history.values[:, 0], 0, PRESENT)

    return after


def test_choices_are_compared_anew_with_every_trial_where_few_are_under_way(effects_after):
    effects_after(200, running=99)
    assert len(effects_after(201).gains) == 201
    assert len(effects_after(202).gains) == 202


def test_choices_are_compared_anew_after_a_fiftieth_of_those_under_way(effects_after):
    known = effects_after(250, running=500)
    assert effects_after(259) is known
    assert len(effects_after(260).gains) == 260


def test_little_that_is_known_is_never_long_out_of_date(effects_after):
    for count in range(2, 250):
        assert len(effects_after(count, running=500).gains) > 0.9 * count - 1


def test_what_is_out_of_date_is_still_about_the_same_trials(effects_after):
    known = effects_after(250, running=500)
    later = effects_after(259)
    assert np.array_equal(known.gains, later.gains)
    assert later.gains[1:].tolist() == [float(choice) for (choice,) in later.choices[1:]]
