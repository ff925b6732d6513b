"""Studies of problems whose evaluations differ."""

from __future__ import annotations

import dataclasses
import math
import warnings
from itertools import pairwise

import pytest
from fake_studies import fake_study, run_fake
from fake_targets import Counting

from npu_tune.errors import NpuTuneWarning
from npu_tune.evaluation.cache import samples_of
from npu_tune.evaluation.store import Store, store_path
from npu_tune.targets import Kind, Metric
from npu_tune.testing import LayeredTarget, NoisyTarget, fake_network
from npu_tune.tuning import read_study, run_study
from npu_tune.tuning.samples import likely_spread, t_quantile
from npu_tune.tuning.trial import BASELINE, CONFIRMATION, FINALIST, REFERENCE

EXACT = LayeredTarget()
NETWORK = fake_network(6)


def run_noisy(folder, evaluations=150, *, target=None, **sections):
    target = target or NoisyTarget(EXACT)
    return run_fake(folder, evaluations, target=target, network=NETWORK, **sections)


def true_cost(result, configuration):
    """Without noise."""
    baseline = EXACT.evaluate(NETWORK, result.default).metrics
    return result.objective.cost(EXACT.evaluate(NETWORK, configuration).metrics, baseline)


def kinds(result):
    return [trial.origin for trial in result.trials if trial.duplicate_of is None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "drift"), [("random", 0.0), ("layerwise", 0.0), ("random", 0.002)]
)
def test_the_reported_cost_of_the_best_lies_within_its_interval(tmp_path, sampler, drift):
    within, errors = 0, []
    for seed in range(20):
        result = run_noisy(
            tmp_path / str(seed),
            200,
            target=NoisyTarget(EXACT, sigma=0.05, seed=seed, drift=drift),
            sampler={"name": sampler},
            study={"seed": seed},
        )
        best = result.best
        low, high = best.cost_interval
        truth = true_cost(result, best.configuration)
        within += low <= truth <= high
        errors.append(best.cost - truth)
        assert best.confirmed
        assert high - low < 0.16
    # 99 % intervals miss once in a hundred, and by no more than chance in either direction.
    assert within >= 19
    assert abs(sum(errors) / len(errors)) < 0.01


def test_the_lowest_single_evaluation_says_too_much_good_and_is_not_what_is_reported(tmp_path):
    gaps = []
    for seed in range(5):
        result = run_noisy(
            tmp_path / str(seed),
            target=NoisyTarget(EXACT, seed=seed),
            study={"seed": seed},
        )
        single = min((t for t in result.trials if t.cost is not None), key=lambda t: t.cost)
        gaps.append(true_cost(result, single.configuration) - single.cost)
    assert min(gaps) > 0.01


def test_the_baseline_is_evaluated_again_every_ten_evaluations(tmp_path):
    origins = kinds(run_noisy(tmp_path / "s"))

    search = origins[: origins.index(FINALIST) - 1]
    places = [n for n, origin in enumerate(search) if origin in (BASELINE, REFERENCE)]
    assert {b - a for a, b in pairwise(places)} == {11}


def test_finalists_and_then_the_best_are_evaluated_in_turn_with_the_baseline(tmp_path):
    result = run_noisy(tmp_path / "s")
    origins = kinds(result)

    finals = origins[origins.index(FINALIST) - 1 :]
    assert finals[: 5 * 3] == [REFERENCE, *[FINALIST] * 4] * 3
    confirmation = finals[15:]
    assert set(confirmation[::2]) == {REFERENCE}
    assert set(confirmation[1::2]) == {CONFIRMATION}
    confirmed = {t.configuration for t in result.trials if t.origin == CONFIRMATION}
    assert confirmed == {result.best.configuration}
    assert len([o for o in origins if o]) == 150


def test_a_repeat_is_an_evaluation_of_its_own_and_no_duplicate(tmp_path):
    result = run_noisy(tmp_path / "s")

    repeats = [t for t in result.trials if t.origin.startswith("repeat")]
    assert all(t.duplicate_of is None for t in repeats)
    samples = [t.sample for t in result.trials if t.origin in (BASELINE, REFERENCE)]
    assert samples == list(range(len(samples)))
    cycles = [t.metrics["cycles"] for t in repeats]
    assert len(set(cycles)) == len(cycles)


def test_what_is_read_back_is_what_was_reported(tmp_path):
    result = run_noisy(tmp_path / "s", limits=["sram_bytes <= 64 KiB"])

    read = read_study(tmp_path / "s")
    assert not read.deterministic
    assert read.trials == result.trials
    assert read.best == result.best
    assert read.best.metrics != read.trials[read.best.number].metrics
    assert read.spread["cycles"] == pytest.approx(0.05, rel=0.35)


