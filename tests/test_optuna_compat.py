# Samplers are given what Optuna gives, used or not.

from __future__ import annotations

import inspect
import json

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial
from trials import DISTRIBUTIONS, content, finished_trial

from npu_tune import _optuna_compat as compat
from npu_tune._optuna_compat import (
    InternalParams,
    JournalLines,
    SearchStudy,
    carry_search_space,
    hypervolume,
)
from npu_tune.tuning.packed import PackedTable

SPACE = DISTRIBUTIONS | {
    "conv/only": IntDistribution(3, 3),
    "conv/share": FloatDistribution(0, 1),
}
SAMPLERS = {
    "TPE": lambda: TPESampler(seed=1, n_startup_trials=5),
    "NSGA-II": lambda: NSGAIISampler(seed=1, population_size=6),
    "random": lambda: RandomSampler(seed=1),
}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.parametrize("objectives", [1, 2])
@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_any_sampler_searches_with_running_failed_and_constrained_trials(make, objectives):
    study = SearchStudy(make(), ["minimize"] * objectives, SPACE)
    for number in range(15):
        first, second = study.ask(), study.ask()
        values = [first.params["conv/block"] + n for n in range(objectives)]
        study.tell(first, values, constraints={"sram_bytes": 4.0 - number})
        study.tell(second, None)
    trials = study.study.trials
    assert [t.number for t in trials] == list(range(30))
    assert all(t.params.keys() == SPACE.keys() for t in trials)
    assert all(
        SPACE[n]._contains(SPACE[n].to_internal_repr(v))
        for t in trials
        for n, v in t.params.items()
    )
    assert [t.state for t in trials[:2]] == [TrialState.COMPLETE, TrialState.FAIL]
    assert trials[0].constraints == {"sram_bytes": 4.0}
    assert len(study.study.best_trials) >= 1


@pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_it_proposes_what_optuna_itself_would(make):
    ours = SearchStudy(make(), ["minimize"], SPACE)
    theirs = optuna.create_study(sampler=make())
    for _ in range(20):
        trial, other = ours.ask(), theirs.ask(SPACE)
        assert trial.params == other.params
        ours.tell(trial, [trial.params["conv/share"]])
        theirs.tell(other, other.params["conv/share"])


def test_enqueued_parameters_come_first_and_the_rest_is_sampled():
    study = SearchStudy(RandomSampler(seed=1), ["minimize"], SPACE)
    study.enqueue({"conv/block": 7, "network/strategy": "size"}, {"origin": "start"})
    first, second = study.ask(), study.ask()
    assert first.params["conv/block"] == 7
    assert first.params["network/strategy"] == "size"
    assert first.params.keys() == SPACE.keys()
    assert first.user_attrs == {"origin": "start"}
    assert second.user_attrs == {}
    assert study.tell(first, [1.0], user_attrs={"seconds": 2}).user_attrs == {
        "origin": "start",
        "seconds": 2,
    }


@pytest.mark.parametrize("params", [{"conv/block": 99}, {"conv/flag": "maybe"}, {"other": 1}])
def test_what_the_space_does_not_hold_cannot_be_enqueued(params):
    study = SearchStudy(RandomSampler(seed=1), ["minimize"], SPACE)
    with pytest.raises(ValueError, match=next(iter(params))):
        study.enqueue(params)


def test_a_nan_is_a_failed_trial():
    study = SearchStudy(RandomSampler(seed=1), ["minimize", "minimize"], SPACE)
    told = study.tell(study.ask(), [1.0, float("nan")])
    assert (told.state, told.values) == (TrialState.FAIL, None)


def test_a_trial_once_returned_does_not_change():
    study = SearchStudy(RandomSampler(seed=1), ["minimize"], SPACE)
    asked = study.ask()
    told = study.tell(asked, [1.0], user_attrs={"a": 1})
    assert (asked.state, asked.user_attrs) == (TrialState.RUNNING, {})
    assert (told.state, told.values) == (TrialState.COMPLETE, [1.0])
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        study.tell(asked, [2.0])


def test_added_trials_are_numbered_on_and_best_is_known():
    study = SearchStudy(RandomSampler(seed=1), ["minimize"], DISTRIBUTIONS)
    old = [finished_trial(index, objectives=1) for index in (4, 2, 9)]
    study.add(old)
    assert [content(t) for t in study.study.trials] == [content(t) for t in old]
    assert study.study.best_value == 2
    assert study.ask().number == 3


