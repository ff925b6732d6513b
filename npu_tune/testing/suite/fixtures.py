"""Fixtures of the suite, most of them to be overridden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest

from npu_tune.errors import IllegalConfigurationError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets import Problem, Target
from npu_tune.testing.configurations import some_configurations


class SuiteFixtures:
    """What the tests are about; see :class:`npu_tune.testing.suite.TargetSuite`.

    Attributes:
        configurations: how many random configurations are tried.
        illegal: changes of the default that the target's rules forbid, although every single
            value is offered.
    """

    configurations: ClassVar[int] = 9
    illegal: ClassVar[tuple[Mapping[str, Value], ...]] = ()

    @pytest.fixture
    def target(self) -> Target:
        """The target that is tested."""
        raise NotImplementedError("Override the fixture `target`.")

    @pytest.fixture
    def network(self) -> Network:
        """A network that is fit for it; a small one will do."""
        raise NotImplementedError("Override the fixture `network`.")

    @pytest.fixture
    def other_target(self) -> Target | None:
        """A target that evaluates otherwise."""
        return None

    @pytest.fixture
    def other_network(self) -> Network | None:
        """Another network that is fit."""
        return None

    @pytest.fixture
    def unfit_network(self) -> Network | None:
        """A network that is not."""
        return None

    @pytest.fixture
    def problem(self, target: Target, network: Network) -> Iterator[Problem]:
        """The network bound to the target."""
        with target.bind(network) as bound:
            yield bound

    @pytest.fixture
    def space(self, problem: Problem) -> SearchSpace:
        """What may be chosen."""
        return problem.space

    @pytest.fixture
    def chosen(self, space: SearchSpace) -> list[Configuration]:
        """The default, and random configurations that the rules do not forbid."""
        drawn = some_configurations(space, self.configurations)
        return [space.default, *(each for each in drawn if is_legal(space, each))]


def is_legal(space: SearchSpace, configuration: Configuration) -> bool:
    """True where the rules do not forbid a configuration."""
    try:
        space.check(configuration)
    except IllegalConfigurationError:
        return False
    return True
