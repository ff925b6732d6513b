from __future__ import annotations

from collections import deque

import pytest
from fake_targets import LayeredTarget, fake_network

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    CompilerTimeoutError,
    WorkerLostError,
)
from npu_tune.targets import Evaluation
from npu_tune.tuning.executors import Executor, Outcome
from npu_tune.tuning.executors.retry import LOST_RETRIES, RetryingExecutor

DEFAULT = LayeredTarget().space(fake_network()).default


class Scripted(Executor):
    """Answers with the errors of a script, in order; None stands for success."""

    capacity = 1

    def __init__(self, script):
        self.script = deque(script)
        self.submitted = []
        self._waiting = None

    @property
    def free(self):
        return 0 if self._waiting is not None else 1

    def submit(self, ticket, configuration):  # noqa: ARG002
        self.submitted.append(ticket)
        self._waiting = ticket

    def wait(self, timeout_s):  # noqa: ARG002
        if self._waiting is None:
            return None
        ticket, self._waiting = self._waiting, None
        error = self.script.popleft()
        return Outcome(ticket, None if error else Evaluation({"a": 1.0}), error, 0.0)

    def close(self):
        pass


def run(script):
    scripted = Scripted(script)
    executor = RetryingExecutor(scripted)
    executor.submit(3, DEFAULT)
    outcome = None
    while outcome is None:
        outcome = executor.wait(0.0)
    assert not scripted.script
    assert executor.free == 1
    return outcome, len(scripted.submitted)


def test_a_crash_that_does_not_happen_again_is_forgotten():
    outcome, submitted = run([CompilerCrashError("died"), None])

    assert outcome.error is None
    assert submitted == 2


def test_a_crash_that_happens_again_is_the_configurations_fault():
    outcome, _ = run([CompilerCrashError("It died."), CompilerCrashError("It died.", how="x")])

    assert outcome.error.failure == "crash"
    assert outcome.error.message == "It died. It did so 2 times."
    assert outcome.error.data == {"how": "x"}


@pytest.mark.parametrize("error", [CompilerError("no"), CompilerTimeoutError("late")])
def test_what_the_compiler_said_itself_is_not_tried_again(error):
    assert run([error]) == (Outcome(3, None, error, 0.0), 1)


def test_a_lost_worker_is_retried_but_not_for_ever():
    outcome, submitted = run([WorkerLostError("gone")] * (LOST_RETRIES + 1))

    assert outcome.error.failure == "infrastructure"
    assert submitted == LOST_RETRIES + 1


def test_a_ticket_that_is_used_again_starts_with_all_its_tries():
    died = CompilerCrashError("died")
    executor = RetryingExecutor(Scripted([died, None, died, None]))

    for _ in range(2):
        executor.submit(3, DEFAULT)
        assert executor.wait(0.0) is None
        assert executor.wait(0.0).error is None


def test_a_worker_is_kept_free_for_what_has_to_be_tried_again():
    executor = RetryingExecutor(Scripted([CompilerCrashError("died"), None]))
    executor.submit(3, DEFAULT)

    assert executor.wait(0.0) is None
    assert executor.free == 0
