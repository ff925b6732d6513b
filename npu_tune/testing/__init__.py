"""For whoever brings a target: targets that misbehave on purpose, and the tests a target passes.

:mod:`npu_tune.testing.suite` needs pytest; everything else does not.
"""

from npu_tune.testing.configurations import some_configurations
from npu_tune.testing.doubles import (
    CrashingTarget,
    FailingTarget,
    HangingTarget,
    InaccurateTarget,
    NoisyTarget,
    SlowTarget,
)
from npu_tune.testing.layered import LayeredTarget, fake_network
from npu_tune.testing.wrapper import SelectiveTarget, Where, WrappedProblem, WrappedTarget

__all__ = [
    "CrashingTarget",
    "FailingTarget",
    "HangingTarget",
    "InaccurateTarget",
    "LayeredTarget",
    "NoisyTarget",
    "SelectiveTarget",
    "SlowTarget",
    "Where",
    "WrappedProblem",
    "WrappedTarget",
    "fake_network",
    "some_configurations",
]
