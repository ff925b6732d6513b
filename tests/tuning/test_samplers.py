from __future__ import annotations

import importlib.util

import optuna
import pytest
from optuna.distributions import IntDistribution

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import MissingExtraError, UsageError
from npu_tune.tuning.samplers import SamplerContext, make_sampler, sampler_names

DISTRIBUTIONS = {f"l{i}/k": IntDistribution(0, 9) for i in range(4)}
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="needs the extra gp"
)
every = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[needs_torch] * (name == "gp")) for name in sampler_names()],
)


def search(name, **options):
    sampler = make_sampler(name, options, context=SamplerContext(seed=5))
    return SearchStudy(sampler, ["minimize"], DISTRIBUTIONS)


def go_on(study, trials):
    told = []
    for _ in range(trials):
        trial = study.ask()
        told.append(study.tell(trial, [float(sum(trial.params.values()))]))
    return told


@every
def test_a_resumed_sampler_proposes_what_an_uninterrupted_one_does(name):
    # Gaussian processes take long, and start after ten trials already.
    count, cut = (16, 12) if name == "gp" else (60, 25)
    whole = go_on(search(name), count)

    resumed = search(name)
    resumed.add(whole[:cut])

    assert [t.params for t in go_on(resumed, count - cut)] == [t.params for t in whole[cut:]]


@every
def test_another_seed_gives_another_search(name):
    other = make_sampler(name, {}, context=SamplerContext(seed=6))
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
        make_sampler(name, options, context=SamplerContext(seed=0))


def test_an_option_that_fails_at_the_first_proposal_is_a_usage_error():
    study = search("tpe", n_startup_trials=1, n_ei_candidates=0)

    with pytest.raises(UsageError, match=r"'tpe' refuses its options"):
        go_on(study, 3)


@pytest.mark.parametrize("name", ["annealing", "layerwise", "profile", "qlearning"])
@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layer_order": ["l1", "l9"]}, "'l9', which is no layer"),
        ({"scalarization": [1.0]}, "one weight per objective"),
    ],
)
def test_an_option_that_does_not_fit_the_study_is_refused_before_it_begins(name, options, match):
    context = SamplerContext(seed=0, layer_order=("l0", "l1", "l2", "l3"), objectives=2)
    with pytest.raises(UsageError, match=match):
        make_sampler(name, options, context=context)


def test_the_budget_reaches_samplers_that_plan_ahead():
    def proposals(evaluations):
        sampler = make_sampler(
            "annealing", context=SamplerContext(seed=0, evaluations=evaluations)
        )
        study = SearchStudy(sampler, ["minimize"], DISTRIBUTIONS)
        return [trial.params for trial in go_on(study, 40)]

    assert proposals(40) != proposals(4000)


@pytest.mark.parametrize(("evaluations", "population"), [(40, 10), (400, 20), (9000, 50)])
def test_genetic_algorithms_get_a_population_that_fits_the_budget(evaluations, population):
    def proposals(options, evaluations):
        context = SamplerContext(seed=0, evaluations=evaluations)
        sampler = make_sampler("nsga2", options, context=context)
        study = SearchStudy(sampler, ["minimize"], DISTRIBUTIONS)
        return [trial.params for trial in go_on(study, 60)]

    ours = proposals({}, evaluations)
    assert ours == proposals({"population_size": population}, None)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"npu-tune\[gp\]"):
        make_sampler("gp", context=SamplerContext(seed=0))
