"""A worker on Ray, as it runs on its node."""

from __future__ import annotations

import pickle
from typing import Any

from npu_tune.errors import NpuTuneError
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.evaluation.pool.process import ProcessPool


class RayWorker:
    """A Ray actor: holds what it needs, and one worker process in which it does tasks.

    A compiler in the actor itself could neither be stopped when it hangs nor crash without
    taking the actor along.

    Args:
        timeout_s: the time one evaluation may take.
        memory_limit: bytes that each process of it may have; None for any number.
    """

    def __init__(self, timeout_s: float, memory_limit: int | None = None) -> None:
        # What was lost on this machine is tried again on another one.
        self._pool: ProcessPool[Any] = ProcessPool(
            workers=1, timeout_s=timeout_s, memory_limit=memory_limit, losses=1
        )
        self._binding: Binding | None = None

    def ready(self) -> None:
        """Answers as soon as the actor runs."""

    def close(self) -> None:
        """Lets the worker process close its problem."""
        self._pool.close()

    def run(self, task: bytes, digest: str, payload: list[Any]) -> Any:
        """Does one task; an error of the pool is an answer too.

        Args:
            task: what to do, pickled.
            digest: of the binding.
            payload: where the binding's payload lies in Ray's object store, in a list so that it
                is fetched only when it is needed.
        """
        import ray  # noqa: PLC0415 - this runs in a process of Ray's

        if self._binding is None or self._binding.digest != digest:
            self._binding = Binding(digest, payload=ray.get(payload[0]))
        try:
            self._pool.submit(0, pickle.loads(task), self._binding)  # noqa: S301 - our driver's
            while True:
                finished = self._pool.wait(3600.0)
                if finished is not None:
                    return finished.answer
        except NpuTuneError as error:
            return error
