from __future__ import annotations

from itertools import islice
from types import SimpleNamespace

import pytest
from fake_targets import LayeredTarget, fake_network

from npu_tune.compare.runs.starts import PATIENCE, sampler_starts
from npu_tune.samplers import LayerProfileSampler, LayerwiseSampler
from npu_tune.tuning.samplers import SamplerContext, make_sampler

PLANNED = LayeredTarget(blocks=60, start_labels=tuple(f"plan {i}" for i in range(40)))
ASKING = SimpleNamespace(starts=1.0)


class Meter:
    best_cost = 1.0


@pytest.fixture
def problem():
    with PLANNED.bind(fake_network(3)) as bound:
        yield bound


def labels(starts):
    return [start and start.label for start in starts]


def test_a_sampler_that_asks_gets_starts_for_its_share_of_the_budget(problem):
    asking = SimpleNamespace(starts=0.25)
    assert labels(sampler_starts(problem, asking, Meter(), evaluations=20)) == [
        f"plan {i}" for i in range(5)
    ]


def test_a_sampler_that_does_not_ask_gets_none_and_none_is_made(problem, monkeypatch):
    monkeypatch.setattr(problem, "starts", lambda: pytest.fail("nobody asked"))
    for sampler in (LayerwiseSampler(), LayerProfileSampler(starts=0.0)):
        assert list(sampler_starts(problem, sampler, Meter(), evaluations=20)) == []


def test_only_profile_asks_unless_told_otherwise(problem):
    context = SamplerContext(seed=0)
    assert make_sampler("profile", context=context).starts == 0.25
    assert make_sampler("profile", {"starts": 0.0}, context=context).starts == 0.0
    for name in ("annealing", "layerwise", "qlearning", "tpe", "nsga2", "random"):
        assert not hasattr(make_sampler(name, context=context), "starts")


def test_starts_are_made_when_they_are_asked_for(problem, monkeypatch):
    made = []

    def starts():
        for start in PLANNED.starts(problem.network):
            made.append(start)
            yield start

    monkeypatch.setattr(problem, "starts", starts)
    list(islice(sampler_starts(problem, ASKING, Meter(), evaluations=40), 3))
    assert len(made) == 3


def test_starts_that_lower_no_cost_take_turns_with_the_sampler(problem):
    meter = Meter()
    given = sampler_starts(problem, ASKING, meter, evaluations=40)

    first = labels(islice(given, PATIENCE + 4))
    assert first == [*(f"plan {i}" for i in range(10)), None, "plan 10", None, "plan 11"]
    meter.best_cost = 0.5
    assert labels(islice(given, 3)) == ["plan 12", "plan 13", "plan 14"]