def test_a_study_interrupted_anywhere_repeats_the_same_configurations(tmp_path):
    target = NoisyTarget(EXACT, sigma=1e-9)
    whole = run_noisy(tmp_path / "whole", 80, target=target)

    class Stop(Exception):  # noqa: N818 - it stands for a kill
        pass

    for stop_at in (12, 45, 66, 74):

        def look(progress, stop_at=stop_at):
            if progress.evaluations == stop_at:
                raise Stop

        with pytest.raises(Stop):
            run_noisy(tmp_path / "cut", 80, target=target, listener=look)
    resumed = run_noisy(tmp_path / "cut", 80, target=target)

    assert kinds(resumed) == kinds(whole)
    assert [t.configuration for t in resumed.trials] == [t.configuration for t in whole.trials]


def test_a_larger_budget_searches_on_and_confirms_again(tmp_path):
    first = run_noisy(tmp_path / "s", 60)
    second = run_noisy(tmp_path / "s", 120)

    assert second.trials[: len(first.trials)] == first.trials
    assert kinds(second)[60:].count(CONFIRMATION) > 5
    assert second.best.confirmed


def test_a_budget_too_small_for_a_confirmation_says_so(tmp_path):
    best = run_noisy(tmp_path / "s", 20).best

    assert not best.confirmed
    assert best.cost_interval[0] < best.cost < best.cost_interval[1]


def test_a_study_measures_anew_what_another_one_has_stored_and_adds_its_samples(tmp_path):
    target = Counting(NoisyTarget(EXACT), tmp_path / "log")
    store = {"study": {"cache": str(tmp_path / "cache")}}
    counts = []
    for name in ("a", "b"):
        result = run_noisy(tmp_path / name, 60, target=target, **store)
        counts.append(len(target.log.read_text().splitlines()))

    # Sixty, and the default once more at the end.
    assert counts == [61, 122]
    defaults = [trial for trial in result.trials if trial.configuration == result.default]
    problem = target.bind(NETWORK)
    path = store_path(tmp_path / "cache", problem.identity)
    with Store(path, machine=samples_of(problem)) as kept:
        key = problem.key(result.default)
        samples = [kept.find(key, number) for number in range(2 * len(defaults) + 3)]
    assert None not in samples[:-1]
    assert samples[-1] is None
    assert len({sample.evaluation.metrics["cycles"] for sample in samples[: len(defaults)]}) > 2


def test_a_baseline_that_moves_within_the_noise_is_not_warned_about(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        run_noisy(tmp_path / "s", 60)


def test_workers_evaluate_repeats_too(tmp_path):
    executor = {"kind": "process", "workers": 2}
    result = run_noisy(tmp_path / "s", 60, executor=executor)

    assert len([t for t in result.trials if t.duplicate_of is None]) == 60
    assert result.best.confirmed
    samples = [t.sample for t in result.trials if t.origin in (BASELINE, REFERENCE)]
    assert sorted(samples) == list(range(len(samples)))


@pytest.mark.parametrize(
    "sampler", ["layerwise", "profile", "annealing", "qlearning", "qlearning-offline", "tpe"]
)
def test_every_sampler_copes_with_noise(tmp_path, sampler):
    result = run_noisy(tmp_path / "s", 60, sampler={"name": sampler})

    assert result.best.confirmed
    assert true_cost(result, result.best.configuration) < 1.02


def test_samplers_are_told_of_the_noise(tmp_path):
    from npu_tune.tuning.search import UNKNOWN_NOISE, expected_noise

    study = fake_study(tmp_path / "s")
    exact = run_study(study, network=NETWORK, target=EXACT)
    with NoisyTarget(EXACT, sigma=0.04).bind(NETWORK) as noisy, EXACT.bind(NETWORK) as problem:
        assert expected_noise(noisy, exact.objective) == pytest.approx(0.04)
        assert expected_noise(problem, exact.objective) == 0.0
        silent = dataclasses.replace(exact.objective, weights={"none": 1.0})
        assert expected_noise(noisy, silent) == UNKNOWN_NOISE


@pytest.mark.parametrize(("degrees", "exact"), [(5, 4.0321), (10, 3.1693), (30, 2.7500)])
def test_the_quantile_of_students_distribution_is_that_of_the_tables(degrees, exact):
    assert t_quantile(degrees) == pytest.approx(exact, rel=2e-3)
    assert math.isclose(t_quantile(10**9), 2.5758, rel_tol=1e-4)


def test_what_is_expected_counts_where_a_few_repeats_agree_by_chance():
    metrics = (
        Metric("ms", "ms", Kind.MEASURED, spread=0.05),
        Metric("bytes", "bytes", Kind.MEASURED),
    )
    assert likely_spread(metrics, {"ms": 0.01, "bytes": 0.02}) == {"ms": 0.05, "bytes": 0.02}
    assert likely_spread(metrics, {"ms": 0.2}) == {"ms": 0.2, "bytes": 0.0}
