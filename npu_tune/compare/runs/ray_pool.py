"""Performs runs on Ray, on this machine or on a cluster."""

from __future__ import annotations

import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu_tune.compare.runs.pools import Finished, Job, RunPool
from npu_tune.compare.runs.process_pool import ProcessPool
from npu_tune.compare.runs.run import RunOrder
from npu_tune.errors import ExecutorError
from npu_tune.tuning.executors.payload import pack, unpack
from npu_tune.tuning.executors.ray import connect


class Performer:
    """A Ray actor: holds one processor, and one worker process in which it performs runs.

    Args:
        home: name of the machine whose files the jobs name.
        timeout_s: the time one evaluation may take.
    """

    def __init__(self, home: str, timeout_s: float) -> None:
        self._pool = ProcessPool(workers=1, timeout_s=timeout_s)
        self._home = home

    def perform(
        self, order: RunOrder, answers: Path, keep: bool, payload: bytes
    ) -> Finished | ExecutorError:
        """Performs one run; an executor's error is an answer too."""
        target, network = unpack(payload)
        if socket.gethostname() != self._home:
            # SQLite's shared files must be local: each machine keeps answers of its own.
            answers = Path(tempfile.gettempdir()) / "npu-tune-answers" / answers.name
        try:
            self._pool.submit(Job(order, target, network, answers, keep))
            while True:
                finished = self._pool.wait(1.0)
                if finished is not None:
                    return finished
        except ExecutorError as error:
            return error


@dataclass
class _Slot:
    """An actor, and the job it is at."""

    actor: Any
    job: Job | None = None
    awaited: Any = None


class RayPool(RunPool):
    """One actor per worker. The run of an actor that is lost is performed by another one.

    Args:
        workers: how many actors, of one processor each.
        timeout_s: the time one evaluation may take.
        address: of a cluster, or ``auto``; None starts Ray on this machine.
    """

    def __init__(self, *, workers: int, timeout_s: float, address: str | None = None) -> None:
        self._capacity = workers
        self._timeout_s = timeout_s
        self._address = address
        self._slots: list[_Slot] = []
        self._payloads: dict[Path, Any] = {}
        self._ray: Any = None
        self._connected_here = False

    @property
    def free(self) -> int:
        return self._capacity - sum(slot.job is not None for slot in self._slots)

    def submit(self, job: Job) -> None:
        if self._ray is None:
            self._ray, self._connected_here = connect(self._address, workers=self._capacity)
            performer = self._ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(
                Performer
            )
            home = socket.gethostname()
            self._slots = [
                _Slot(performer.remote(home, self._timeout_s)) for _ in range(self._capacity)
            ]
        if job.answers not in self._payloads:
            self._payloads[job.answers] = self._ray.put(pack(job.target, job.network))
        slot = next(slot for slot in self._slots if slot.job is None)
        slot.job = job
        slot.awaited = slot.actor.perform.remote(
            job.order, job.answers, job.keep, self._payloads[job.answers]
        )

    def wait(self, timeout_s: float) -> Finished | None:
        busy = {slot.awaited: slot for slot in self._slots if slot.job is not None}
        if not busy:
            return None
        done, _ = self._ray.wait(list(busy), num_returns=1, timeout=timeout_s)
        if not done:
            return None
        slot = busy[done[0]]
        job, slot.job, slot.awaited = slot.job, None, None
        try:
            answer = self._ray.get(done[0])
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[0]
            raise ExecutorError(
                f"A Ray worker was lost: {reason}.",
                remedy="Mend the cluster, then run the same command again.",
            ) from error
        if isinstance(answer, ExecutorError):
            raise answer
        finished: Finished = answer
        return finished if job is not None else None

    def close(self) -> None:
        for slot in self._slots:
            self._ray.kill(slot.actor)
        self._slots.clear()
        if self._connected_here:
            self._ray.shutdown()
            self._connected_here = False
