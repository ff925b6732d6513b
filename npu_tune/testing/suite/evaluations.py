"""What evaluations and builds report."""

from __future__ import annotations

import math
import re
from itertools import groupby
from pathlib import Path

import pytest

from npu_tune.space import NETWORK_SCOPE, Configuration
from npu_tune.targets import Problem
from npu_tune.testing.suite.fixtures import SuiteFixtures
from npu_tune.testing.suite.outcomes import evaluations_of, outcome_of, require_same


class EvaluationTests(SuiteFixtures):
    """Tests of metrics, profiles, builds and references."""

    def test_the_metrics_reported_are_those_declared_and_finite(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        declared = {metric.name for metric in problem.metrics}
        for evaluation in evaluations_of(problem, chosen):
            assert set(evaluation.metrics) == declared
            assert all(math.isfinite(value) for value in evaluation.metrics.values())
            assert set(evaluation.spread) <= declared
            assert all(isinstance(note, str) for note in evaluation.notes)

    def test_what_an_evaluation_of_some_metrics_reports_is_what_a_whole_one_does(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        on_request = {metric.name for metric in problem.metrics if metric.on_request}
        if not on_request:
            pytest.skip("evaluations leave out nothing")
        for configuration in chosen:
            whole = outcome_of(problem, configuration)
            for needed in (set(), on_request):
                some = outcome_of(problem, configuration, needed)
                if isinstance(whole, str) or isinstance(some, str):
                    assert some == whole
                    continue
                assert set(whole.metrics) - set(some.metrics) <= on_request - needed
                if problem.deterministic:
                    assert some.metrics == {name: whole.metrics[name] for name in some.metrics}
                    assert some.profile == whole.profile

    def test_an_evaluation_repeats_whatever_was_evaluated_in_between(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        first = [outcome_of(problem, configuration) for configuration in chosen]
        again = [outcome_of(problem, configuration) for configuration in reversed(chosen)]
        require_same(problem, first, again[::-1])

    def test_a_build_reports_what_an_evaluation_does(
        self, problem: Problem, chosen: list[Configuration], tmp_path: Path
    ) -> None:
        for number, configuration in enumerate(chosen):
            evaluated = outcome_of(problem, configuration)
            if isinstance(evaluated, str):
                continue
            artifact = problem.build(configuration, tmp_path / str(number))
            assert "model" in artifact.files
            assert all(path.is_file() for path in artifact.files.values())
            assert set(artifact.evaluation.metrics) == set(evaluated.metrics)
            if problem.deterministic:
                assert artifact.evaluation.metrics == evaluated.metrics

    def test_a_profile_has_a_row_for_every_layer_that_has_knobs(self, problem: Problem) -> None:
        profile = problem.evaluate(problem.space.default).profile
        if not profile:
            pytest.skip("evaluations have no profile")
        assert {*problem.space.layers} - {NETWORK_SCOPE} <= set(profile)

    def test_a_profile_names_no_other_layers_than_those_of_network_and_space(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        # A compiler may make several operators of a layer: their names begin with the layer's.
        layers = {layer.name for layer in problem.network.layers} | {*problem.space.layers}
        known = re.compile(f"({'|'.join(map(re.escape, layers))})([^A-Za-z0-9].*)?")
        for evaluation in evaluations_of(problem, chosen):
            assert [row for row in evaluation.profile if not known.fullmatch(row)] == []

    def test_every_row_of_a_profile_says_what_the_layer_costs(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        for evaluation in evaluations_of(problem, chosen):
            for row in evaluation.profile.values():
                assert all(math.isfinite(value) for value in row.values())
                assert row[problem.profile.cost] >= 0.0

    def test_layers_that_run_as_one_stand_together_in_a_profile(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        column = problem.profile.group
        if column is None:
            pytest.skip("profiles have no column for it")
        for evaluation in evaluations_of(problem, chosen):
            groups = [row[column] for row in evaluation.profile.values()]
            assert len(list(groupby(groups))) == len(set(groups))

    def test_the_causes_that_bound_layers_are_columns_of_the_profile(
        self, problem: Problem, chosen: list[Configuration]
    ) -> None:
        causes = problem.profile.causes
        if not causes:
            pytest.skip("profiles have no columns for it")
        assert all(isinstance(word, str) and word for word in causes.values())
        for evaluation in evaluations_of(problem, chosen):
            for row in evaluation.profile.values():
                assert set(causes) <= set(row)
                assert all(row[column] >= 0.0 for column in causes)

    def test_references_are_in_metrics_that_are_known(self, problem: Problem) -> None:
        known = {name for m in problem.metrics for name in (m.name, m.stated)}
        for row in problem.references().values():
            assert set(row) <= known
            assert all(math.isfinite(value) for value in row.values())
