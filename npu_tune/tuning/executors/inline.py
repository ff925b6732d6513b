"""Evaluates in this process, one configuration at a time."""

from __future__ import annotations

from npu_tune.network import Network
from npu_tune.space import Configuration
from npu_tune.targets import Target
from npu_tune.tuning.executors.base import Executor, Outcome
from npu_tune.tuning.executors.evaluate import evaluate, quiet


class InlineExecutor(Executor):
    """The simplest executor, for debugging: no timeout, and a crash takes everything down."""

    def __init__(self, target: Target, network: Network) -> None:
        self._target = target
        self._network = network
        self._waiting: tuple[int, Configuration] | None = None

    @property
    def capacity(self) -> int:
        return 1

    @property
    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, ticket: int, configuration: Configuration) -> None:
        self._waiting = (ticket, configuration)

    def wait(self, timeout_s: float) -> Outcome | None:  # noqa: ARG002 - nothing to wait for
        if self._waiting is None:
            return None
        ticket, configuration = self._waiting
        outcome = self._answer(ticket, configuration)
        self._waiting = None
        return outcome

    def close(self) -> None:
        self._waiting = None

    def _answer(self, ticket: int, configuration: Configuration) -> Outcome:
        with quiet():
            return evaluate(self._target, self._network, ticket, configuration)
