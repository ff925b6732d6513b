"""Makes the pool that a study or comparison file asks for."""

from __future__ import annotations

from typing import Protocol

from npu_tune.evaluation.pool.base import Answer, Pool
from npu_tune.evaluation.pool.inline import InlinePool
from npu_tune.evaluation.pool.process import ProcessPool
from npu_tune.evaluation.pool.ray import START_TIMEOUT_S, RayPool
from npu_tune.evaluation.pool.ray_needs import WorkerNeeds
from npu_tune.targets import Problem


class PoolOptions(Protocol):
    """The section ``[executor]`` of a study or comparison file."""

    @property
    def kind(self) -> str:
        """``inline``, ``process`` or ``ray``."""

    @property
    def capacity(self) -> int:
        """How many tasks run at a time."""

    @property
    def timeout_s(self) -> float:
        """The time one evaluation may take."""

    @property
    def memory_limit(self) -> int | None:
        """Bytes that each process of an evaluation may have."""

    @property
    def address(self) -> str | None:
        """Of a Ray cluster."""

    @property
    def start_timeout_s(self) -> float | None:
        """The time a Ray cluster may take to have room for the first worker."""

    @property
    def needs(self) -> WorkerNeeds:
        """What a worker on Ray holds."""


def make_pool(options: PoolOptions, problem: Problem | None = None) -> Pool[Answer]:
    """The pool that a file asks for; its workers start with the first task.

    Args:
        options: which one.
        problem: one that is open already, for the pool that works in this process.
    """
    if options.kind == "inline":
        return InlinePool(problem)
    if options.kind == "process":
        return ProcessPool(
            workers=options.capacity,
            timeout_s=options.timeout_s,
            memory_limit=options.memory_limit,
        )
    return RayPool(
        workers=options.capacity,
        timeout_s=options.timeout_s,
        memory_limit=options.memory_limit,
        address=options.address,
        start_timeout_s=options.start_timeout_s or START_TIMEOUT_S,
        needs=options.needs,
    )
