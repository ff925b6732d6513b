"""The samplers of this package, by the names that study files use."""

from npu_tune.samplers import (
    LayerProfileSampler,
    LayerwiseSampler,
    OfflineQLearningSampler,
    QLearningSampler,
    SimulatedAnnealingSampler,
)

SAMPLERS = {
    "layerwise": LayerwiseSampler,
    "profile": LayerProfileSampler,
    "annealing": SimulatedAnnealingSampler,
    "qlearning": QLearningSampler,
    "qlearning-offline": OfflineQLearningSampler,
}
