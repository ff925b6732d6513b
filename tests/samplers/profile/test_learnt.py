from __future__ import annotations

import numpy as np
import optuna
import pytest
from chained_trials import SPACE, chained_trial

from npu_tune.samplers.history import History
from npu_tune.samplers.profile.learnt import Learnt
from npu_tune.samplers.profile.profiles import Profiles
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.ranking import view

SETTINGS = LayerProfileSettings()


@pytest.fixture
def relation_after():
    """The relation after so many trials, with so many under way."""
    random = np.random.default_rng(0)
    rows = random.integers(1, 100, size=(100, 2, 4)).tolist()
    trials = [
        chained_trial(number, (False,) * 4, (number % 3, 0, 1, 2), *costs)
        for number, costs in enumerate(rows)
    ]
    history = History(SPACE, [optuna.study.StudyDirection.MINIMIZE])
    learnt = Learnt(Profiles(SPACE, "profile"), SETTINGS, noise=0.0)

    def after(count, running):
        history.read(trials, trials[len(history.points) : count], settled=count)
        learnt.read(history, trials)
        return learnt.relation(view(history, width=1, scalarization=None, turn=0), random, running)

    return after


def test_a_relation_is_fitted_anew_with_every_trial_where_few_are_under_way(relation_after):
    assert relation_after(40, 99) is not relation_after(41, 99)


def test_a_relation_is_kept_until_a_share_of_those_under_way_has_finished(relation_after):
    step = int(SETTINGS.refit_share * 1000)
    first = relation_after(2 * step, 1000)
    assert relation_after(3 * step - 1, 1000) is first
    assert relation_after(3 * step, 1000) is not first


def test_with_fewer_trials_than_that_share_all_count(relation_after):
    assert relation_after(3, 1000) is not relation_after(4, 1000)
