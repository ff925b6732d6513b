from __future__ import annotations

import dataclasses
import sqlite3
import warnings
from collections import deque

import pytest
from evaluations import CHANGED
from fake_studies import run_fake, story
from fake_targets import (
    Counting,
    CrashingTarget,
    FailingTarget,
    LayeredTarget,
    Where,
)

from npu_tune.errors import CompilerCrashError, NpuTuneWarning, WorkerLostError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import (
    Evaluator,
    Request,
)
from npu_tune.evaluation.pool import Finished
from npu_tune.evaluation.store import Store
from npu_tune.evaluation.stored import StoredEvaluator, StoringSettings
from npu_tune.targets import Evaluation


class Scripted(Evaluator):
    """Answers in order of submission, with what a script says."""

    capacity = 3

    def __init__(self, script):
        self._script = deque(script)
        self._waiting = deque()
        self.asked = []
        self.closed = False

    @property
    def free(self):
        return self.capacity - len(self._waiting)

    def submit(self, ticket, request):
        assert self.free > 0
        self.asked.append(request)
        self._waiting.append(ticket)

    def wait(self, timeout_s):
        if not self._waiting:
            return None
        return Finished(self._waiting.popleft(), self._script.popleft())

    def close(self):
        self.closed = True


def outcome(cycles):
    return Outcome(Evaluation({"cycles": cycles}), None)


def request(number=0, sample=0):
    return Request(CHANGED[number], f"key{number}", sample)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


def ask(evaluator, asked, ticket=0):
    evaluator.submit(ticket, asked)
    return evaluator.wait(0.0)


def test_what_the_store_has_is_not_evaluated(store):
    inner = Scripted([outcome(1.0)])
    evaluator = StoredEvaluator(inner, store)

    assert ask(evaluator, request(), ticket=3) == Finished(3, outcome(1.0))
    assert evaluator.hits == 0
    assert ask(evaluator, request(), ticket=4) == Finished(4, outcome(1.0))
    assert evaluator.hits == 1
    assert len(inner.asked) == 1


def test_what_the_store_has_takes_a_place_until_it_is_fetched(store):
    store.learn("key0", outcome(1.0))
    evaluator = StoredEvaluator(Scripted([outcome(2.0)]), store)
    evaluator.submit(0, request(0))
    evaluator.submit(1, request(1))

    assert evaluator.free == 1
    assert [evaluator.wait(0.0) for _ in range(3)] == [
        Finished(0, outcome(1.0)),
        Finished(1, outcome(2.0)),
        None,
    ]
    assert evaluator.free == evaluator.capacity == 3


def test_what_is_withdrawn_from_the_workers_is_asked_for_no_more(store):
    class Withdrawing(Scripted):
        def withdraw(self):
            return [self._waiting.pop()]

    evaluator = StoredEvaluator(Withdrawing([outcome(1.0)]), store)
    evaluator.submit(0, request(0))
    evaluator.submit(1, request(1))

    assert evaluator.withdraw() == [1]
    assert [evaluator.wait(0.0) for _ in range(2)] == [Finished(0, outcome(1.0)), None]
    evaluator.submit(1, request(2))
    assert evaluator.free == 2


def test_every_sample_is_found_under_its_number(store):
    inner = Scripted([outcome(1.0), outcome(2.0)])
    evaluator = StoredEvaluator(inner, store)

    assert [ask(evaluator, request(sample=n)).answer for n in (0, 1)] == [
        outcome(1.0),
        outcome(2.0),
    ]
    assert [ask(evaluator, request(sample=n)).answer for n in (1, 0)] == [
        outcome(2.0),
        outcome(1.0),
    ]
    assert len(inner.asked) == 2


def test_a_refusal_is_stored_and_a_crash_is_not(store):
    refusal, crash = (
        Outcome.failed(kind("No.")) for kind in (FailingTarget().error, CompilerCrashError)
    )
    inner = Scripted([refusal, crash, outcome(1.0)])
    evaluator = StoredEvaluator(inner, store)
    for number in (0, 1):
        ask(evaluator, request(number))

    assert ask(evaluator, request(0)).answer.error.failure == "compiler-error"
    assert ask(evaluator, request(1)).answer == outcome(1.0)
    assert [asked.key for asked in inner.asked] == ["key0", "key1", "key1"]


def test_closing_closes_the_inner_evaluator_and_leaves_the_store_open(store):
    inner = Scripted([])
    StoredEvaluator(inner, store).close()

    assert inner.closed
    assert store.find("key0") is None


