"""The one place that runs evaluations and remembers them.

A worker process imports this package when it starts, so only what it needs is imported here.
"""

from npu_tune.evaluation.evaluate import evaluate, quiet
from npu_tune.evaluation.outcome import Outcome

__all__ = ["Outcome", "evaluate", "quiet"]
