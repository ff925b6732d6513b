"""Why a study's best trial is better: what each change brings, where the time goes, what is in memory."""

from npu_tune.report.explain.explanation import (
    DEFAULT_SECONDS,
    Explanation,
    PoolPeak,
    explain,
    explain_from_records,
    explain_trial,
    pool_peaks,
)
from npu_tune.report.explain.gains import ChangeGain, change_gains
from npu_tune.report.explain.layer_costs import LayerCost, cause_shares, cost_in_words, layer_costs

__all__ = [
    "DEFAULT_SECONDS",
    "ChangeGain",
    "Explanation",
    "LayerCost",
    "PoolPeak",
    "cause_shares",
    "change_gains",
    "cost_in_words",
    "explain",
    "explain_from_records",
    "explain_trial",
    "layer_costs",
    "pool_peaks",
]
