from __future__ import annotations

from dataclasses import replace

import pytest
from fake_studies import run_fake
from fake_targets import FailingTarget, LayeredTarget, Where, fake_network
from study_results import DEFAULT, measured_result, objective_of, study_result, trial

from npu_tune.report.explain import change_gains
from npu_tune.report.explain.gains import ChangeGain, leading_gains


def gain_of(label, names, gain):
    return ChangeGain(label, tuple(names), "", cost_without=1 + gain, gain=gain)


def test_what_the_study_evaluated_is_taken_from_there_and_the_rest_is_not_known():
    result = study_result()
    known, unknown = change_gains(result, result.best)
    assert known.label == "conv/ofm_block"
    assert (known.before, known.after, known.layer) == ("8x8x16", "4x4x16", "conv")
    assert known.cost_without == pytest.approx(0.825)
    assert known.gain == pytest.approx(0.1)
    assert known.metrics_without["cycles"] == 1100
    assert (unknown.label, unknown.gain, unknown.is_known) == ("network/strategy", None, False)


def test_a_failure_without_a_change_is_said():
    failing = replace(
        trial(8, 1, 1, network__strategy="Size"), failure="timeout", message="took too long"
    )
    best = trial(9, 100, 10, network__strategy="Size", conv__ofm_block="2x2x8")
    result = study_result(failing, best)
    known = change_gains(result, result.best)[0]
    assert (known.label, known.obstacle, known.gain) == ("conv/ofm_block", "took too long", None)


def test_a_limit_that_is_missed_without_a_change_is_said():
    result = study_result()
    limited = replace(result.objective, limits={"cycles": 900.0})
    (known,) = (
        each
        for each in change_gains(replace(result, objective=limited), result.best)
        if each.gain is not None
    )
    assert known.obstacle == "misses the limit of cycles"


def test_every_change_is_evaluated_alone_by_kind_and_by_layer(tmp_path):
    result = run_fake(tmp_path / "s", 60)
    best = result.best
    changes = best.configuration.difference(result.default)
    with LayeredTarget().bind(fake_network()) as problem:
        gains = change_gains(result, best, problem=problem, most=600)
        assert {gain.names[0] for gain in gains if gain.is_single} == changes.keys()
        for gain in gains:
            left = best.configuration.replace({name: result.default[name] for name in gain.names})
            if problem.space.effective(left) == best.configuration:
                assert gain.obstacle == "it is compiled to the same"
                continue
            metrics = problem.evaluate(left).metrics
            cost = result.objective.cost(metrics, result.baseline.metrics)
            assert gain.cost_without == pytest.approx(cost)
            assert gain.gain == pytest.approx(cost - best.cost)
    ordered = [gain.gain for gain in gains if gain.gain is not None]
    assert ordered == sorted(ordered, reverse=True)
    kinds = {name.rpartition("/")[2] for name in changes}
    assert {gain.label for gain in gains if gain.layer == "" and not gain.is_single} <= {
        f"all {sum(n.endswith('/' + kind) for n in changes)} changes of {kind}" for kind in kinds
    }


def test_nothing_is_evaluated_beyond_the_most_that_is_allowed(tmp_path):
    result = run_fake(tmp_path / "s", 10)
    with LayeredTarget().bind(fake_network()) as problem:
        gains = change_gains(result, result.best, problem=problem, most=0)
    assert any(not gain.is_known for gain in gains)


def test_what_does_not_compile_without_a_change_is_said():
    with LayeredTarget().bind(fake_network()) as problem:
        space = problem.space
    knob = next(knob for knob in space.knobs if knob.full_name == "network/strategy")
    other = next(value for value in knob.values if value != knob.default)
    chosen = space.default.replace({knob.full_name: other})
    result = replace(study_result(), default=space.default)
    failing = FailingTarget(LayeredTarget(), Where(knob.full_name, knob.default))
    with failing.bind(fake_network()) as problem:
        best = replace(result.best, configuration=chosen)
        (gain,) = change_gains(result, best, problem=problem, most=60)
    assert gain.gain is None
    assert gain.obstacle


def test_a_measured_study_is_asked_what_it_measured_alone():
    result = measured_result()
    (gain,) = change_gains(result, result.best)
    assert gain.label == "conv/ofm_block"
    assert gain.gain == pytest.approx(1.0 - result.best.cost, abs=0.05)


def test_the_leading_gains_share_no_change():
    gains = [
        gain_of("all 2 changes of x", ["a/x", "b/x"], 0.3),
        gain_of("a/x", ["a/x"], 0.2),
        gain_of("c/y", ["c/y"], 0.1),
        gain_of("d/y", ["d/y"], 0.0),
        gain_of("e/y", ["e/y"], -0.1),
    ]
    assert [gain.label for gain in leading_gains(gains, 3)] == ["all 2 changes of x", "c/y"]
    assert [gain.label for gain in leading_gains(gains, 1)] == ["all 2 changes of x"]


def test_a_study_without_changes_gains_nothing():
    result = replace(study_result(), objective=objective_of("sram_bytes", "cycles"))
    assert change_gains(result, replace(result.best, configuration=DEFAULT)) == ()
