"""Optuna samplers for spaces whose parameters belong to layers; they know no target."""

from npu_tune.samplers.annealing import SimulatedAnnealingSampler
from npu_tune.samplers.layer_profile import LayerProfileSampler
from npu_tune.samplers.layerwise import LayerwiseSampler
from npu_tune.samplers.qlearning import QLearningSampler

__all__ = [
    "LayerProfileSampler",
    "LayerwiseSampler",
    "QLearningSampler",
    "SimulatedAnnealingSampler",
]
