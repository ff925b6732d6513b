"""Targets: compilers and the hardware they compile for."""

from npu_tune.targets.base import (
    Artifact,
    Evaluation,
    Kind,
    Metric,
    Start,
    Target,
    TargetFamily,
    TargetOptions,
)
from npu_tune.targets.registry import load_target, target_families

__all__ = [
    "Artifact",
    "Evaluation",
    "Kind",
    "Metric",
    "Start",
    "Target",
    "TargetFamily",
    "TargetOptions",
    "load_target",
    "target_families",
]
