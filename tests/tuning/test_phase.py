from __future__ import annotations

import pytest
from fake_studies import run_fake
from fake_targets import LayeredTarget, NoisyTarget

from npu_tune.tuning.phase import Phase, phase_of


@pytest.mark.parametrize(
    ("origin", "phase"),
    [
        ("baseline", Phase.BASELINE),
        ("start: all small", Phase.STARTS),
        ("sampler", Phase.SEARCH),
        ("repeat: finalist", Phase.REPEATS),
        ("repeat: confirmation", Phase.REPEATS),
        ("polish: layer 1", Phase.POLISHING),
    ],
)
def test_the_origin_of_a_trial_tells_the_phase(origin, phase):
    assert phase_of(origin, Phase.BOUND) == phase


def test_another_evaluation_of_the_baseline_between_ends_no_phase():
    assert phase_of("repeat: reference", Phase.STARTS) == Phase.STARTS


def phases(folder, evaluations, **how):
    heard = []
    run_fake(folder, evaluations, listener=lambda progress: heard.append(progress.phase), **how)
    return list(dict.fromkeys(heard))


def test_a_study_says_what_it_is_at_from_the_beginning_to_the_end(tmp_path):
    assert phases(tmp_path / "s", 60, study={"polish": True}) == [
        Phase.READING,
        Phase.FRONT_END,
        Phase.REFERENCES,
        Phase.WORKERS,
        Phase.BASELINE,
        Phase.STARTS,
        Phase.SEARCH,
        Phase.POLISHING,
        Phase.AGAIN,
        Phase.RIVALS,
        Phase.METRICS,
        Phase.BOUND,
    ]


def test_a_study_whose_evaluations_differ_says_when_it_repeats_the_best(tmp_path):
    heard = phases(tmp_path / "s", 60, target=NoisyTarget(LayeredTarget()))
    assert heard.index(Phase.SEARCH) < heard.index(Phase.REPEATS) < heard.index(Phase.AGAIN)


def test_a_study_that_is_resumed_has_no_baseline_to_wait_for(tmp_path):
    phases(tmp_path / "s", 20)
    assert Phase.BASELINE not in phases(tmp_path / "s", 30)
