"""Problems: bound, closed, open together, and told apart by their keys."""

from __future__ import annotations

import pytest

from npu_tune.errors import ModelError
from npu_tune.network import Network
from npu_tune.space import Configuration
from npu_tune.targets import Problem, Target
from npu_tune.testing.suite.fixtures import SuiteFixtures
from npu_tune.testing.suite.outcomes import outcome_of, require_same


class BindingTests(SuiteFixtures):
    """Tests of problems and keys."""

    def test_a_network_that_is_not_fit_is_refused(
        self, target: Target, unfit_network: Network | None
    ) -> None:
        if unfit_network is None:
            pytest.skip("no network is said to be unfit")
        with pytest.raises(ModelError):
            target.bind(unfit_network)

    def test_a_problem_is_closed_twice_and_bound_again(
        self, target: Target, network: Network
    ) -> None:
        first = target.bind(network)
        first.evaluate(first.space.default)
        first.close()
        first.close()
        with target.bind(network) as second:
            second.evaluate(second.space.default)

    def test_problems_that_are_open_together_do_not_disturb_each_other(
        self,
        problem: Problem,
        chosen: list[Configuration],
        other_target: Target | None,
        other_network: Network | None,
    ) -> None:
        alone = [outcome_of(problem, configuration) for configuration in chosen]
        target, network = problem.target, problem.network
        with target.bind(network) as same:
            others = [target.bind(other_network or network)]
            others.append((other_target or target).bind(network))
            together = []
            for configuration in chosen:
                for other in others:
                    outcome_of(other, other.space.default)
                together.append(outcome_of(same, configuration))
            for other in others:
                other.close()
            together.append(outcome_of(same, chosen[0]))
        require_same(problem, [*alone, alone[0]], together)

    def test_the_space_is_the_same_every_time(self, problem: Problem) -> None:
        assert problem.space is problem.space
        with problem.target.bind(problem.network) as again:
            assert again.space.knobs == problem.space.knobs

    def test_configurations_share_a_key_just_where_they_share_the_effective_one(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        keys = {}
        for configuration in chosen:
            effective = problem.space.effective(configuration)
            assert problem.key(configuration) == problem.key(effective)
            keys[effective] = problem.key(configuration)
        assert len(set(keys.values())) == len(keys)

    def test_another_network_has_other_keys(
        self, problem: Problem, other_network: Network | None
    ) -> None:
        if other_network is None:
            pytest.skip("there is no other network")
        with problem.target.bind(other_network) as other:
            assert other.key(other.space.default) != problem.key(problem.space.default)

    def test_another_target_has_other_keys(
        self, problem: Problem, other_target: Target | None
    ) -> None:
        if other_target is None:
            pytest.skip("there is no other target")
        with other_target.bind(problem.network) as other:
            assert other.identity != problem.identity
            assert other.key(problem.space.default) != problem.key(problem.space.default)