def test_samplers_are_told_before_and_after_each_trial():
    calls = []

    class Recording(RandomSampler):
        def before_trial(self, study, trial):
            calls.append(("before", trial.number, trial.state))

        def after_trial(self, study, trial, state, values):
            calls.append(("after", trial.number, state, values, trial.constraints))

    study = SearchStudy(Recording(seed=1), ["minimize"], SPACE)
    study.tell(study.ask(), [1.5], constraints={"a": 0.5})
    study.tell(study.ask(), None)
    assert calls == [
        ("before", 0, TrialState.RUNNING),
        ("after", 0, TrialState.COMPLETE, [1.5], {"a": 0.5}),
        ("before", 1, TrialState.RUNNING),
        ("after", 1, TrialState.FAIL, None, {}),
    ]


def test_a_relative_value_outside_its_distribution_is_sampled_alone():
    class Wild(BaseSampler):
        def infer_relative_search_space(self, study, trial):
            return SPACE

        def sample_relative(self, study, trial, search_space):
            return {"conv/block": 99, "conv/share": 0.5}

        def sample_independent(self, study, trial, param_name, param_distribution):
            return RandomSampler(seed=1).sample_independent(
                study, trial, param_name, param_distribution
            )

    params = SearchStudy(Wild(), ["minimize"], SPACE).ask().params
    assert params["conv/share"] == 0.5
    assert 0 <= params["conv/block"] <= 9


def test_distribution_texts_are_those_of_optuna():
    texts = compat.DistributionTexts()
    for distribution in SPACE.values():
        text = texts.write(distribution)
        assert json.loads(text) == json.loads(
            optuna.distributions.distribution_to_json(distribution)
        )
        assert texts.read(text) == distribution
        assert texts.read(text) is texts.read(text)


def test_parameters_are_kept_as_optuna_keeps_them_however_often_they_were_seen():
    distributions = {
        "flag": CategoricalDistribution((False, True)),
        "kind": CategoricalDistribution(("a", None, 2.5)),
        "count": IntDistribution(0, 10**9),
        "share": FloatDistribution(-1.0, 1.0),
    }
    made = InternalParams()
    for params in (
        {"flag": True, "kind": None, "count": 7, "share": 0.0},
        {"flag": True, "kind": 2.5, "count": 7, "share": -0.0},
        {"flag": False, "kind": "a", "count": 10**9, "share": 0.5},
    ):
        trial = create_trial(params=params, distributions=distributions, value=1.0)
        for _ in range(2):
            assert repr(made.of(trial)) == repr(
                {name: d.to_internal_repr(params[name]) for name, d in distributions.items()}
            )


def test_what_is_kept_as_json_is_written_as_it_is():
    attributes = {"a": 1, "table": PackedTable.of({"rows": {"é": [1, None]}}), "b": {"c": 0.5}}
    for given_ in (attributes, {"table": attributes["table"]}, {}):
        trial = create_trial(value=1.0, user_attrs=given_)
        line = json.loads(JournalLines().trial(0, trial))
        assert line["user_attrs"] == given_
        assert line["params"] == {}


def test_the_constraint_list_is_added_and_dropped_again():
    named = {"constraints:a": 1.0, "other": 2}
    listed = compat.with_constraint_list(named)
    assert listed == named | {"constraints": [1.0]}
    assert compat.without_constraint_list(listed) == named
    assert compat.with_constraint_list({"other": 2}) == {"other": 2}
    assert compat.without_constraint_list({"constraints": [1.0]}) == {"constraints": [1.0]}


def test_the_schema_written_in_bulk_is_the_installed_one(tmp_path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 's.db'}")
    assert storage.get_current_version() == compat.RDB_REVISION


def test_only_this_module_uses_private_names_of_optuna(pytestconfig):
    for module in (pytestconfig.rootpath / "npu_tune").rglob("*.py"):
        if module.name != inspect.getfile(compat).rpartition("/")[2]:
            text = module.read_text()
            assert "optuna._" not in text, module
            assert "._storage" not in text.replace("self._storage", ""), module
            assert "._trial_id" not in text, module


def test_a_hypervolume_is_the_area_below_the_corner_that_points_dominate():
    # Two boxes of 0.6 x 0.2 and 0.2 x 0.6 that overlap in 0.2 x 0.2.
    assert hypervolume([[0.4, 0.8], [0.8, 0.4]], [1.0, 1.0]) == pytest.approx(0.2)
    assert hypervolume([], [1.0, 1.0]) == 0.0


def test_a_fresh_sampler_goes_on_with_the_search_space_of_the_one_before():
    old, new = (NSGAIISampler(seed=seed) for seed in (0, 1))
    study = optuna.create_study(sampler=old)
    study.optimize(lambda trial: trial.suggest_int("x", 0, 9), n_trials=3)
    carry_search_space(old, new)
    assert new._search_space is old._search_space
    assert list(new._search_space.calculate(study)) == ["x"]