def test_studies_that_share_a_store_evaluate_nothing_twice(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    shared = {"study": {"cache": str(tmp_path / "cache")}}
    first = run_fake(tmp_path / "a", 10, target=target, **shared)
    lines = target.log.read_text()
    again = run_fake(tmp_path / "b", 10, target=target, **shared)

    assert story(again) == story(first)
    # Except for the default once more at the end, to see whether its metrics have moved.
    assert len(target.log.read_text().splitlines()) == len(lines.splitlines()) + 1


def test_a_crash_in_one_study_is_no_verdict_in_another_that_shares_its_store(tmp_path):
    crashing = CrashingTarget(where=Where("network/strategy", "speed"))
    target = Counting(crashing, tmp_path / "log")
    options = {
        "target": target,
        "study": {"cache": str(tmp_path / "cache")},
        "executor": {"kind": "process", "workers": 1},
    }
    first = run_fake(tmp_path / "a", 4, **options)
    lines = target.log.read_text().splitlines()
    again = run_fake(tmp_path / "b", 4, **options)

    failed = [trial for trial in first.trials if trial.failure]
    assert {trial.failure for trial in failed} == {"crash"}
    assert story(again) == story(first)
    # Only what crashed was evaluated again, twice each as in the first study.
    *tried, baseline_again = target.log.read_text().splitlines()[len(lines) :]
    assert "speed" not in baseline_again
    assert len(tried) == 2 * len(failed)
    assert all("speed" in line for line in tried)


def test_an_evaluator_that_reuses_nothing_adds_every_sample(store):
    inner = Scripted([outcome(1.0), outcome(2.0), Outcome.failed(WorkerLostError("gone"))])
    evaluator = StoredEvaluator(inner, store, reuse=False)

    assert [ask(evaluator, request()).answer for _ in range(2)] == [outcome(1.0), outcome(2.0)]
    ask(evaluator, request())
    evaluator.close()
    assert [store.find("key0", n) for n in range(3)] == [outcome(1.0), outcome(2.0), None]


def test_a_fresh_request_is_neither_answered_by_the_store_nor_kept(store):
    store.learn("key0", outcome(1.0))
    evaluator = StoredEvaluator(Scripted([outcome(2.0)]), store)
    fresh = Request(CHANGED[0], "key0", 1, fresh=True)

    assert ask(evaluator, fresh).answer == outcome(2.0)
    assert store.find("key0", 1) is None


def test_what_was_evaluated_without_a_metric_is_no_answer_to_who_needs_it(store):
    whole = Outcome(Evaluation({"cycles": 1.0, "flash": 2.0}), None)
    inner = Scripted([outcome(1.0), whole])
    evaluator = StoredEvaluator(inner, store)
    needs_flash = dataclasses.replace(request(), metrics=("cycles", "flash"))

    assert ask(evaluator, request()).answer == outcome(1.0)
    assert ask(evaluator, request()).answer == outcome(1.0)
    assert ask(evaluator, needs_flash).answer == whole
    assert ask(evaluator, needs_flash).answer == whole
    assert ask(evaluator, request()).answer == whole
    assert evaluator.hits == 3
    assert [each.metrics for each in inner.asked] == [(), ("cycles", "flash")]


def many(count):
    return [dataclasses.replace(request(), key=f"key{number}") for number in range(count)]


def test_outcomes_are_written_in_batches_and_at_the_end(store):
    settings = StoringSettings(batch=4)
    inner = Scripted([outcome(float(number)) for number in range(6)])
    evaluator = StoredEvaluator(inner, store, settings=settings, clock=lambda: 0.0)
    kept = []
    for each in many(6):
        ask(evaluator, each)
        kept.append(store.count())
    evaluator.close()

    assert kept == [0, 0, 0, 4, 4, 4]
    assert store.count() == 6


def test_what_waits_is_written_when_nothing_finishes_for_a_while(store):
    now = iter(range(100))
    evaluator = StoredEvaluator(Scripted([outcome(1.0)]), store, clock=lambda: float(next(now)))
    ask(evaluator, request())

    assert evaluator.wait(0.0) is None
    assert store.count() == 1


def test_what_is_evaluated_faster_than_looked_up_is_left_to_an_optional_store(store):
    settings = StoringSettings(batch=1)
    fast = [dataclasses.replace(outcome(1.0), seconds=1e-3) for _ in range(6)]
    ticks = iter(range(1000))
    evaluator = StoredEvaluator(
        Scripted(fast), store, optional=True, settings=settings, clock=lambda: float(next(ticks))
    )
    for each in many(6):
        ask(evaluator, each)

    assert store.count() == 1


def test_what_is_evaluated_more_slowly_is_kept_and_found(store):
    settings = StoringSettings(batch=1)
    slow = [dataclasses.replace(outcome(1.0), seconds=60.0) for _ in range(6)]
    evaluator = StoredEvaluator(Scripted(slow), store, optional=True, settings=settings)
    for each in many(6):
        ask(evaluator, each)
    for each in many(6):
        assert ask(evaluator, each).answer.cached

    assert evaluator.hits == store.count() == 6


def test_a_search_goes_on_without_an_optional_store_that_fails(store):
    inner = Scripted([outcome(1.0), outcome(2.0)])
    evaluator = StoredEvaluator(inner, store, optional=True)
    store.close()
    store._file._connection = sqlite3.connect(":memory:")  # without a table
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert ask(evaluator, request()).answer == outcome(1.0)
        assert ask(evaluator, request(1)).answer == outcome(2.0)
        evaluator.close()
    store._file._connection.close()

    assert [each.category for each in said] == [NpuTuneWarning]
    assert "Evaluations are not cached" in str(said[0].message)
    assert "no such table" in str(said[0].message)
