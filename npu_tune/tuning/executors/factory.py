"""Makes the executor a study file asks for."""

from __future__ import annotations

from npu_tune.network import Network
from npu_tune.targets import Target
from npu_tune.tuning.executors.base import Executor
from npu_tune.tuning.executors.inline import InlineExecutor
from npu_tune.tuning.executors.payload import pack
from npu_tune.tuning.executors.process import ProcessExecutor
from npu_tune.tuning.executors.ray import RayExecutor
from npu_tune.tuning.executors.retry import RetryingExecutor
from npu_tune.tuning.sections import ExecutorSection


def make_executor(section: ExecutorSection, target: Target, network: Network) -> Executor:
    """The executor a study file asks for; its workers start with the first evaluation.

    Raises:
        ExecutorError: if the target cannot be sent to another process.
    """
    if section.kind == "inline":
        return InlineExecutor(target, network)
    payload = pack(target, network)
    if section.kind == "process":
        pool = ProcessExecutor(payload, workers=section.capacity, timeout_s=section.timeout_s)
        return RetryingExecutor(pool)
    return RetryingExecutor(
        RayExecutor(
            payload,
            workers=section.capacity,
            timeout_s=section.timeout_s,
            address=section.address,
        )
    )
