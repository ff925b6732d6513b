"""Exact Pareto fronts over the whole per-layer space, and lower bounds for larger networks."""

from npu_tune.targets.neural_art.front.bases import bases
from npu_tune.targets.neural_art.front.bounds import lower_bound
from npu_tune.targets.neural_art.front.exact import MOST_LABELS, OBJECTIVES, exact_front

__all__ = ["MOST_LABELS", "OBJECTIVES", "bases", "exact_front", "lower_bound"]
