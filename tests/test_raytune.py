"""Real Ray Tune runs of a built-in network on Ethos-U, and the traps of its OptunaSearch."""

from __future__ import annotations

import math
import os
import pickle
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import fake_targets
import pytest
from fake_targets import FailingTarget, LayeredTarget, Spoiling, Where, fake_network
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from npu_tune.evaluation.pool import BoundProblem
from npu_tune.network import load_network
from npu_tune.raytune import _bound_problem, param_space, search_algorithm, trainable
from npu_tune.space import to_params
from npu_tune.targets import load_target

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SUPPORT = str(Path(fake_targets.__file__).parent)


@pytest.fixture(scope="module")
def ray_here():
    """Ray on this machine, with the test doubles importable in its workers."""
    import ray

    path = os.pathsep.join([SUPPORT, os.environ.get("PYTHONPATH", "")])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    yield ray
    ray.shutdown()


@dataclass(frozen=True)
class Found:
    """What a Tuner run left behind."""

    results: list
    search: object

    @property
    def optuna_trials(self):
        return self.search._ot_study.trials


@pytest.fixture
def fit(ray_here, tmp_path):
    """Runs a Tuner to its end."""
    from ray import tune

    def run(target, network, *, samples, wrap=lambda search: search, **search_options):
        with target.bind(network) as problem:
            search = search_algorithm(problem.space, **search_options)
        tuner = tune.Tuner(
            trainable(target, network),
            tune_config=tune.TuneConfig(
                search_alg=wrap(search),
                num_samples=samples,
                max_concurrent_trials=2,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
        )
        return Found(list(tuner.fit()), search)

    return run


def test_a_real_network_is_tuned_and_the_first_trial_is_the_vendors_default(fit):
    target, network = load_target("ethos-u55-128"), load_network("ds-cnn")
    found = fit(target, network, samples=8, metric="cycles", mode="min", seed=0)
    with target.bind(network) as problem:
        space = problem.space
        default = problem.evaluate(space.default).metrics
    first = min(found.optuna_trials, key=lambda trial: trial.number)
    assert first.params == to_params(space, space.default)
    assert first.value == default["cycles"]
    finished = [result.metrics for result in found.results if not result.error]
    assert all(set(default) <= set(metrics) for metrics in finished)
    assert min(metrics["cycles"] for metrics in finished) <= default["cycles"]
    assert all(trial.state.is_finished() for trial in found.optuna_trials)


@pytest.mark.parametrize(
    ("misbehaving", "words"),
    [(FailingTarget, "The compiler said no"), (Spoiling, "'cycles' came out as nan")],
)
def test_what_has_no_metrics_ends_its_trial_as_an_error_and_the_search_goes_on(
    fit, misbehaving, words
):
    target = misbehaving(LayeredTarget(), Where("network/strategy", "speed"))
    sampler = RandomSampler(seed=1)
    found = fit(target, fake_network(2), samples=5, metric="cycles", sampler=sampler)
    assert len(found.results) == 5
    for result in found.results:
        assert (result.error is not None) == (result.config["network"]["strategy"] == "speed")
        assert result.error is None or words in str(result.error)
    failed = [trial for trial in found.optuna_trials if trial.state == TrialState.FAIL]
    assert 0 < len(failed) == sum(result.error is not None for result in found.results)
    assert all(trial.state.is_finished() for trial in found.optuna_trials)


def test_a_repeater_measures_every_proposal_several_times(fit):
    from ray.tune.search import Repeater

    found = fit(
        LayeredTarget(),
        fake_network(2),
        samples=6,
        metric="cycles",
        seed=0,
        wrap=partial(Repeater, repeat=2),
    )
    assert [result.error for result in found.results] == [None] * 6
    assert {result.config["__trial_index__"] for result in found.results} == {0, 1}
    values = [t.value for t in found.optuna_trials if t.state == TrialState.COMPLETE]
    assert len(values) == 3
    assert {result.metrics["cycles"] for result in found.results} == set(values)


def test_several_metrics_are_searched_for_their_front(fit):
    found = fit(
        LayeredTarget(), fake_network(2), samples=6, metric=["cycles", "sram_bytes"], seed=0
    )
    complete = [t for t in found.optuna_trials if t.state == TrialState.COMPLETE]
    assert len(complete) == 6
    assert all(len(trial.values) == 2 and math.isfinite(sum(trial.values)) for trial in complete)


def test_any_other_optuna_sampler_may_be_given(fit):
    sampler = RandomSampler(seed=0)
    found = fit(LayeredTarget(), fake_network(2), samples=3, metric="cycles", sampler=sampler)
    assert found.search._ot_study.sampler is sampler
    assert len(found.results) == 3


def test_a_param_space_without_a_searcher_is_sampled_by_ray_tune_itself(ray_here, tmp_path):
    from ray import tune

    target, network = LayeredTarget(), fake_network(2)
    with target.bind(network) as problem:
        space = param_space(problem.space)
    tuner = tune.Tuner(
        trainable(target, network),
        param_space=space,
        tune_config=tune.TuneConfig(num_samples=2),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    results = list(tuner.fit())
    assert [result.error for result in results] == [None, None]


@pytest.fixture
def evaluate_here(monkeypatch):
    """Does what a worker of Ray Tune does, in this process; gives what it reports."""
    from ray import tune

    reported = []
    monkeypatch.setattr(tune, "with_parameters", partial)
    monkeypatch.setattr(tune, "report", reported.append)

    def run(target, network):
        with target.bind(network) as problem:
            default = to_params(problem.space, problem.space.default)
        config = {}
        for name, value in default.items():
            layer, _, knob = name.rpartition("/")
            config.setdefault(layer, {})[knob] = value
        # Every trial gets a copy of its own, as through Ray's object store.
        parts = pickle.loads(pickle.dumps((target, network)))  # noqa: S301
        trainable(*parts)(config)
        return reported[-1]

    _bound_problem.cache_clear()
    yield run
    _bound_problem().close()
    _bound_problem.cache_clear()


def test_a_process_binds_a_problem_once_and_closes_it_for_another_one(evaluate_here, monkeypatch):
    events = []
    bind = BoundProblem.get

    def watched(bound, binding):
        before = bound.digest
        problem = bind(bound, binding)
        if bound.digest != before:
            events.append(problem.target.compiler)
        return problem

    monkeypatch.setattr(BoundProblem, "get", watched)
    first, second = LayeredTarget(), LayeredTarget(compiler="2")
    network = fake_network(2)
    for target in (first, first, second, second, first):
        assert evaluate_here(target, network)["cycles"] > 0
    assert events == ["1", "2", "1"]
    evaluate_here(first, fake_network(2, content=b"another"))
    assert events == ["1", "2", "1", "1"]
