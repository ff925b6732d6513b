"""What a target says of itself, here and in other processes."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping

import pytest

from npu_tune.errors import TargetError
from npu_tune.network import Network
from npu_tune.space import Configuration
from npu_tune.targets import (
    Goal,
    Kind,
    Problem,
    Target,
    default_objective,
    load_target,
    target_families,
)
from npu_tune.testing.elsewhere import describe_elsewhere, describe_problem
from npu_tune.testing.suite.fixtures import SuiteFixtures

UNITS: Mapping[str, tuple[str, ...]] = {
    "_bytes": ("b", "byte", "bytes"),
    "_cycles": ("cycles",),
    "_ms": ("ms",),
    "_ns": ("ns",),
    "_s": ("s",),
    "_us": ("us", "µs"),
}
"""Units, in lower case, that fit the ending of a metric's name."""


class DescriptionTests(SuiteFixtures):
    """Tests of name, metrics and fingerprint."""

    def test_the_target_has_a_name_without_spaces(self, target: Target) -> None:
        assert re.fullmatch(r"\S+", target.name)

    def test_metric_names_are_unique_and_may_stand_in_a_limit(self, target: Target) -> None:
        names = [metric.name for metric in target.metrics]
        assert names
        assert len(names) == len(set(names))
        assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in names)

    def test_every_metric_has_a_kind_and_the_unit_that_its_name_says(self, target: Target) -> None:
        for metric in target.metrics:
            assert isinstance(metric.kind, Kind)
            assert metric.goal is None or isinstance(metric.goal, Goal)
            ending = next((e for e in UNITS if metric.name.endswith(e)), None)
            assert ending is None or metric.unit.lower() in UNITS[ending]

    def test_metrics_expect_no_spread_where_evaluations_repeat(self, problem: Problem) -> None:
        for metric in problem.metrics:
            assert math.isfinite(metric.spread)
            assert metric.spread >= 0.0
            assert metric.spread == 0.0 or not problem.deterministic

    def test_the_default_objective_is_of_one_kind(self, target: Target) -> None:
        names = default_objective(target.metrics)
        kinds = {metric.kind for metric in target.metrics if metric.name in names}
        assert len(kinds) == 1

    def test_the_fingerprint_is_text(self, target: Target) -> None:
        parts = target.fingerprint()
        assert parts
        assert all(isinstance(text, str) for item in parts.items() for text in item)

    def test_the_target_survives_pickling(self, target: Target, network: Network) -> None:
        again: Target = pickle.loads(pickle.dumps(target))  # noqa: S301 - made here
        assert again == target
        with target.bind(network) as one, again.bind(network) as other:
            assert one.identity == other.identity
            default = one.space.default
            assert one.key(default) == other.key(default)

    def test_the_target_is_the_same_in_another_process(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        there = describe_elsewhere(problem, chosen)
        here = describe_problem(problem, chosen)
        assert there["identity"] == here["identity"]
        assert there["keys"] == here["keys"]
        if problem.deterministic:
            assert there["metrics"] == here["metrics"]

    def test_an_unknown_option_is_refused(self, target: Target) -> None:
        families = target_families().values()
        if not any(target.name in family.names() for family in families):
            pytest.skip("no installed family makes this target by name")
        with pytest.raises(TargetError):
            load_target(target.name, {"no_such_option": 1})
