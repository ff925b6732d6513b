"""The searcher as Ray Tune drives it, without Ray itself."""

from __future__ import annotations

import pickle

import pytest
from evaluations import NETWORK, SPACE
from fake_targets import Counting, LayeredTarget
from optuna.samplers import NSGAIISampler, RandomSampler, TPESampler
from ray import cloudpickle, tune

from npu_tune.errors import IllegalConfigurationError, UsageError
from npu_tune.raytune import search_algorithm
from npu_tune.raytune.reported import report_of
from npu_tune.samplers import LayerProfileSampler
from npu_tune.space import from_ray_config


def search_for(target=None, **asked):
    return search_algorithm(target or LayeredTarget(), NETWORK, **({"metric": "cycles"} | asked))


def run_trial(search, name):
    """One trial; what was proposed."""
    config = search.suggest(name)
    evaluation = LayeredTarget().evaluate(NETWORK, from_ray_config(SPACE, config))
    search.on_trial_complete(name, report_of([evaluation]))
    return config


def test_it_says_what_it_searches_for_in_ray_tunes_words():
    assert (search_for().metric, search_for().mode) == ("cycles", "min")
    several = search_for(metric=["cycles", "accuracy"])
    assert (several.metric, several.mode) == (["cycles", "accuracy"], ["min", "max"])


def test_the_sampler_is_that_of_a_study_unless_one_is_given():
    assert isinstance(search_for().study.sampler, LayerProfileSampler)
    for sampler in (RandomSampler(seed=1), TPESampler(seed=1), NSGAIISampler(seed=1)):
        assert search_for(sampler=sampler).study.sampler is sampler


@pytest.mark.parametrize("points", [None, [{"layer1/block": 32}]])
def test_it_begins_with_the_default_and_what_was_planned(points):
    target = LayeredTarget(start_labels=("a", "b"))
    search = search_for(target, points_to_evaluate=points)
    proposed = [from_ray_config(SPACE, search.suggest(str(i))) for i in range(3)]
    planned = points or [{"layer0/block": 16}, {"layer0/block": 24}]
    expected = [SPACE.default, *map(SPACE.configuration, planned)]
    assert proposed[: len(expected)] == expected


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"metric": "cycle"}, UsageError, r"Did you mean 'cycles'\?"),
        ({"sampler": "profil"}, UsageError, r"Did you mean 'profile'\?"),
        ({"points_to_evaluate": [{"layer0/blok": 1}]}, IllegalConfigurationError, "no knob"),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_made(asked, kind, words):
    with pytest.raises(kind, match=words):
        search_for(**asked)


def test_a_param_space_narrows_what_is_proposed():
    search = search_for(sampler="random")
    space = {"layer1": {"block": tune.randint(1, 3)}, "seed": 3}
    assert search.set_search_properties(None, None, space, num_samples=5)
    proposed = [from_ray_config(SPACE, search.suggest(name)) for name in "ab"]
    assert {each["layer1/block"] for each in proposed} == {16, 24}
    assert search.suggest("c") is None
    for name in "ab":
        search.on_trial_complete(name, {"cycles": 1.0})
    assert search.suggest("c") == search.FINISHED


@pytest.mark.parametrize("metric", ["cycles", "sram_bytes", "training_iteration", None])
def test_a_tuner_may_report_by_any_metric_that_there_is(metric):
    assert search_for().set_search_properties(metric, None, {"seed": 3})


def test_what_an_earlier_experiment_found_is_known():
    class Result:
        error = None

        def __init__(self, config):
            evaluation = LayeredTarget().evaluate(NETWORK, from_ray_config(SPACE, config))
            self.config, self.metrics = config, report_of([evaluation])

    earlier = search_for()
    results = [Result(run_trial(earlier, str(number))) for number in range(4)]
    search = search_for()
    search.add_results(results)
    assert len(search.study.trials) == 4
    proposed = [run_trial(search, str(number)) for number in range(4)]
    assert not [each for each in proposed if each in [result.config for result in results]]


@pytest.mark.parametrize("sampler", [None, "nsga2", RandomSampler(seed=1)])
def test_it_goes_on_from_what_ray_tune_has_saved(sampler, tmp_path):
    search = search_for(sampler=sampler, metric=["cycles", "sram_bytes"])
    # As the Tuner keeps it, before anything was proposed.
    kept = cloudpickle.dumps(search)
    search.set_search_properties(None, None, {"network": {"strategy": "speed"}})
    search.set_search_properties(None, None, {"seed": 1})
    for number in range(5):
        run_trial(search, str(number))
    running = search.suggest("running")
    search.save(str(tmp_path / "state"))
    again = pickle.loads(kept)  # noqa: S301 - our own
    again.restore(str(tmp_path / "state"))
    for each in (search, again):
        assert each.suggest("running") == running
        each.on_trial_complete("running", {"cycles": 1.0, "sram_bytes": 2.0})
    assert [t.params for t in again.study.trials] == [t.params for t in search.study.trials]
    assert [run_trial(again, str(i)) for i in range(9, 12)] == [
        run_trial(search, str(i)) for i in range(9, 12)
    ]


def test_a_narrowed_search_stays_so_when_it_is_restored(tmp_path):
    search = search_for()
    kept = cloudpickle.dumps(search)
    search.set_search_properties(None, None, {"layer1": {"block": tune.randint(1, 3)}})
    search.save(str(tmp_path / "state"))
    again = pickle.loads(kept)  # noqa: S301 - our own
    again.restore(str(tmp_path / "state"))
    assert from_ray_config(SPACE, again.suggest("a"))["layer1/block"] in (16, 24)


def test_it_evaluates_nothing_itself(tmp_path):
    search_for(Counting(LayeredTarget(), log=tmp_path / "log")).suggest("a")
    assert not (tmp_path / "log").exists()
