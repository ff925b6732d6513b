from __future__ import annotations

from dataclasses import replace

from fake_targets import LayeredTarget, Thrifty, fake_network

from npu_tune.errors import CompilerError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluate import evaluate
from npu_tune.tuning.alone import fill_in
from npu_tune.tuning.trial import TrialRecord

PROBLEM = Thrifty(LayeredTarget()).bind(fake_network())
DEFAULT = PROBLEM.space.default


def lacking(number, configuration=DEFAULT):
    metrics = PROBLEM.evaluate_some(configuration, ()).metrics
    return TrialRecord(number, configuration, metrics)


def test_only_what_is_missing_is_worked_out_and_once_per_configuration():
    asked = []

    def ask(configuration, metrics):
        asked.append((configuration, metrics))
        return evaluate(PROBLEM, configuration, metrics)

    whole = replace(lacking(2), metrics=PROBLEM.evaluate(DEFAULT).metrics)
    found = fill_in([lacking(0), lacking(1), whole], PROBLEM, evaluate=ask)
    assert found == {PROBLEM.key(DEFAULT): {"share": 0.5}}
    assert [configuration for configuration, _ in asked] == [DEFAULT]
    assert set(asked[0][1]) == set(whole.metrics)


def test_what_fails_or_is_stopped_stays_as_it_is():
    failed = Outcome.failed(CompilerError("No."))
    assert fill_in([lacking(0)], PROBLEM, evaluate=lambda *_: failed) == {}
    assert fill_in([lacking(0)], PROBLEM, evaluate=lambda *_: None) == {}
