"""Drivers of one study in every order of what they do, killed and asleep among it."""

from __future__ import annotations

from collections import Counter

import pytest
from fake_targets import LayeredTarget, fake_network
from interleaved import Interleaved

from npu_tune.tuning.ledger.journal import JournalLedger

BUDGET = 24


def study_of(folder, seed, sampler="random", **options) -> Interleaved:
    problem = LayeredTarget(start_labels=("one",)).bind(fake_network())
    return Interleaved(folder, problem, seed=seed, evaluations=BUDGET, sampler=sampler, **options)


def check(study: Interleaved) -> None:
    for driver in study.drivers:
        if driver.error is not None:
            raise driver.error
    trials = study.trials()
    evaluated = [trial for trial in trials if trial.duplicate_of is None]
    assert len(evaluated) == BUDGET
    assert len({trial.configuration for trial in evaluated}) == BUDGET
    assert [trial.number for trial in trials] == list(range(len(trials)))
    origins = [trial.origin for trial in evaluated]
    assert (origins.count("baseline"), origins.count("start: one")) == (1, 1)
    # What was begun is done, by whomever, and again only where its driver was taken for dead.
    assert len(set(study.log) - study.forgotten) <= BUDGET
    assert study.repeated() <= (study.killed + study.slept) * 2
    assert set(study.reasons.values()) == {"evaluations"}
    # Who concludes the study knows all of it.
    assert study.last is not None
    known = [trial for trial in study.last.trials if trial.duplicate_of is None]
    assert Counter(t.configuration for t in known) == Counter(t.configuration for t in evaluated)


@pytest.mark.parametrize("sampler", ["random", "layerwise"])
@pytest.mark.parametrize("seed", range(12))
def test_in_whatever_order_drivers_act_the_budget_is_met_and_nothing_lost(tmp_path, seed, sampler):
    study = study_of(tmp_path, seed, sampler, capacity=1 + seed % 2, polish=6 * (seed % 3 == 2))
    study.run(kills=seed % 4, sleeps=seed % 3)

    check(study)


@pytest.mark.parametrize("seed", range(10))
def test_what_a_killed_driver_had_begun_is_done_though_all_others_wait_for_it(tmp_path, seed):
    study = study_of(tmp_path, seed, "in order")
    study.run(kills=6)

    check(study)


@pytest.mark.parametrize("seed", range(40))
def test_a_driver_that_was_taken_for_dead_may_be_given_back_what_it_had(tmp_path, seed):
    study = study_of(tmp_path, seed, capacity=1 + seed % 2, polish=6 * (seed % 3 == 2))
    study.run(kills=3, sleeps=12, most=2 + seed % 3)

    check(study)


@pytest.mark.parametrize("seed", range(3))
def test_what_another_driver_has_evaluated_is_no_trial_where_the_sampler_has_more(tmp_path, seed):
    problem = LayeredTarget().bind(fake_network())
    study = Interleaved(tmp_path, problem, seed=seed, evaluations=70, sampler="layerwise")
    study.add()
    study.run()

    with JournalLedger(tmp_path / "ledger.journal", name="test", read_only=True) as ledger:
        shared = [trial for trial in ledger.trials() if "driver" in trial.user_attrs]
    assert len({trial.user_attrs["driver"] for trial in shared}) > 1
    assert len(shared) > 20
    assert not any("duplicate_of" in trial.user_attrs for trial in shared)
