from __future__ import annotations

import pickle
import subprocess
import sys

from evaluations import CHANGED, NETWORK
from fake_targets import Counting, FailingTarget, LayeredTarget, Where

from npu_tune.errors import CompilerError
from npu_tune.evaluation import evaluate
from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.pool import Binding
from npu_tune.raytune.shared import SharedOutcomes

EVALUATE_ALL = """
import pickle, sys
from npu_tune.evaluation.pool import Binding
from npu_tune.raytune.worker import Bench
folder, digest, payload, configs = pickle.load(sys.stdin.buffer)
with Bench() as bench:
    for config in configs:
        bench.evaluate(Binding(digest, payload=payload), config, cache=folder)
"""


def ask(folder, target, configuration):
    with target.bind(NETWORK) as problem, SharedOutcomes(folder, problem.identity) as shared:
        request = Request(configuration, problem.key(configuration))
        return shared.get(request, lambda: evaluate(problem, configuration))


def test_what_is_known_is_not_evaluated_again(tmp_path):
    target = Counting(LayeredTarget(), log=tmp_path / "log")
    first = ask(tmp_path, target, CHANGED[0])
    again = ask(tmp_path, target, CHANGED[0])
    assert again.evaluation == first.evaluation
    assert len((tmp_path / "log").read_text().splitlines()) == 1


def test_a_failure_that_the_configuration_caused_is_known_too(tmp_path):
    target = FailingTarget(LayeredTarget(), Where("layer0/block", 16))
    for _ in range(2):
        outcome = ask(tmp_path, target, CHANGED[0])
        assert isinstance(outcome.error, CompilerError)
        assert "The compiler said no" in str(outcome.error)


def test_processes_that_ask_at_the_same_time_evaluate_once(tmp_path):
    target = Counting(LayeredTarget(), log=tmp_path / "log")
    with target.bind(NETWORK) as problem:
        binding = Binding.of(problem)
    configs = [{"layer0/block": number} for number in range(4)] * 3
    job = pickle.dumps((str(tmp_path / "cache"), binding.digest, binding.payload, configs))
    processes = [
        subprocess.Popen([sys.executable, "-c", EVALUATE_ALL], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write(job)
        process.stdin.close()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len((tmp_path / "log").read_text().splitlines()) == 4
