from __future__ import annotations

import dataclasses

import pytest
from fake_studies import run_fake
from fake_targets import FailingTarget, LayeredTarget, NoisyTarget, Where

import npu_tune
from npu_tune.errors import InfeasibleError, ModelError, UsageError
from npu_tune.network import Network, load_network

TARGET = LayeredTarget()


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("ds-cnn")


@pytest.fixture
def study(tmp_path, network):
    run_fake(tmp_path / "s", 12, network=network)
    return tmp_path / "s"


class Otherwise(LayeredTarget):
    """Answers with a little more, as another version of a compiler does."""

    def fingerprint(self):
        return {**super().fingerprint(), "version": "2"}

    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        more = {name: value * 1.5 for name, value in found.metrics.items()}
        return dataclasses.replace(found, metrics=more)


def test_the_best_of_a_study_is_evaluated_again_to_the_same_numbers(study):
    found = npu_tune.verify(study, target=TARGET)
    assert found.same
    best = npu_tune.load_study(study).best
    assert found.trials == (best.number,)
    assert {check.name: check.now for check in found.metrics} == dict(best.metrics)


def test_trials_are_drawn_by_the_seed_and_no_more_than_there_are(study):
    one, same, other, all_of_them = (
        npu_tune.verify(study, target=TARGET, sample=count, seed=seed).trials
        for count, seed in ((4, 1), (4, 1), (4, 2), (10**6, 0))
    )
    assert one == same != other
    assert list(all_of_them) == [
        t.number for t in npu_tune.load_study(study).distinct if t.duplicate_of is None
    ]


def test_a_version_that_evaluates_otherwise_is_named_with_every_metric(study):
    found = npu_tune.verify(study, target=Otherwise())
    assert not found.same
    assert all(check.now == 1.5 * check.recorded for check in found.metrics)
    assert "target's version" in found.shortcoming.message


def test_a_trial_that_cannot_be_evaluated_any_more_says_why(study):
    failing = FailingTarget(TARGET, Where("network/strategy", "size"))
    found = npu_tune.verify(study, target=failing, sample=10**6)
    trials = {trial.number: trial for trial in npu_tune.load_study(study).trials}
    assert found.failures
    assert {trials[n].configuration["network/strategy"] for n in found.failures} == {"size"}
    assert not found.same


def test_measured_metrics_are_held_against_the_noise_and_decide_nothing(tmp_path, network):
    noisy = NoisyTarget(LayeredTarget())
    run_fake(tmp_path / "s", 30, target=noisy, network=network)
    found = npu_tune.verify(tmp_path / "s", target=noisy)
    assert found.same
    assert not any(check.counts for check in found.metrics)
    assert any(check.now != check.recorded for check in found.metrics)
    assert not npu_tune.verify(tmp_path / "s", target=NoisyTarget(Otherwise())).differs


def test_a_model_of_another_digest_is_refused(study, tmp_path):
    (tmp_path / "other.tflite").write_bytes(load_network("resnet8").model_bytes)
    with pytest.raises(ModelError, match="SHA-256"):
        npu_tune.verify(study, target=TARGET, model=tmp_path / "other.tflite")


def test_a_study_without_a_trial_within_the_limits_has_no_best_but_trials_to_draw(
    tmp_path, network
):
    run_fake(tmp_path / "s", 6, network=network, limits=["cycles <= 1"])
    with pytest.raises(InfeasibleError):
        npu_tune.verify(tmp_path / "s", target=TARGET)
    assert npu_tune.verify(tmp_path / "s", target=TARGET, sample=2).same


@pytest.mark.parametrize("what", ["folder", "file", "nothing"])
def test_what_is_neither_an_export_nor_a_study_is_refused(tmp_path, what):
    path = tmp_path / "here"
    if what == "folder":
        path.mkdir()
    if what == "file":
        path.write_text("page")
    with pytest.raises(UsageError, match="is a file" if what == "file" else "neither an export"):
        npu_tune.verify(path)
