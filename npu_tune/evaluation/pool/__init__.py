"""Pools: who does tasks - this process, worker processes or Ray - and what follows a crash."""

from npu_tune.evaluation.pool.base import Answer, Finished, Pool, Task, Watch
from npu_tune.evaluation.pool.binding import Binding, BoundProblem
from npu_tune.evaluation.pool.factory import make_pool

__all__ = ["Answer", "Binding", "BoundProblem", "Finished", "Pool", "Task", "Watch", "make_pool"]
