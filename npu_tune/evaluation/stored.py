"""An evaluator that asks a store first, and keeps there what it finds out."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from npu_tune.errors import NpuTuneWarning, StorageError
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.evaluation.outcome import Outcome
from npu_tune.evaluation.pool import Finished
from npu_tune.evaluation.store import Store
from npu_tune.evaluation.stored_outcome import StoredOutcome, is_verdict
from npu_tune.space import Configuration


@dataclass(frozen=True)
class StoringSettings:
    """Numbers of a :class:`StoredEvaluator`.

    Args:
        batch: outcomes that are written together at most.
        every_s: what is waiting is written at least so often; others find it that late.
        least_gain: an outcome is looked up and kept only while evaluations take so many times
            what looking one up and keeping one take together. At 2 the store never costs a
            search more than half of what it could bring.
        memory: how many evaluations the two means go back.
    """

    batch: int = 64
    every_s: float = 0.5
    least_gain: float = 2.0
    memory: int = 16


class Mean:
    """A mean of what came lately; 0 before anything did."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._count = 0
        self.value = 0.0

    def learn(self, value: float) -> None:
        """Takes a value into account."""
        self._count = min(self._count + 1, self._memory)
        self.value += (value - self.value) / self._count


class StoredEvaluator(Evaluator):
    """Takes outcomes from a store where it has them, and adds what it has not.

    Args:
        evaluator: is asked for what the store does not have; closed with this one.
        store: of the same problem; whoever opened it closes it, after this one.
        reuse: False only adds to the store: what a machine took an hour ago says little about
            what it takes now.
        default: configurations are kept as their difference from it.
        optional: True where the search goes on without the store if that fails, with one
            warning, and where what is evaluated faster than looked up is left to the evaluator.
        settings: how outcomes are written.
        clock: seconds from any fixed point.

    Attributes:
        hits: how many outcomes came from the store.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        store: Store,
        *,
        reuse: bool = True,
        default: Configuration | None = None,
        optional: bool = False,
        settings: StoringSettings = StoringSettings(),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._evaluator = evaluator
        self._store: Store | None = store
        self._reuse = reuse
        self._default = default or Configuration(())
        self._optional = optional
        self._settings = settings
        self._clock = clock
        self._found: deque[Finished[Outcome]] = deque()
        self._requests: dict[int, Request] = {}
        self._new: dict[tuple[str, int], StoredOutcome] = {}
        self._written_at = clock()
        self._evaluating, self._finding, self._keeping = (Mean(settings.memory) for _ in range(3))
        self.hits = 0

    @property
    def capacity(self) -> int:
        return self._evaluator.capacity

    @property
    def free(self) -> int:
        return max(self._evaluator.free - len(self._found), 0)

    def submit(self, ticket: int, request: Request) -> None:
        found = self._lookup(request) if self._reuse and not request.fresh else None
        if found is not None and request.is_answered_by(found):
            self.hits += 1
            self._found.append(Finished(ticket, found))
            return
        self._requests[ticket] = request
        self._evaluator.submit(ticket, request)

    def withdraw(self) -> list[int]:
        tickets = self._evaluator.withdraw()
        for ticket in tickets:
            del self._requests[ticket]
        return tickets

    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        if self._found:
            return self._found.popleft()
        finished = self._evaluator.wait(timeout_s)
        if finished is not None:
            self._keep(self._requests.pop(finished.ticket), finished.answer)
        is_late = self._clock() - self._written_at >= self._settings.every_s
        if is_late or len(self._new) >= self._settings.batch:
            self._write()
        return finished

    def close(self) -> None:
        """Writes what is waiting, and closes the evaluator."""
        try:
            self._write()
        finally:
            self._evaluator.close()

    @property
    def _is_of_use(self) -> bool:
        """Whether evaluating takes longer than looking up and keeping; unknown counts as yes."""
        taken = self._evaluating.value / max(self._evaluator.capacity, 1)
        least = self._settings.least_gain * (self._finding.value + self._keeping.value)
        return not self._optional or taken == 0.0 or taken >= least

    def _lookup(self, request: Request) -> Outcome | None:
        waiting = self._new.get((request.key, request.sample))
        if waiting is not None:
            return replace(waiting.outcome, seconds=0.0, cached=True)
        store = self._store
        if store is None or not self._is_of_use:
            return None
        started = self._clock()
        try:
            found = store.find(request.key, request.sample)
        except StorageError as error:
            self._give_up(error)
            return None
        if found is not None:
            self._finding.learn(self._clock() - started)
        return found

    def _keep(self, request: Request, outcome: Outcome) -> None:
        if self._store is None or (request.fresh and self._reuse):
            return
        if outcome.evaluation is not None:
            self._evaluating.learn(outcome.seconds)
        if not self._is_of_use or not is_verdict(outcome):
            return
        changes = request.configuration.difference(self._default)
        # Samples are numbered by the store, beside those of other searches.
        number = request.sample if self._reuse else len(self._new)
        row = StoredOutcome(request.key, outcome, number, changes)
        self._new[row.key, row.sample] = row

    def _write(self) -> None:
        self._written_at = started = self._clock()
        rows = list(self._new.values())
        self._new.clear()
        if self._store is None:
            return
        try:
            self._store.learn_all(rows, add=not self._reuse)
            if rows:
                self._keeping.learn((self._clock() - started) / len(rows))
                if self._finding.value == 0.0:
                    started = self._clock()
                    self._store.find(rows[0].key, rows[0].sample)
                    self._finding.learn(self._clock() - started)
        except StorageError as error:
            self._give_up(error)

    def _give_up(self, error: StorageError) -> None:
        if not self._optional:
            raise error
        self._store = None
        warn_of_no_cache(error)


def warn_of_no_cache(error: StorageError) -> None:
    """Says that a search goes on without the cache that nobody asked for by name."""
    warnings.warn(
        f"Evaluations are not cached: {error} Or do without, with `--no-cache`.",
        NpuTuneWarning,
        stacklevel=3,
    )
