"""What a worker process does, in this process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import fake_targets
import pytest
from evaluations import NETWORK, SPACE
from fake_targets import Counting, FailingTarget, LayeredTarget, Spoiling, Thrifty, Where

from npu_tune.errors import CompilerError, IllegalConfigurationError, UsageError
from npu_tune.evaluation.pool import Binding, BoundProblem
from npu_tune.raytune import evaluate, trainable
from npu_tune.raytune.worker import Bench, process_bench
from npu_tune.space import to_ray_config

DEFAULT = to_ray_config(SPACE, {})
SMALL = Where("network/strategy", "size")


@pytest.fixture
def bench():
    with Bench() as made:
        yield made


def binding_of(target, network=NETWORK):
    with target.bind(network) as problem:
        return Binding.of(problem)


def test_a_process_binds_a_problem_once_and_closes_it_for_another_one(bench, monkeypatch):
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
    for target in (first, first, second, second, first):
        assert bench.evaluate(binding_of(target), DEFAULT).metrics["cycles"] > 0
    assert events == ["1", "2", "1"]


def test_a_trainable_of_ones_own_evaluates_what_it_is_given(tmp_path):
    target = Counting(LayeredTarget(), log=tmp_path / "log")
    config = {"layer0": {"block": 2}, "seed": 3}
    reports = [evaluate(target, NETWORK, config, cache=tmp_path / "cache") for _ in range(2)]
    process_bench().close()
    expected = LayeredTarget().evaluate(NETWORK, SPACE.configuration({"layer0/block": 24}))
    for report in reports:
        assert {name: report[name] for name in expected.metrics} == dict(expected.metrics)
        assert len(report["profile"].to_dataframe()) == len(expected.profile)
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_outside_of_a_trial_and_without_a_store_everything_is_evaluated(tmp_path):
    target = Counting(LayeredTarget(), log=tmp_path / "log")
    for _ in range(2):
        evaluate(target, NETWORK, DEFAULT)
    process_bench().close()
    assert len((tmp_path / "log").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (FailingTarget(LayeredTarget(), SMALL), CompilerError, "The compiler said no"),
        (Spoiling(LayeredTarget(), SMALL), CompilerError, "'cycles' came out as nan"),
        (LayeredTarget(forbidden_block=8), IllegalConfigurationError, "block 8 is forbidden"),
    ],
)
def test_what_has_no_metrics_is_the_targets_error(bench, target, kind, words):
    with pytest.raises(kind, match=words):
        bench.evaluate(binding_of(target), DEFAULT)


SCRIPT = """
import sys, pickle
from dataclasses import dataclass
from fake_targets import LayeredTarget, fake_network
from npu_tune.raytune.worker import binding_of

@dataclass(frozen=True)
class OfAScript(LayeredTarget):
    name = "mine"

binding = binding_of(OfAScript(), fake_network())
sys.stdout.buffer.write(pickle.dumps((binding.digest, binding.payload)))
"""


def test_a_target_of_the_script_itself_travels(bench):
    path = os.pathsep.join([*sys.path, str(Path(fake_targets.__file__).parent)])
    sent = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        stdout=-1,
    )
    digest, payload = pickle.loads(sent.stdout)  # noqa: S301 - our own
    problem = bench.problem(Binding(digest, payload=payload))
    assert problem.target.name == "mine"
    assert problem.network.digest == NETWORK.digest


def test_metrics_that_nobody_needs_may_be_left_out(bench):
    binding = binding_of(Thrifty(LayeredTarget()))
    assert "share" in bench.evaluate(binding, DEFAULT).metrics
    assert "share" not in bench.evaluate(binding, DEFAULT, metrics=["cycles"]).metrics


def test_a_trainable_says_what_it_evaluates():
    assert trainable(LayeredTarget(), NETWORK).__name__ == "fake on fake-npu"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metrics": ["cycle"]}, r"'cycle', which fake-npu does not report.*'cycles'\?"),
        ({"samples": 0}, "`samples` is 0"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        trainable(LayeredTarget(), NETWORK, **arguments)
