"""What lies in memory while a configuration runs."""

from __future__ import annotations

import pytest

from npu_tune.errors import EvaluationError
from npu_tune.space import Configuration
from npu_tune.targets import Evaluation, MemoryTimeline, Problem
from npu_tune.testing.suite.fixtures import SuiteFixtures
from npu_tune.testing.suite.outcomes import outcome_of

_SOME = 4
"""Configurations that are looked at: each takes two evaluations or more."""


class TimelineTests(SuiteFixtures):
    """Tests of memory timelines, of targets that give any."""

    def test_buffers_lie_within_the_steps_and_their_pools_and_never_overlap(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        for timeline, _ in timelines_of(problem, chosen):
            steps = len(timeline.steps)
            for buffer in timeline.buffers:
                assert 0 <= buffer.first <= buffer.last < steps
                assert buffer.address >= 0
                assert buffer.size_bytes >= 0
                assert buffer.end <= timeline.capacities.get(buffer.pool, buffer.end)
            assert timeline.overlaps() == ()

    def test_buffers_name_layers_of_the_profile(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        for timeline, evaluation in timelines_of(problem, chosen):
            if evaluation.profile:
                layers = {"", *evaluation.profile}
                assert [b for b in timeline.buffers if b.layer not in layers] == []
            assert all(buffer.name and buffer.pool for buffer in timeline.buffers)

    def test_what_cannot_be_compiled_has_no_timeline_and_the_same_has_the_same(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        require_timelines(problem)
        for configuration in chosen[:_SOME]:
            if isinstance(outcome_of(problem, configuration), str):
                with pytest.raises(EvaluationError):
                    problem.memory_timeline(configuration)
            elif problem.deterministic:
                timeline = problem.memory_timeline(configuration)
                assert timeline is not None
                assert problem.memory_timeline(configuration) == timeline


def require_timelines(problem: Problem) -> None:
    """Skips the tests of a target that gives no timelines."""
    if problem.memory_timeline(problem.space.default) is None:
        pytest.skip("the target does not tell what lies in memory")


def timelines_of(
    problem: Problem, chosen: list[Configuration]
) -> list[tuple[MemoryTimeline, Evaluation]]:
    """The timelines and evaluations of those configurations that the target does not refuse."""
    require_timelines(problem)
    found = []
    for configuration in chosen[:_SOME]:
        outcome = outcome_of(problem, configuration)
        if not isinstance(outcome, str):
            timeline = problem.memory_timeline(configuration)
            assert timeline is not None
            found.append((timeline, outcome))
    return found
