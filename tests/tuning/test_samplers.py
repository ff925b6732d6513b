from __future__ import annotations

import optuna
import pytest
from optuna.distributions import IntDistribution

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import UsageError
from npu_tune.tuning.samplers import make_sampler, sampler_names

DISTRIBUTIONS = {f"l{i}/k": IntDistribution(0, 9) for i in range(4)}


def search(name, **options):
    sampler = make_sampler(name, options, seed=5, context={})
    return SearchStudy(sampler, ["minimize"], DISTRIBUTIONS)


def go_on(study, trials):
    told = []
    for _ in range(trials):
        trial = study.ask()
        told.append(study.tell(trial, [float(sum(trial.params.values()))]))
    return told


@pytest.mark.parametrize("name", sampler_names())
def test_a_resumed_sampler_proposes_what_an_uninterrupted_one_does(name):
    whole = go_on(search(name), 60)

    resumed = search(name)
    resumed.add(whole[:25])

    assert [t.params for t in go_on(resumed, 35)] == [t.params for t in whole[25:]]


@pytest.mark.parametrize("name", sampler_names())
def test_another_seed_gives_another_search(name):
    other = make_sampler(name, {}, seed=6, context={})
    study = SearchStudy(other, ["minimize"], DISTRIBUTIONS)

    assert [t.params for t in go_on(study, 20)] != [t.params for t in go_on(search(name), 20)]


def test_options_reach_the_sampler():
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        search("tpe", group=True, multivariate=True)


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("layerwize", {}, "Did you mean 'layerwise'"),
        ("layerwise", {"beam_with": 3}, "Did you mean 'beam_width'"),
        ("tpe", {"seed": 3}, "sampler.seed"),
        ("layerwise", {"beam_width": 0}, "beam_width"),
    ],
)
def test_an_unknown_sampler_or_option_is_refused(name, options, match):
    with pytest.raises(UsageError, match=match):
        make_sampler(name, options, seed=0, context={})


def test_an_option_that_fails_at_the_first_proposal_is_a_usage_error():
    study = search("tpe", n_startup_trials=1, n_ei_candidates=0)

    with pytest.raises(UsageError, match=r"'tpe' refuses its options"):
        go_on(study, 3)
