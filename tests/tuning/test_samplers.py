from __future__ import annotations

import importlib.util
import inspect
import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.samplers import BruteForceSampler, RandomSampler

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import MissingExtraError, NpuTuneWarning, UsageError
from npu_tune.samplers import (
    LayerProfileSampler,
    LayerwiseSampler,
    OfflineQLearningSampler,
    QLearningSampler,
    SimulatedAnnealingSampler,
)
from npu_tune.samplers.layers import NETWORK_SCOPE as SAMPLERS_SCOPE
from npu_tune.space import NETWORK_SCOPE
from npu_tune.tuning import samplers
from npu_tune.tuning.samplers import (
    SamplerContext,
    SamplerKind,
    SeededPerTrial,
    make_sampler,
    sampler_kind,
    sampler_names,
)

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


def test_an_order_of_layers_that_is_asked_for_is_followed_whatever_profiles_say():
    def visits(options):
        context = SamplerContext(seed=0, layer_order=("a", "b"), baseline={"a/x": 0, "b/x": 0})
        sampler = make_sampler("layerwise", {"beam_width": 1, **options}, context=context)
        study = optuna.create_study(sampler=sampler)
        for _ in range(2):
            trial = study.ask({name: IntDistribution(0, 1) for name in ("a/x", "b/x")})
            trial.set_user_attr("profile", {"a": {"cycles": 1.0}, "b": {"cycles": 9.0}})
            study.tell(trial, 1.0 + sum(trial.params.values()))
        return trial.params

    assert visits({"layer_order": ["a"]}) == {"a/x": 1, "b/x": 0}
    assert visits({}) != {"a/x": 1, "b/x": 0}


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


OPTUNA = {
    "gp": optuna.samplers.GPSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "nsga3": optuna.samplers.NSGAIIISampler,
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
}
OURS = {
    "annealing": SimulatedAnnealingSampler,
    "layerwise": LayerwiseSampler,
    "profile": LayerProfileSampler,
    "qlearning": QLearningSampler,
    "qlearning-offline": OfflineQLearningSampler,
}


@pytest.mark.parametrize("name", OPTUNA)
def test_all_options_of_an_optuna_sampler_but_seed_and_functions_are_declared(name):
    parameters = inspect.signature(OPTUNA[name]).parameters.values()
    options = {p.name for p in parameters if "Callable" not in str(p.annotation)} - {"seed"}
    assert set(sampler_kind(name).options) == options


@pytest.mark.parametrize("name", OURS)
def test_all_options_of_our_samplers_but_seed_and_settings_are_declared(name):
    parameters = inspect.signature(OURS[name]).parameters
    assert set(sampler_kind(name).options) == set(parameters) - {"seed", "settings"}


def test_samplers_and_spaces_have_the_same_word_for_the_whole_network():
    assert SAMPLERS_SCOPE == NETWORK_SCOPE


def test_the_columns_of_the_profile_and_the_noise_reach_the_sampler():
    context = SamplerContext(seed=0, noise=0.1, profile_cost="ns", profile_group=None)
    sampler = make_sampler("profile", context=context)
    assert (sampler._cost_column, sampler._group_column, sampler._noise) == ("ns", None, 0.1)
    assert make_sampler("profile", {"noise": 0.2}, context=context)._noise == 0.2


def test_any_optuna_sampler_may_be_given_as_an_instance():
    given = BruteForceSampler(seed=0)
    assert make_sampler(given, context=SamplerContext(seed=1)) is given


@pytest.mark.parametrize(
    ("options", "given", "match"),
    [
        ({}, LayerwiseSampler(layer_order=["l9"]), "'l9', which is no layer"),
        ({}, LayerwiseSampler(scalarization=[1.0]), "one weight per objective"),
        ({"seed": 3}, RandomSampler(), "takes no options"),
    ],
)
def test_an_instance_that_does_not_fit_the_study_is_refused(options, given, match):
    context = SamplerContext(seed=0, layer_order=("l0",), objectives=2)
    with pytest.raises(UsageError, match=match):
        make_sampler(given, options, context=context)


def make_uniform(options, context):
    return RandomSampler(seed=context.seed)


UNIFORM = SamplerKind(
    "uniform", "of somebody else", make_uniform, options={"speed": "of it"}, seeded_per_trial=True
)
ALSO_UNIFORM = UNIFORM


def uniform_kind():
    return UNIFORM


def broken_kind():
    raise RuntimeError("its library is too old")


@pytest.fixture
def install(monkeypatch):
    """Installs entry points by name, each an attribute of this module."""

    def set_points(*points):
        found = [
            EntryPoint(name, f"someone:{value}", "npu_tune.samplers") for name, value in points
        ]
        monkeypatch.setattr(samplers, "entry_points", lambda **_: found)
        # Entry points load this module by its name, which need not be importable by a path.
        here = ModuleType("someone")
        vars(here).update(globals())
        monkeypatch.setitem(sys.modules, "someone", here)

    return set_points


@pytest.mark.parametrize("value", ["UNIFORM", "uniform_kind"])
def test_another_package_brings_a_sampler_by_an_entry_point(install, value):
    install(("uniform", value))
    assert "uniform" in sampler_names()
    sampler = make_sampler("uniform", {"speed": 3}, context=SamplerContext(seed=5))
    assert isinstance(sampler, SeededPerTrial)
    with pytest.raises(UsageError, match="Did you mean 'speed'"):
        make_sampler("uniform", {"sped": 3}, context=SamplerContext(seed=5))


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("missing", "AttributeError"),
        ("broken_kind", "its library is too old"),
        ("DISTRIBUTIONS", "no SamplerKind"),
        ("UNIFORM", "no SamplerKind of that name"),
    ],
)
def test_a_broken_sampler_of_another_package_harms_only_itself(install, value, match):
    install(("uniform", "UNIFORM"), ("strange", value))
    with pytest.warns(NpuTuneWarning, match=f"'strange' of the entry point .*{match}"):
        assert set(sampler_names()) - set(OPTUNA) - set(OURS) == {"uniform"}
    make_sampler("uniform", context=SamplerContext(seed=5))
    with (
        pytest.warns(NpuTuneWarning, match="'strange'"),
        pytest.raises(UsageError, match=r"sampler\.name"),
    ):
        make_sampler("strange", context=SamplerContext(seed=5))


def test_two_samplers_of_one_name_are_refused_when_it_is_asked_for(install):
    install(("uniform", "UNIFORM"), ("uniform", "ALSO_UNIFORM"))
    make_sampler("layerwise", context=SamplerContext(seed=0))
    with pytest.raises(
        UsageError, match=r"more than one sampler 'uniform': .*ALSO_UNIFORM.*UNIFORM"
    ):
        make_sampler("uniform", context=SamplerContext(seed=0))


def test_no_package_takes_over_a_built_in_name(install):
    install(("tpe", "UNIFORM"))
    with pytest.warns(NpuTuneWarning, match="built-in"):
        assert sampler_names().count("tpe") == 1
    assert sampler_kind("tpe").description != UNIFORM.description
