"""Optuna samplers for spaces whose parameters belong to layers; they know no target.

Each is imported when its name is first used: a study needs one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._lazy import lazy_attributes

if TYPE_CHECKING:
    from npu_tune.samplers.annealing import SimulatedAnnealingSampler
    from npu_tune.samplers.base import LayeredSampler
    from npu_tune.samplers.cooling import AnnealingSettings
    from npu_tune.samplers.layer_profile import LayerProfileSampler
    from npu_tune.samplers.layerwise import LayerwiseSampler
    from npu_tune.samplers.offline.settings import OfflineSettings
    from npu_tune.samplers.profile.settings import LayerProfileSettings
    from npu_tune.samplers.qlearning import QLearningSampler, QLearningSettings
    from npu_tune.samplers.qlearning_offline import OfflineQLearningSampler
    from npu_tune.samplers.settings import LayerwiseSettings, StepSettings

__all__ = [
    "AnnealingSettings",
    "LayerProfileSampler",
    "LayerProfileSettings",
    "LayeredSampler",
    "LayerwiseSampler",
    "LayerwiseSettings",
    "OfflineQLearningSampler",
    "OfflineSettings",
    "QLearningSampler",
    "QLearningSettings",
    "SimulatedAnnealingSampler",
    "StepSettings",
]

_HOMES = {
    "AnnealingSettings": "npu_tune.samplers.cooling",
    "LayerProfileSampler": "npu_tune.samplers.layer_profile",
    "LayerProfileSettings": "npu_tune.samplers.profile.settings",
    "LayeredSampler": "npu_tune.samplers.base",
    "LayerwiseSampler": "npu_tune.samplers.layerwise",
    "LayerwiseSettings": "npu_tune.samplers.settings",
    "OfflineQLearningSampler": "npu_tune.samplers.qlearning_offline",
    "OfflineSettings": "npu_tune.samplers.offline.settings",
    "QLearningSampler": "npu_tune.samplers.qlearning",
    "QLearningSettings": "npu_tune.samplers.qlearning",
    "SimulatedAnnealingSampler": "npu_tune.samplers.annealing",
    "StepSettings": "npu_tune.samplers.settings",
}


__getattr__ = lazy_attributes(__name__, _HOMES)
