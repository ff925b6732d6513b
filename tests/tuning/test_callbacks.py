"""Callbacks of Optuna's ``study.optimize`` in a study of ours."""

from __future__ import annotations

import pytest
from fake_studies import fake_study, story
from fake_targets import FailingTarget, LayeredTarget, fake_network
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from npu_tune.tuning import read_study, run_study


def run(folder, evaluations, *callbacks, target=None, **sections):
    study = fake_study(folder, evaluations, **sections)
    target = target or LayeredTarget(blocks=2)
    return run_study(study, network=fake_network(1), target=target, callbacks=callbacks)


def test_a_callback_is_told_of_every_trial_as_the_ledger_has_it(tmp_path):
    told = []

    def listen(study, trial):
        told.append((study.study_name, study.metric_names, len(study.trials), trial))

    result = run(tmp_path / "s", 20, listen)

    assert [(name, metrics) for name, metrics, _, _ in told] == [("test", ["cost"])] * len(told)
    assert [trial.number for *_, trial in told] == [t.number for t in result.trials]
    assert [trial.value for *_, trial in told] == [t.cost for t in result.trials]
    assert all(count > trial.number for *_, count, trial in told)
    assert told[0][-1].user_attrs["cycles"] == result.baseline.metrics["cycles"]
    assert all(
        type(v) in (str, int, float, dict, list) for *_, t in told for v in t.user_attrs.values()
    )


def test_a_callback_is_told_of_failures_too(tmp_path):
    states = []
    target = FailingTarget(LayeredTarget(blocks=2))

    def listen(study, trial):
        states.append(trial.state)

    run(tmp_path / "s", 20, listen, target=target)

    assert set(states) == {TrialState.COMPLETE, TrialState.FAIL}


def test_callbacks_change_nothing_of_a_study(tmp_path):
    def meddle(study, trial):
        study.set_user_attr("mine", 1)
        trial.params.clear()
        trial.user_attrs.clear()

    assert story(run(tmp_path / "a", 20, meddle)) == story(run(tmp_path / "b", 20))


def test_a_callback_that_stops_the_study_ends_the_search(tmp_path):
    result = run(tmp_path / "s", 50, MaxTrialsCallback(7, states=None))

    assert (len(result.trials), result.stopped) == (7, "callback")
    assert result.baseline_again is not None
    assert len(run(tmp_path / "s", 50).trials) >= 50


def test_what_a_callback_raises_ends_the_study_and_loses_nothing(tmp_path):
    def fail(study, trial):
        if trial.number == 4:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run(tmp_path / "s", 20, fail)

    assert len(read_study(tmp_path / "s").trials) == 5
    assert story(run(tmp_path / "s", 20)) == story(run(tmp_path / "whole", 20))
