from __future__ import annotations

import pytest
from optuna.distributions import IntDistribution

from npu_tune._optuna_compat import SearchStudy
from npu_tune.tuning.samplers import SamplerContext, make_sampler

DISTRIBUTIONS = {f"l{i}/k": IntDistribution(0, 9) for i in range(4)}


def search(name):
    sampler = make_sampler(name, {"population_size": 10}, context=SamplerContext(seed=5))
    return SearchStudy(sampler, ["minimize"] * 2, DISTRIBUTIONS)


def go_on(study, trials):
    told = []
    for _ in range(trials):
        trial = study.ask()
        total = float(sum(trial.params.values()))
        told.append(study.tell(trial, [total, abs(total - 20.0)]))
    return told


@pytest.mark.filterwarnings("ignore:NSGAIIISampler is experimental")
@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
@pytest.mark.parametrize("cut", range(20, 31, 2))
def test_genetic_algorithms_go_on_in_the_middle_of_any_generation(name, cut):
    whole = go_on(search(name), 45)

    resumed = search(name)
    resumed.add(whole[:cut])

    assert [t.params for t in go_on(resumed, 45 - cut)] == [t.params for t in whole[cut:]]


@pytest.mark.filterwarnings("ignore:NSGAIIISampler is experimental")
@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_genetic_algorithms_breed_from_the_better_trials(name):
    totals = [trial.values[0] for trial in go_on(search(name), 120)]
    assert sum(totals[-30:]) < 0.9 * sum(totals[:30])
