"""Workers on Ray, on this machine or on a cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from npu_tune.errors import ExecutorError, WorkerLostError
from npu_tune.space import Configuration
from npu_tune.tuning.executors.base import Executor, Outcome
from npu_tune.tuning.executors.process import ProcessExecutor

START_TIMEOUT_S = 60.0
"""For a cluster to find room for the workers; clusters that grow by themselves need some time."""

REACH_TIMEOUT_S = 10.0
"""For the head of a cluster to accept a connection."""


class Evaluator:
    """A Ray actor: holds one processor, and one worker process in which it evaluates.

    A compiler in the actor itself could neither be stopped when it hangs nor crash without
    taking the actor along.
    """

    def __init__(self, payload: bytes, timeout_s: float) -> None:
        self._pool = ProcessExecutor(payload, workers=1, timeout_s=timeout_s)

    def ready(self) -> None:
        """Answers as soon as the actor runs."""

    def evaluate(self, ticket: int, configuration: Configuration) -> Outcome | ExecutorError:
        """Evaluates one configuration; an executor's error is an answer too."""
        try:
            self._pool.submit(ticket, configuration)
            while True:
                outcome = self._pool.wait(3600.0)
                if outcome is not None:
                    return outcome
        except ExecutorError as error:
            return error


@dataclass
class _Slot:
    """An actor, and what is awaited of it: that it is there, or an outcome."""

    actor: Any
    awaited: Any
    ready: bool = False
    ticket: int | None = None


class RayExecutor(Executor):
    """One actor per worker, on a local Ray or an existing cluster.

    An actor that is lost with its machine is replaced, on another machine if need be; its
    evaluation is reported as lost. While some actors have no room, the others go on.

    Args:
        payload: what :func:`npu_tune.tuning.executors.payload.pack` made.
        workers: how many actors, of one processor each.
        timeout_s: the time one evaluation may take.
        address: of a cluster, or ``auto``; None uses the Ray this process is connected to, or
            starts one on this machine.
        start_timeout_s: for the cluster to find room.
    """

    def __init__(
        self,
        payload: bytes,
        *,
        workers: int,
        timeout_s: float,
        address: str | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        self._payload = payload
        self._capacity = workers
        self._timeout_s = timeout_s
        self._address = address
        self._start_timeout_s = start_timeout_s
        self._slots: list[_Slot] = []
        self._ray: Any = None
        self._connected_here = False
        self._all_lost_at: float | None = None

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def free(self) -> int:
        if not self._slots:
            return self._capacity
        return sum(slot.ready and slot.ticket is None for slot in self._slots)

    def submit(self, ticket: int, configuration: Configuration) -> None:
        if not self._slots:
            self._start()
        slot = next(slot for slot in self._slots if slot.ready and slot.ticket is None)
        slot.ticket = ticket
        slot.awaited = slot.actor.evaluate.remote(ticket, configuration)

    def wait(self, timeout_s: float) -> Outcome | None:
        awaited = [slot.awaited for slot in self._slots if slot.awaited is not None]
        if not awaited:
            return None
        done, _ = self._ray.wait(awaited, num_returns=1, timeout=timeout_s)
        outcome = None
        for slot in [slot for slot in self._slots if slot.awaited in done]:
            outcome = self._take(slot)
        if any(slot.ready for slot in self._slots):
            self._all_lost_at = None
        elif self._all_lost_at is None:
            self._all_lost_at = time.monotonic()
        elif time.monotonic() - self._all_lost_at > self._start_timeout_s:
            raise ExecutorError(
                "All workers on the Ray cluster are lost, and it has no room for new ones.",
                remedy="Mend the cluster, then run the same command again.",
            )
        return outcome

    def close(self) -> None:
        for slot in self._slots:
            self._ray.kill(slot.actor)
        self._slots.clear()
        if self._connected_here:
            self._ray.shutdown()
            self._connected_here = False

    def _start(self) -> None:
        self._ray, self._connected_here = connect(self._address, workers=self._capacity)
        self._payload_reference = self._ray.put(self._payload)
        self._evaluator = self._ray.remote(num_cpus=1, max_restarts=0)(Evaluator)
        self._slots = [self._new_slot() for _ in range(self._capacity)]
        awaited = [slot.awaited for slot in self._slots]
        done, missing = self._ray.wait(
            awaited, num_returns=len(awaited), timeout=self._start_timeout_s
        )
        if missing:
            total = self._ray.cluster_resources().get("CPU", 0)
            self.close()
            raise ExecutorError(
                f"The Ray cluster has room for {len(done)} of {self._capacity} workers: it has "
                f"{total:g} processors, and others may use them too.",
                remedy=f"Ask for {max(len(done), 1)} workers, or enlarge the cluster.",
                room=len(done),
                workers=self._capacity,
            )
        for slot in self._slots:
            self._take(slot)

    def _new_slot(self) -> _Slot:
        actor = self._evaluator.remote(self._payload_reference, self._timeout_s)
        return _Slot(actor=actor, awaited=actor.ready.remote())

    def _take(self, slot: _Slot) -> Outcome | None:
        """Takes what a slot's actor has answered; a lost actor is replaced."""
        ticket = slot.ticket
        try:
            answer = self._ray.get(slot.awaited)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError) as error:
            self._slots[self._slots.index(slot)] = self._new_slot()
            if ticket is None:
                return None
            reason = str(error).strip().splitlines()[0]
            return Outcome(ticket, None, WorkerLostError(f"A Ray worker was lost: {reason}"), 0.0)
        slot.ready, slot.awaited, slot.ticket = True, None, None
        if isinstance(answer, ExecutorError):
            raise answer
        outcome: Outcome | None = answer
        return outcome


def connect(address: str | None, *, workers: int) -> tuple[Any, bool]:
    """Connects this process to Ray, unless it is connected already.

    Args:
        address: of a cluster, or ``auto``; None starts Ray on this machine.
        workers: the processors of a Ray that is started here.

    Returns:
        The module ``ray``, and whether the connection was made here.

    Raises:
        ExecutorError: if there is no such cluster.
    """
    import ray  # noqa: PLC0415 - slow to import, and not needed for --help

    if ray.is_initialized():
        return ray, False
    # Nobody asked for statistics to be sent to Ray's makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quietly: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with _kept_signal_handlers():
            if address is None:
                local: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False}
                ray.init(address="local", **local, **quietly)
            else:
                _require_reachable(address)
                ray.init(address=address, **quietly)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ExecutorError(
            f"Cannot connect to Ray at {address or 'local'!r}: {str(error).rstrip('.')}.",
            remedy="Start a cluster with `ray start --head`, or leave the address out.",
            address=address,
        ) from error
    return ray, True


def _require_reachable(address: str) -> None:
    """Raises OSError where nobody listens, which Ray itself would notice after minutes."""
    host, separator, port = address.rpartition("://")[2].rpartition(":")
    if separator and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=REACH_TIMEOUT_S).close()


@contextlib.contextmanager
def _kept_signal_handlers() -> Iterator[None]:
    """Puts the handlers back that Ray replaces with ones that end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
