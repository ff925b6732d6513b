"""Workers on Ray, on this machine or on a cluster."""

from __future__ import annotations

import math
import time
import uuid
import warnings
from collections import deque
from dataclasses import dataclass
from typing import Any, Generic

from npu_tune.errors import ExecutorError, NpuTuneError, NpuTuneWarning, WorkerLostError
from npu_tune.evaluation.pool.attempts import CRASHES, Attempts, WorkerStartError
from npu_tune.evaluation.pool.base import Answer, Finished, Pool, Submission, Task
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.evaluation.pool.messages import pickled
from npu_tune.evaluation.pool.process import PARTING_S
from npu_tune.evaluation.pool.ray_cluster import (
    RayConnection,
    ray_errors,
    reason_of,
    worker_start_error,
)
from npu_tune.evaluation.pool.ray_needs import WorkerNeeds
from npu_tune.evaluation.pool.ray_worker import RayWorker
from npu_tune.validation import key_note

START_TIMEOUT_S = 60.0
"""For a cluster to find room for the workers; clusters that grow by themselves need some time."""


LEEWAY_S = 600.0
"""For an actor to start its worker, also again and again, beside what its evaluations may take."""

SETTLE_S = 5.0
"""For the other workers to start that have room when the first one runs."""


@dataclass
class _Slot(Generic[Answer]):
    """An actor, and what is awaited of it: that it is there, or an answer.

    Args:
        actor: of Ray.
        awaited: a reference to what it answers; None while it is idle.
        ready: whether it is there.
        job: what it does.
        due: when it has to have answered, by the monotonic clock.
    """

    actor: Any
    awaited: Any
    ready: bool = False
    job: Submission[Answer] | None = None
    due: float = math.inf


