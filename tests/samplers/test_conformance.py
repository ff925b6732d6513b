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
        ],
        ids=["layerwise", "profile", "annealing", "qlearning"],
    )
    def sampler(self, request):
        return request.param


class TestBasic(_Factory, BasicSamplerTestCase):
    pass


class TestRelative(_Factory, RelativeSamplerTestCase):
    pass


class TestMultiObjective(_Factory, MultiObjectiveSamplerTestCase):
    pass
