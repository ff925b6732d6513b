"""Optuna's own suite for samplers."""

from __future__ import annotations

import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)

from npu_tune.samplers import (
    LayerProfileSampler,
    LayerwiseSampler,
    OfflineQLearningSampler,
    QLearningSampler,
    SimulatedAnnealingSampler,
)

pytestmark = pytest.mark.filterwarnings("ignore:No parameter name has the form")


class _Factory:
    @pytest.fixture(
        params=[
            LayerwiseSampler,
            LayerProfileSampler,
            SimulatedAnnealingSampler,
            QLearningSampler,
            OfflineQLearningSampler,
        ],
        ids=["layerwise", "profile", "annealing", "qlearning", "qlearning-offline"],
    )
    def sampler(self, request):
        return request.param


class TestBasic(_Factory, BasicSamplerTestCase):
    pass


class TestRelative(_Factory, RelativeSamplerTestCase):
    pass


class TestMultiObjective(_Factory, MultiObjectiveSamplerTestCase):
    pass
