"""Executors: who evaluates configurations, and how many at a time."""

from __future__ import annotations

from npu_tune.network import Network
from npu_tune.targets import Target
from npu_tune.tuning.executors.base import Executor, Outcome
from npu_tune.tuning.executors.evaluate import quiet
from npu_tune.tuning.executors.inline import InlineExecutor
from npu_tune.tuning.executors.retry import RetryingExecutor
from npu_tune.tuning.study_file import ExecutorSection

__all__ = ["Executor", "Outcome", "make_executor", "quiet"]


def make_executor(section: ExecutorSection, target: Target, network: Network) -> Executor:
    """The executor a study file asks for; its workers start with the first evaluation."""
    if section.kind == "inline":
        return InlineExecutor(target, network)
    if section.kind == "process":
        from npu_tune.tuning.executors.process import ProcessExecutor  # noqa: PLC0415

        return RetryingExecutor(
            ProcessExecutor(target, network, workers=section.capacity, timeout_s=section.timeout_s)
        )
    from npu_tune.tuning.executors.ray import RayExecutor  # noqa: PLC0415 - Ray is slow to import

    return RetryingExecutor(
        RayExecutor(
            target,
            network,
            workers=section.capacity,
            timeout_s=section.timeout_s,
            address=section.address,
        )
    )
