"""The loop itself, with an evaluator whose workers come and go."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque

import pytest
from fake_studies import fake_study, story
from fake_targets import LayeredTarget, NoisyTarget, fake_network

from npu_tune.errors import WorkerLostError
from npu_tune.evaluation import Outcome, evaluate
from npu_tune.evaluation.evaluator import Evaluator
from npu_tune.evaluation.pool import Finished
from npu_tune.tuning import run_study
from npu_tune.tuning.trial import FINALIST

NETWORK = fake_network()
TARGET = LayeredTarget()
PROBLEM = TARGET.bind(NETWORK)


class Moody(Evaluator):
    """Two workers that answer in the reverse order, and now and then have no room for a while."""

    capacity = 2

    def __init__(self, *, loses=()):
        self._busy = deque()
        self._resting = 0
        self._loses = set(loses)
        self.most_at_once = 0

    @property
    def free(self):
        return 0 if self._resting else 2 - len(self._busy)

    def submit(self, ticket, request):
        assert self.free > 0
        self._busy.append((ticket, request))
        self.most_at_once = max(self.most_at_once, len(self._busy))

    def wait(self, timeout_s):
        if not self._busy:
            self._resting = max(self._resting - 1, 0)
            return None
        ticket, request = self._busy.pop()
        if not self._busy:
            self._resting = 2
        if ticket in self._loses:
            return Finished(ticket, Outcome.failed(WorkerLostError("gone")))
        return Finished(ticket, evaluate(PROBLEM, request.configuration))

    def close(self):
        self._busy.clear()


@pytest.fixture
def run_with(monkeypatch, tmp_path):
    def run(evaluator, evaluations, folder="s", target=TARGET, **sections):
        monkeypatch.setattr(
            "npu_tune.tuning.evaluators.PooledEvaluator", lambda *_, **__: evaluator
        )
        study = fake_study(tmp_path / folder, evaluations, **sections)
        return run_study(study, network=NETWORK, target=target)

    return run


def test_a_study_waits_for_workers_that_are_gone_for_a_while(run_with):
    evaluator = Moody()

    result = run_with(evaluator, 20)

    assert evaluator.most_at_once == 2
    assert result.stopped == "evaluations"
    assert sum(trial.duplicate_of is None for trial in result.trials) == 20


def test_a_noisy_study_whose_workers_are_gone_at_its_end_plans_its_repeats_once(run_with):
    class Watched(Moody):
        waited = 0

        def wait(self, timeout_s):
            self.waited += 1
            assert self.waited < 1000
            return super().wait(timeout_s)

    result = run_with(Watched(), 60, target=NoisyTarget(TARGET))

    kinds = Counter(trial.origin for trial in result.trials)
    assert kinds[FINALIST] == 12
    assert sum(kinds.values()) == 60


def test_what_finishes_in_another_order_is_numbered_as_it_finishes(run_with):
    result = run_with(Moody(), 20, sampler={"name": "layerwise"})

    assert [trial.number for trial in result.trials] == list(range(len(result.trials)))
    for trial in result.trials:
        again = TARGET.evaluate(NETWORK, trial.configuration)
        assert trial.metrics == dict(again.metrics)


def test_a_configuration_that_is_running_is_not_started_again(run_with):
    submitted = []

    class Noting(Moody):
        def submit(self, ticket, request):
            submitted.append(PROBLEM.space.effective(request.configuration))
            super().submit(ticket, request)

    run_with(Noting(), 60, sampler={"name": "tpe", "n_startup_trials": 2})

    baseline = PROBLEM.space.default
    searched = [configuration for configuration in submitted if configuration != baseline]
    assert len(searched) == len(set(searched)) == 59


def test_a_configuration_lost_with_its_worker_may_be_tried_again_later(run_with):
    lost = run_with(Moody(loses=range(3)), 4)
    assert [trial.failure for trial in lost.trials] == [None, *["infrastructure"] * 3]

    # The same seed proposes the rest; what was lost is no known failure.
    more = run_with(Moody(), 8)

    assert story(more)[:4] == story(lost)
    assert not any(trial.failure for trial in more.trials[4:])


class Ahead(Evaluator):
    """One worker with one more evaluation waiting for it; somebody may press Ctrl-C meanwhile."""

    capacity = 1

    def __init__(self, *, stopped_after=None):
        self._waiting = deque()
        self._stopped_after = stopped_after
        self.begun = self.evaluated = 0

    @property
    def free(self):
        return 2 - len(self._waiting)

    def submit(self, ticket, request):
        self.begun += 1
        self._waiting.append((ticket, request))

    def withdraw(self):
        withdrawn = [self._waiting.pop() for _ in range(len(self._waiting) - 1)]
        return [ticket for ticket, _ in withdrawn]

    def wait(self, timeout_s):
        if self.evaluated == self._stopped_after:
            self._stopped_after = None
            os.kill(os.getpid(), signal.SIGINT)
            return None
        self.evaluated += 1
        ticket, request = self._waiting.popleft()
        return Finished(ticket, evaluate(PROBLEM, request.configuration))

    def close(self):
        self._waiting.clear()


def evaluated_in(result):
    return sum(trial.duplicate_of is None for trial in result.trials)


def test_a_study_that_is_stopped_lets_go_what_waits_for_a_worker(run_with):
    evaluator = Ahead(stopped_after=6)
    layerwise = {"sampler": {"name": "layerwise"}}

    stopped = run_with(evaluator, 20, **layerwise)
    resumed = run_with(Ahead(), 20, **layerwise)

    assert stopped.stopped == "interrupted"
    # What had begun when Ctrl-C was pressed is evaluated; what waited is not.
    assert (evaluator.begun, evaluator.evaluated, evaluated_in(stopped)) == (8, 7, 7)
    assert story(resumed)[: len(stopped.trials)] == story(stopped)
    assert evaluated_in(resumed) == 20


def test_what_waits_for_a_worker_is_of_the_budget(run_with):
    assert evaluated_in(run_with(Ahead(), 11)) == 11
