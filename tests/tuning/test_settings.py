from __future__ import annotations

import dataclasses
import warnings

import pytest
from fake_studies import fake_study, run_fake, story
from fake_targets import LayeredTarget, NoisyTarget, fake_network
from optuna.samplers import RandomSampler

from npu_tune.errors import NpuTuneWarning
from npu_tune.space import SearchSpace
from npu_tune.tuning import read_study, run_study
from npu_tune.tuning.folder import STUDY_FILE

ANNEALING = {"name": "annealing", "chains": 2}


def _searches(folder):
    return [
        (s.first_trial, s.sampler, s.seed, dict(s.options)) for s in read_study(folder).searches
    ]


def test_another_sampler_seed_or_option_is_said_and_kept_with_its_first_trial(tmp_path):
    folder = tmp_path / "s"
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        first = len(run_fake(folder, 6).trials)
    with pytest.warns(NpuTuneWarning, match="sampler is annealing, which was random") as told:
        second = len(run_fake(folder, 9, sampler=ANNEALING, study={"seed": 5}).trials)
    assert "seed is 5, which was 0" in str(told[0].message)
    assert "option chains is 2, which was not given" in str(told[0].message)
    with pytest.warns(NpuTuneWarning, match="option chains is 3, which was 2") as told:
        run_fake(folder, 12, sampler=ANNEALING | {"chains": 3}, study={"seed": 5})
    assert "seed" not in str(told[0].message)
    assert _searches(folder) == [
        (0, "random", 0, {}),
        (first, "annealing", 5, {"chains": 2}),
        (second, "annealing", 5, {"chains": 3}),
    ]


def test_the_same_settings_again_say_nothing_and_add_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        for evaluations in (4, 8, 12):
            run_fake(tmp_path / "s", evaluations, executor={"kind": "process", "workers": 1})
    assert _searches(tmp_path / "s") == [(0, "random", 0, {})]


def test_a_study_of_an_earlier_version_is_compared_with_its_study_file(tmp_path):
    folder = tmp_path / "s"
    run_fake(folder, 5, study={"seed": 3})
    lines = (folder / "ledger.journal").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'{"stretch:' not in line]
    (folder / "ledger.journal").write_bytes(b"".join(kept))
    assert _searches(folder) == []
    with pytest.warns(NpuTuneWarning, match="seed is 4, which was 3"):
        run_fake(folder, 8, study={"seed": 4})
    assert [row[2] for row in _searches(folder)] == [3, 4]


class WithoutProfiles(LayeredTarget):
    reports_profiles = False

    def evaluate(self, network, configuration):
        return dataclasses.replace(super().evaluate(network, configuration), profile={})


class WithoutLayers(LayeredTarget):
    def space(self, network):
        return SearchSpace(super().space(network).knobs[:1])

    def evaluate(self, network, configuration):
        whole = LayeredTarget.space(self, network).configuration(configuration)
        return super().evaluate(network, whole)


@pytest.mark.parametrize(
    ("target", "sampler"),
    [
        (LayeredTarget(), "profile"),
        (NoisyTarget(LayeredTarget()), "profile"),
        (WithoutProfiles(), "layerwise"),
        (NoisyTarget(WithoutProfiles()), "layerwise"),
        (WithoutLayers(), "layerwise"),
    ],
)
def test_a_study_that_names_no_sampler_learns_from_profiles_where_there_are_any(
    tmp_path, target, sampler
):
    result = run_fake(tmp_path / "s", 3, target=target, sampler={})

    assert [each.sampler for each in result.searches] == [sampler]
    assert f'name = "{sampler}"' in (tmp_path / "s" / STUDY_FILE).read_text()


@pytest.mark.parametrize("before", [{"name": "layerwise", "beam_width": 2}, ANNEALING])
def test_a_study_that_goes_on_without_naming_a_sampler_keeps_its_own(tmp_path, before):
    folder = tmp_path / "s"
    run_fake(folder, 6, sampler=before)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        result = run_fake(folder, 9, sampler={})
    whole = run_fake(tmp_path / "whole", 9, sampler=before)

    assert [s.sampler for s in result.searches] == [before["name"]]
    if before is not ANNEALING:  # which plans for its budget
        assert story(result) == story(whole)


def test_a_study_whose_sampler_was_made_in_python_says_which_one_goes_on(tmp_path):
    made = run_study(
        fake_study(tmp_path / "s", 4),
        network=fake_network(),
        target=LayeredTarget(),
        sampler=RandomSampler(seed=1),
    )
    assert [each.sampler for each in made.searches] == ["RandomSampler"]
    with pytest.warns(NpuTuneWarning, match="sampler is profile, which was RandomSampler"):
        run_fake(tmp_path / "s", 8, sampler={})


@pytest.mark.parametrize("asked", [4, 11])
def test_a_study_with_more_than_is_asked_for_says_so_and_stays_as_it_is(tmp_path, asked):
    folder = tmp_path / "s"
    done = run_fake(folder, 12)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.warns(NpuTuneWarning, match=f"already done, with 12 of {asked} evaluations"):
        again = run_fake(folder, asked, sampler=ANNEALING, study={"seed": 9})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert "seed = 0" in (folder / STUDY_FILE).read_text()
    assert again.evaluations_planned == 12
    assert again.trials == done.trials


@pytest.mark.parametrize("name", ["nsga2", "nsga3"])
def test_a_sampler_for_several_objectives_says_what_it_does_with_one(tmp_path, name):
    with pytest.warns(
        NpuTuneWarning, match=f"The sampler {name} sees one number only, the cost: it is"
    ):
        run_fake(tmp_path / "one", 4, sampler={"name": name})
    with warnings.catch_warnings():
        warnings.simplefilter("error", NpuTuneWarning)
        run_fake(tmp_path / "two", 4, sampler={"name": name}, objective={"mode": "pareto"})
