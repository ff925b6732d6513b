"""Targets: compilers and the hardware they compile for.

What finds targets by name is imported when it is first used: a worker process, which is handed its
target, can do without it and what it brings along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._lazy import lazy_attributes
from npu_tune.targets.base import BaseTarget, TargetFamily, TargetOptions
from npu_tune.targets.confidence import Confidence
from npu_tune.targets.key import SCHEMA_VERSION, ConfigurationKeys, Identity
from npu_tune.targets.memory import MemoryBuffer, MemoryTimeline
from npu_tune.targets.metrics import (
    Evaluation,
    Goal,
    Kind,
    Metric,
    ProfileSchema,
    default_objective,
    goal_of,
    missing_metrics,
)
from npu_tune.targets.needs import MemoryNeed
from npu_tune.targets.problem import Artifact, CalibratedTarget, Problem, Start, Target
from npu_tune.targets.profiles import bounding_cause

if TYPE_CHECKING:
    from npu_tune.targets.registry import load_target, target_families

__all__ = [
    "SCHEMA_VERSION",
    "Artifact",
    "BaseTarget",
    "CalibratedTarget",
    "Confidence",
    "ConfigurationKeys",
    "Evaluation",
    "Goal",
    "Identity",
    "Kind",
    "MemoryBuffer",
    "MemoryNeed",
    "MemoryTimeline",
    "Metric",
    "Problem",
    "ProfileSchema",
    "Start",
    "Target",
    "TargetFamily",
    "TargetOptions",
    "bounding_cause",
    "default_objective",
    "goal_of",
    "load_target",
    "missing_metrics",
    "target_families",
]

_HOMES = dict.fromkeys(("load_target", "target_families"), "npu_tune.targets.registry")

__getattr__ = lazy_attributes(__name__, _HOMES)