class RayPool(Pool[Answer]):
    """One actor per worker, on a local Ray or an existing cluster.

    An actor that is lost with its machine is replaced, on another machine if need be, and its
    task is tried again there. While some actors have no room, the others go on.

    Args:
        workers: how many actors.
        timeout_s: the time one evaluation may take.
        memory_limit: bytes that each process of it may have; None for any number.
        address: of a cluster, or ``auto``; None uses the Ray this process is connected to, or
            starts one on this machine.
        start_timeout_s: for the cluster to find room for the first worker, beside the time that
            Ray gives itself to make its environment.
        needs: what each worker holds, and the environment that it runs in.
    """

    task_s = 0.007
    """Half of it where a core is idle; but beside as many workers as there are cores, Ray waits, too."""

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float,
        memory_limit: int | None = None,
        address: str | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
        needs: WorkerNeeds | None = None,
    ) -> None:
        self._needs = needs or WorkerNeeds()
        self._capacity = workers
        self._timeout_s = timeout_s
        self._memory_limit = memory_limit
        self._address = address
        self._start_timeout_s = start_timeout_s
        self._slots: list[_Slot[Answer]] = []
        self._again: deque[Submission[Answer]] = deque()
        self._attempts = Attempts(workers=workers)
        self._payloads: dict[str, Any] = {}
        self._connection: RayConnection | None = None
        self._all_lost_at: float | None = None

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def free(self) -> int:
        if not self._slots:
            return self._capacity
        return max(len(self._idle()) - len(self._again), 0)

    def submit(self, ticket: int, task: Task[Answer], binding: Binding) -> None:
        if not self._slots:
            self._start_actors(binding.title)
        self._start(Submission(ticket, task, binding))

    def wait(self, timeout_s: float) -> Finished[Answer] | None:
        while self._again and self._idle():
            self._start(self._again.popleft())
        if (finished := self._end_late()) is not None:
            return finished
        awaited = [slot.awaited for slot in self._slots if slot.awaited is not None]
        if not awaited:
            return None
        done, _ = self._ray.wait(awaited, num_returns=1, timeout=timeout_s)
        if not done:
            self._require_ray()
        for slot in [slot for slot in self._slots if slot.awaited in done]:
            finished = self._take(slot)
        if any(slot.ready for slot in self._slots):
            self._all_lost_at = None
        elif self._all_lost_at is None:
            self._all_lost_at = time.monotonic()
        elif time.monotonic() - self._all_lost_at > self._patience_s:
            raise ExecutorError(
                "All workers on the Ray cluster are lost, and it has no room for new ones.",
                remedy="Mend the cluster, then run the same command again.",
            )
        return finished

    def close(self) -> None:
        if self._connection is not None and self._connection.is_alive():
            if idle := self._idle():
                parting = [slot.actor.close.remote() for slot in idle]
                self._ray.wait(parting, num_returns=len(parting), timeout=2 * PARTING_S)
            for slot in self._slots:
                self._ray.kill(slot.actor)
        self._slots.clear()
        self._again.clear()
        self._payloads.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _patience_s(self) -> float:
        """For a worker to be there, where none is."""
        return self._start_timeout_s + self._needs.setup_timeout_s

    def _require_ray(self) -> None:
        """Raises ExecutorError where a Ray that was started here has ended."""
        if self._connection is not None and not self._connection.is_alive():
            raise ExecutorError(
                "Ray has ended on this machine.",
                remedy="Run the same command again; it goes on where it has stopped.",
            )

    def _idle(self) -> list[_Slot[Answer]]:
        return [slot for slot in self._slots if slot.ready and slot.job is None]

    def _start(self, job: Submission[Answer]) -> None:
        binding = job.binding
        task = pickled(job.task, "A task")
        if not (idle := self._idle()):
            self._again.append(job)
            return
        with ray_errors():
            if binding.digest not in self._payloads:
                self._payloads[binding.digest] = self._ray.put(binding.payload)
            slot = idle[0]
            run = slot.actor.run.options(name=f"evaluate {binding.title}")
            slot.awaited = run.remote(task, binding.digest, [self._payloads[binding.digest]])
            slot.job = job
            longest_s = CRASHES * job.task.longest_s(self._timeout_s)
            slot.due = time.monotonic() + longest_s + LEEWAY_S

    def _start_actors(self, title: str) -> None:
        self._connection = RayConnection(
            self._address,
            processors=math.ceil(self._capacity * self._needs.num_cpus),
            needs=self._needs,
        )
        self._ray = self._connection.ray
        options = self._connection.worker_options
        with ray_errors():
            self._worker = self._ray.remote(max_restarts=0, **options)(RayWorker)
        self._title = f"npu-tune: {title}"
        # All are asked for at once, so that a cluster that grows by itself sees what is wanted.
        self._slots = [self._new_slot() for _ in range(self._capacity)]
        awaited = [slot.awaited for slot in self._slots]
        done, _ = self._ray.wait(awaited, num_returns=1, timeout=self._patience_s)
        if not done:
            raise self._no_room()
        # The others are waited for no longer than until they would be there if there was room.
        done, missing = self._ray.wait(
            awaited, num_returns=len(awaited), timeout=min(SETTLE_S, self._start_timeout_s)
        )
        for slot in [slot for slot in self._slots if slot.awaited in done]:
            self._take(slot)
        if missing:
            warnings.warn(
                f"{len(done)} of {self._capacity} workers have room on the Ray cluster; the work "
                "begins with them, and the others join as they get room.",
                NpuTuneWarning,
                stacklevel=2,
            )

    def _no_room(self) -> ExecutorError:
        """Closes the pool; the error of a cluster that has room for no worker at all."""
        there = self._needs.there(self._ray.cluster_resources())
        lacks_resources = any(there.resources[n] < c for n, c in self._needs.resources.items())
        key = "executor.resources" if lacks_resources else "executor.num_cpus"
        self.close()
        return ExecutorError(
            f"The Ray cluster has room for 0 of {self._capacity} workers, which need "
            f"{self._needs} each: its nodes have {there} together, and others may use them too.",
            remedy=f"Ask for less{key_note(key)}, enlarge the cluster, or give one that "
            f"grows by itself more time{key_note('executor.start_timeout_s')}.",
            room=0,
            workers=self._capacity,
        )

    def _new_slot(self) -> _Slot[Answer]:
        # What Ray's lists and pages show; a name may stand once in a cluster's namespace.
        name = f"{self._title} {uuid.uuid4().hex[:8]}"
        actor = self._worker.options(name=name).remote(self._timeout_s, self._memory_limit)
        return _Slot(actor=actor, awaited=actor.ready.options(name=f"start {name}").remote())

    def _take(self, slot: _Slot[Answer]) -> Finished[Answer] | None:
        """Takes what a slot's actor has answered; a lost actor is replaced."""
        job = slot.job
        lost = (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError)
        try:
            with ray_errors(lost):
                answer = self._ray.get(slot.awaited)
        except lost as error:
            if not slot.ready and not self._attempts.failed_start():
                raise worker_start_error(error) from error
            self._require_ray()  # without it, a new actor of that name would be waited for
            self._slots[self._slots.index(slot)] = self._new_slot()
            return None if job is None else self._lose(job, reason_of(error))
        slot.ready, slot.awaited, slot.job, slot.due = True, None, None, math.inf
        if job is None:
            return None
        if isinstance(answer, WorkerStartError) and self._attempts.failed_start():
            self._slots.append(self._slots.pop(self._slots.index(slot)))  # others come first
            self._again.append(job)
            return None
        if isinstance(answer, NpuTuneError):
            raise answer
        self._attempts.started()
        if job.task.is_lost(answer) and self._attempts.lost(job.ticket):
            self._slots.append(self._slots.pop(self._slots.index(slot)))  # others come first
            self._again.append(job)
            return None
        self._attempts.forget(job.ticket)
        return Finished(job.ticket, answer)

    def _end_late(self) -> Finished[Answer] | None:
        """Replaces an actor that should have answered long ago, such as one that is stopped.

        Evaluations that take too long are ended on their node: this is about the actor itself.
        """
        now = time.monotonic()
        late = next((slot for slot in self._slots if slot.due < now), None)
        if late is None or late.job is None or self._ray.wait([late.awaited], timeout=0)[0]:
            return None
        self._ray.kill(late.actor)
        self._slots[self._slots.index(late)] = self._new_slot()
        return self._lose(late.job, "it does not answer")

    def _lose(self, job: Submission[Answer], reason: str) -> Finished[Answer] | None:
        if self._attempts.lost(job.ticket):
            self._again.append(job)
            return None
        self._attempts.forget(job.ticket)
        error = WorkerLostError(f"A Ray worker was lost: {reason}")
        return Finished(job.ticket, job.task.give_up(error))
