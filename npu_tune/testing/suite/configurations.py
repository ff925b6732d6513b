"""What may be chosen, what is forbidden, and what comes to the same."""

from __future__ import annotations

import json

import pytest

from npu_tune.errors import IllegalConfigurationError
from npu_tune.space import (
    Configuration,
    SearchSpace,
    from_params,
    from_ray_config,
    to_params,
    to_ray_config,
)
from npu_tune.targets import Problem
from npu_tune.testing.suite.fixtures import SuiteFixtures
from npu_tune.testing.suite.outcomes import outcome_of, require_same


class ConfigurationTests(SuiteFixtures):
    """Tests of the search space."""

    def test_the_default_is_legal_and_its_own_effective_one(self, space: SearchSpace) -> None:
        space.check(space.default)
        assert space.effective(space.default) == space.default

    def test_an_effective_configuration_is_its_own_effective_one(
        self, space: SearchSpace, chosen: list[Configuration]
    ) -> None:
        for configuration in chosen:
            effective = space.effective(configuration)
            assert space.effective(effective) == effective
            assert set(effective) == set(configuration)

    def test_an_effective_configuration_evaluates_to_the_same(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        effective = [problem.space.effective(configuration) for configuration in chosen]
        require_same(
            problem,
            [outcome_of(problem, configuration) for configuration in chosen],
            [outcome_of(problem, configuration) for configuration in effective],
        )

    def test_configurations_come_back_from_optuna_ray_tune_and_json(
        self, space: SearchSpace, chosen: list[Configuration]
    ) -> None:
        for configuration in chosen:
            params = to_params(space, configuration)
            assert from_params(space, json.loads(json.dumps(params))) == configuration
            nested = to_ray_config(space, configuration)
            assert from_ray_config(space, nested) == configuration
            values = json.loads(configuration.to_json())
            assert space.configuration(values) == configuration

    def test_an_unknown_knob_is_illegal(self, space: SearchSpace) -> None:
        with pytest.raises(IllegalConfigurationError):
            space.configuration({"no such layer/no such knob": 1})

    def test_a_value_that_is_not_offered_is_illegal(self, space: SearchSpace) -> None:
        for knob in space.knobs:
            with pytest.raises(IllegalConfigurationError):
                space.configuration({knob.full_name: "no such value"})

    def test_what_the_rules_forbid_is_illegal(self, problem: Problem) -> None:
        if not self.illegal:
            pytest.skip("no configuration is said to be illegal")
        for changes in self.illegal:
            configuration = problem.space.configuration(changes)
            with pytest.raises(IllegalConfigurationError):
                problem.space.check(configuration)

    def test_starts_are_legal_and_have_labels_of_their_own(self, problem: Problem) -> None:
        starts = list(problem.starts())
        labels = [start.label for start in starts]
        assert len(labels) == len(set(labels))
        for start in starts:
            problem.space.check(start.configuration)
            assert problem.space.configuration(dict(start.configuration)) == start.configuration
