from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from npu_tune.errors import CompilerError, InaccurateOutputError
from npu_tune.targets import Problem, ProfileSchema, default_objective
from npu_tune.targets.oracle import Oracle
from npu_tune.testing import (
    CrashingTarget,
    FailingTarget,
    HangingTarget,
    InaccurateTarget,
    LayeredTarget,
    NoisyTarget,
    SlowTarget,
    Where,
    WrappedTarget,
    fake_network,
    some_configurations,
)

NETWORK = fake_network()
SPACE = LayeredTarget().space(NETWORK)
CHANGED = SPACE.configuration({"layer0/block": 16})


def cycles(problem: Problem, count: int) -> list[float]:
    return [problem.evaluate(SPACE.default).metrics["cycles"] for _ in range(count)]


def noise(target: NoisyTarget, count: int = 20) -> list[float]:
    return cycles(target.bind(NETWORK), count)


def test_a_kit_without_pytest_can_be_imported():
    program = "import npu_tune.testing, sys; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class TestNoise:
    def test_every_evaluation_differs(self):
        assert len(set(noise(NoisyTarget()))) == 20
        assert not NoisyTarget().bind(NETWORK).deterministic

    def test_it_is_the_same_in_the_next_problem_of_the_same_process(self):
        assert noise(NoisyTarget()) == noise(NoisyTarget())

    def test_another_seed_makes_another_noise(self):
        assert noise(NoisyTarget(seed=1)) != noise(NoisyTarget())

    def test_it_differs_from_process_to_process(self):
        sent = pickle.loads(pickle.dumps(NoisyTarget()))  # noqa: S301 - made here
        assert sent == NoisyTarget()
        assert sent.fingerprint() == NoisyTarget().fingerprint()
        assert noise(sent) != noise(NoisyTarget())

    def test_its_mean_is_the_truth_and_its_spread_is_sigma(self):
        values = noise(NoisyTarget(sigma=0.1), 2000)
        truth = LayeredTarget().evaluate(NETWORK, SPACE.default).metrics["cycles"]
        assert statistics.fmean(values) == pytest.approx(truth, rel=0.01)
        assert statistics.stdev(values) / truth == pytest.approx(0.1, rel=0.1)

    def test_a_drift_adds_up(self):
        values = noise(NoisyTarget(sigma=0.0, drift=0.5), 3)
        assert values == pytest.approx([values[0], 1.5 * values[0], 2.0 * values[0]])

    def test_other_metrics_stay_as_they_are(self):
        target = NoisyTarget(only=("cycles",))
        found = target.bind(NETWORK).evaluate(SPACE.default).metrics
        truth = LayeredTarget().evaluate(NETWORK, SPACE.default).metrics
        assert found["cycles"] != truth["cycles"]
        assert found["sram_bytes"] == truth["sram_bytes"]
        assert [metric.spread for metric in target.metrics] == [0.05, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (FailingTarget(), CompilerError),
        (FailingTarget(error=ZeroDivisionError), ZeroDivisionError),
        (InaccurateTarget(), InaccurateOutputError),
    ],
)
def test_a_target_that_fails_raises_in_evaluations_and_builds(target, error, tmp_path):
    with target.bind(NETWORK) as problem:
        assert problem.evaluate(SPACE.default).metrics
        with pytest.raises(error):
            problem.evaluate(CHANGED)
        with pytest.raises(error):
            problem.build(CHANGED, tmp_path)


def test_a_slow_target_waits_before_every_evaluation(monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    with SlowTarget(seconds=3.0).bind(NETWORK) as problem:
        cycles(problem, 2)
    assert waited == [3.0, 3.0]


def test_where_picks_by_a_value_or_all_but_the_default():
    everything = Where()
    assert everything.holds(CHANGED, SPACE)
    assert not everything.holds(SPACE.default, SPACE)
    assert Where("layer0/block", 16).holds(CHANGED, SPACE)
    assert not Where("layer0/block", 24).holds(CHANGED, SPACE)
    assert not Where("no/knob", 24).holds(CHANGED, SPACE)


@pytest.mark.parametrize(
    "target",
    [
        NoisyTarget(sigma=0.1),
        SlowTarget(),
        FailingTarget(),
        InaccurateTarget(),
        CrashingTarget(once_in=Path("here")),
        HangingTarget(),
        WrappedTarget(FailingTarget()),
        FailingTarget(FailingTarget()),
    ],
)
def test_wrappers_are_values_with_a_fingerprint_of_their_own(target):
    assert pickle.loads(pickle.dumps(target)) == target  # noqa: S301 - made here
    assert target.fingerprint() != target.inner.fingerprint()
    assert target.name == "fake-npu"


@dataclass(frozen=True)
class Keeping(WrappedTarget):
    """Keeps state in its problems."""

    def bind(self, network):
        problem = super().bind(network)
        problem.profile = ProfileSchema(cost="sram_bytes")
        problem.deterministic = False
        return problem


def test_what_a_problem_says_of_itself_gets_through_several_wrappers(tmp_path):
    inner = Keeping(LayeredTarget(start_labels=("a",)))
    with SlowTarget(FailingTarget(inner), seconds=0.0).bind(NETWORK) as problem:
        assert problem.profile.cost == "sram_bytes"
        assert not problem.deterministic
        assert [start.label for start in problem.starts()] == ["a"]
        assert list(problem.references()) == ["other compiler"]
        assert problem.build(SPACE.default, tmp_path).files["model"].read_bytes() == b"model"
        assert problem.network is NETWORK
        assert not isinstance(problem, Oracle)


def test_the_layered_target_is_optimised_in_its_first_two_metrics():
    assert default_objective(LayeredTarget().metrics) == ("cycles", "sram_bytes")


def test_some_configurations_are_the_same_for_the_same_seed():
    assert some_configurations(SPACE, 6) == some_configurations(SPACE, 6)
    assert some_configurations(SPACE, 6) != some_configurations(SPACE, 6, seed=1)
    assert len(set(some_configurations(SPACE, 30))) > 20
