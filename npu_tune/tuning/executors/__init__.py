"""Executors: who evaluates configurations, and how many at a time.

A worker process imports this package when it starts, so only what it needs is imported here.
"""

from npu_tune.tuning.executors.base import Executor, Outcome

__all__ = ["Executor", "Outcome"]
