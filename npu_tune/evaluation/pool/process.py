"""A pool of worker processes on this machine."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import deque
from multiprocessing.connection import wait
from typing import IO

from npu_tune.errors import EvaluationError, ExecutorError, NpuTuneWarning, WorkerLostError
from npu_tune.evaluation.memory import blamed_on_memory
from npu_tune.evaluation.pool.attempts import (
    KILLED,
    LOSSES,
    Attempts,
    WorkerStartError,
    crash_error,
    timeout_error,
)
from npu_tune.evaluation.pool.base import Answer, Finished, Pool, Submission, Task
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.evaluation.pool.children import temporary_file
from npu_tune.evaluation.pool.messages import Refused, Unsendable
from npu_tune.evaluation.pool.process_worker import Death, WorkerProcess

TICK_S = 0.5
"""How long a pool sleeps at most before it looks for evaluations that take too long."""

PARTING_S = 5.0
"""For idle workers to close their problem and end, before they are killed."""

_STARTED_AT_ONCE = 16
"""Workers, of which each takes some hundredths of a second: whoever asked for very many can stop in between."""


class ProcessPool(Pool[Answer]):
    """Long-lived worker processes, each of them ended and replaced when it fails.

    Args:
        workers: how many.
        timeout_s: the time one evaluation may take; starting a worker is not part of it.
        memory_limit: bytes that each process of it may have; None for any number.
        losses: how often a task may lose its worker before it is given up.
    """

    task_s = 0.0002

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float,
        memory_limit: int | None = None,
        losses: int = LOSSES,
    ) -> None:
        self._capacity = workers
        self._timeout_s = timeout_s
        self._memory_limit = memory_limit
        self._jobs: dict[WorkerProcess, Submission[Answer]] = {}
        self._workers: list[WorkerProcess] = []
        self._again: deque[Submission[Answer]] = deque()
        self._attempts = Attempts(losses, workers=workers)
        self._payloads: dict[str, IO[bytes]] = {}
        self._room = workers
        self._has_started = False

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def free(self) -> int:
        return max(self._room - len(self._jobs) - len(self._again), 0)

    def submit(self, ticket: int, task: Task[Answer], binding: Binding) -> None:
        self._start(Submission(ticket, task, binding))

    def wait(self, timeout_s: float) -> Finished[Answer] | None:
        deadline = time.monotonic() + timeout_s
        while True:
            for _ in range(len(self._again)):
                self._start(self._again.popleft())
            left = max(deadline - time.monotonic(), 0.0)
            patience = min([left, TICK_S, *(w.seconds_left for w in self._workers)])
            spoken = wait([worker.connection for worker in self._workers], patience)
            for worker in list(self._workers):
                if worker.connection in spoken:
                    finished = self._hear(worker)
                elif worker.seconds_left <= 0:
                    finished = self._end_late(worker)
                else:
                    continue
                if finished is not None:
                    self._attempts.forget(finished.ticket)
                    return finished
            if left <= 0:
                return None

    def close(self) -> None:
        self._part_from_idle_workers()
        for worker in self._workers:
            worker.kill()
        self._workers.clear()
        self._jobs.clear()
        self._again.clear()
        for payload in self._payloads.values():
            payload.close()
        self._payloads.clear()

    def _part_from_idle_workers(self) -> None:
        """Lets those that are at nothing close their problem, such as a board's connection."""
        idle = [w for w in self._workers if w.ready and w not in self._jobs]
        for worker in idle:
            worker.hang_up()
        deadline = time.monotonic() + PARTING_S
        for worker in idle:
            worker.wait(max(deadline - time.monotonic(), 0.0))

    def _bind(self, worker: WorkerProcess, binding: Binding) -> None:
        if binding.digest not in self._payloads:
            self._payloads[binding.digest] = temporary_file(binding.payload)
        worker.bind(binding, self._payloads[binding.digest])

    def _start(self, job: Submission[Answer]) -> None:
        self._fill(job.binding)
        idle = [worker for worker in self._workers if worker not in self._jobs]
        if not idle:  # there is room for fewer workers than there were
            self._again.append(job)
            return
        # One that has the problem already is spared binding it.
        worker = max(idle, key=lambda w: (w.digest == job.binding.digest, w.ready))
        if worker.digest != job.binding.digest:
            self._bind(worker, job.binding)
        worker.submit(job.task)
        self._jobs[worker] = job

    def _fill(self, binding: Binding) -> None:
        """Starts workers, so that the others get ready while the first one works."""
        for _ in range(min(self._room - len(self._workers), _STARTED_AT_ONCE)):
            try:
                worker = WorkerProcess(timeout_s=self._timeout_s, memory_limit=self._memory_limit)
            except ExecutorError as error:
                if not self._workers:
                    raise
                self._do_with_fewer(error)
                return
            self._workers.append(worker)
            self._bind(worker, binding)

    def _do_with_fewer(self, error: ExecutorError) -> None:
        """Goes on with the workers that there are."""
        self._room = len(self._workers)
        warnings.warn(
            f"Only {self._room} of {self._capacity} workers can be had, and the work goes on with "
            f"them. {error}",
            NpuTuneWarning,
            stacklevel=2,
        )

    def _hear(self, worker: WorkerProcess) -> Finished[Answer] | None:
        """Takes what a worker has to say."""
        try:
            said = worker.take()
        except WorkerStartError as error:
            self._count_failed_start(worker, error)
            return None
        if isinstance(said, Refused):
            return self._refuse(worker, said)
        if isinstance(said, Death):
            return self._bury(worker, said)
        if said is None:  # it is ready
            self._has_started = True
            self._attempts.started()
            return None
        job = self._jobs.pop(worker)
        if isinstance(said, Unsendable):
            lost = WorkerLostError(f"The answer of a worker cannot be sent: {said.reason}.")
            return Finished(job.ticket, job.task.give_up(lost))
        answer: Answer = said.answer
        if job.task.is_lost(answer) and self._attempts.lost(job.ticket):
            self._again.append(job)
            return None
        return Finished(job.ticket, answer)

    def _refuse(self, worker: WorkerProcess, said: Refused) -> Finished[Answer] | None:
        """Lets a task hear what its target said of the problem; one of another problem goes on."""
        job = self._remove(worker)
        if job is None:
            return None
        if job.binding.digest != said.digest:
            self._again.append(job)
            return None
        return Finished(job.ticket, job.task.refuse(said.error))

    def _end_late(self, worker: WorkerProcess) -> Finished[Answer] | None:
        """Ends a worker whose time is up."""
        under_way, job = worker.under_way(), self._jobs.get(worker)
        if not worker.ready:
            late = worker.late_start()
            if not self._has_started:  # what it waits for, the others would wait for too
                raise late
            self._count_failed_start(worker, late)
            return None
        if under_way is None or job is None or under_way[1] < self._timeout_s:
            return None  # it has just got there, perhaps to its next evaluation
        self._remove(worker)
        key, seconds = under_way
        return self._blame(job, key, timeout_error(self._timeout_s), seconds)

    def _bury(self, worker: WorkerProcess, death: Death) -> Finished[Answer] | None:
        """Removes a worker that died, and has its task tried again."""
        job = self._remove(worker)
        if job is None:  # what an idle worker died of concerns nobody
            return None
        if death.under_way is None:
            return self._lose(job, f"A worker process ended: {death.how}{death.last_words}.")
        key, seconds = death.under_way
        if death.how == KILLED and seconds >= self._timeout_s:  # its guard was the first to see it
            return self._blame(job, key, timeout_error(self._timeout_s), seconds)
        crash = crash_error(death.how, death.last_words)
        error = blamed_on_memory(crash, self._memory_limit)
        if error is crash and self._attempts.crashed(job.ticket, key):
            self._again.append(job)
            return None
        return self._blame(job, key, error, seconds)

    def _blame(
        self, job: Submission[Answer], key: str, error: EvaluationError, seconds: float
    ) -> Finished[Answer] | None:
        follows = job.task.blame(key, error, seconds)
        if isinstance(follows, Task):
            self._again.append(Submission(job.ticket, follows, job.binding))
            return None
        return Finished(job.ticket, follows)

    def _lose(self, job: Submission[Answer], reason: str) -> Finished[Answer] | None:
        if self._attempts.lost(job.ticket):
            self._again.append(job)
            return None
        return Finished(job.ticket, job.task.give_up(WorkerLostError(reason)))

    def _count_failed_start(self, worker: WorkerProcess, error: WorkerStartError) -> None:
        """Lets another worker take over, unless one after the other has failed to start."""
        job = self._remove(worker)
        if job is not None:
            self._again.append(job)
        if self._attempts.failed_start():
            return
        if not any(worker.ready for worker in self._workers):
            raise error
        self._do_with_fewer(error)

    def _remove(self, worker: WorkerProcess) -> Submission[Answer] | None:
        with contextlib.suppress(ValueError):
            self._workers.remove(worker)
        worker.kill()
        return self._jobs.pop(worker, None)
