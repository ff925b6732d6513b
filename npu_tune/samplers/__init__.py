"""Optuna samplers for spaces whose parameters belong to layers; they know no target."""

from npu_tune.samplers.annealing import SimulatedAnnealingSampler
from npu_tune.samplers.base import LayeredSampler
from npu_tune.samplers.layer_profile import LayerProfileSampler
from npu_tune.samplers.layerwise import LayerwiseSampler
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.qlearning import QLearningSampler
from npu_tune.samplers.settings import (
    AnnealingSettings,
    LayerwiseSettings,
    QLearningSettings,
    StepSettings,
)

__all__ = [
    "AnnealingSettings",
    "LayerProfileSampler",
    "LayerProfileSettings",
    "LayeredSampler",
    "LayerwiseSampler",
    "LayerwiseSettings",
    "QLearningSampler",
    "QLearningSettings",
    "SimulatedAnnealingSampler",
    "StepSettings",
]
