from __future__ import annotations

import json
import shlex

import pytest
from study_results import infeasible_result, study_result

import npu_tune
from npu_tune.cli.main import commands
from npu_tune.report.explain import explain, explain_from_records
from npu_tune.report.explain.document import report_document


def test_the_document_is_plain_json(tmp_path):
    result = study_result()
    document = report_document(result, explain_from_records(result), folder=tmp_path / "a b")
    assert json.loads(json.dumps(document)) == document
    assert document["why"]["leading"] == ["conv/ofm_block"]
    assert document["why"]["export"] == f"npu-tune export '{tmp_path}/a b' --out deploy"
    assert document["why"]["memory"] == {"before": None, "after": None}


def test_nothing_is_explained_where_no_trial_meets_the_limits(tmp_path):
    document = report_document(infeasible_result(), None, folder=tmp_path)
    assert (document["best"], document["why"]) == (None, None)


@pytest.mark.slow
class TestSomebodyWhoHasOnlyTheReportOfMobilenetV2:
    """Asks the report what a person would, and checks the answers by other means."""

    @pytest.fixture(scope="class")
    def study(self, mobilenet_study):
        return mobilenet_study

    @pytest.fixture(scope="class")
    def why(self, study):
        folder, result = study
        return report_document(result, explain(folder, result, seconds=600), folder=folder)["why"]

    def test_can_tell_what_the_bottleneck_is(self, study, why):
        _, result = study
        profile = result.best.profile
        slowest = max(profile, key=lambda layer: profile[layer]["cycles"])
        share = profile[slowest]["cycles"] / sum(row["cycles"] for row in profile.values())
        assert slowest == "logits"
        assert profile[slowest]["off_chip_cycles"] > profile[slowest]["npu_cycles"]
        assert why["advice"][0] == (
            f"logits takes {share:.0%} of the time: reading from flash takes longer than computing."
        )
        row = next(row for row in why["layers"] if row["layer"] == slowest)
        assert row["cause_after"] == "flash"
        assert row["share_after"] == pytest.approx(share)

    def test_can_tell_which_three_changes_matter(self, study, why):
        _, result = study
        best = result.best
        gains = {gain["label"]: gain for gain in why["gains"]}
        leading = [gains[label] for label in why["leading"]]
        assert len(leading) == 3
        assert leading[0]["gain"] == max(gain["gain"] or 0.0 for gain in why["gains"])
        for gain in leading:
            left = best.configuration.replace(
                {name: result.default[name] for name in gain["names"]}
            )
            found = npu_tune.evaluate(
                "mobilenet-v2-0.35-96", "ethos-u55-128", left.difference(result.default)
            )
            cost = result.objective.cost(found.metrics, result.baseline.metrics)
            assert gain["gain"] == pytest.approx(cost - best.cost)
            assert cost > best.cost

    def test_can_tell_what_the_peak_is_made_of(self, study, why):
        _, result = study
        (peak,) = why["memory"]["after"]["peaks"]
        assert peak["pool"] == "SRAM"
        assert peak["used_bytes"] == result.best.metrics["sram_bytes"]
        sizes = {each["name"]: each["size_bytes"] for each in why["memory"]["after"]["buffers"]}
        assert sum(sizes[name] for name in peak["maps"]) == peak["live_bytes"]
        assert peak["live_bytes"] <= peak["used_bytes"]
        # Half of an operator's step may be one of its own.
        operator = peak["layer"].removesuffix(" (end)")
        assert operator in {row["layer"] for row in why["layers"]}

    def test_can_tell_what_got_worse(self, study, why):
        _, result = study
        before, after = result.baseline.metrics, result.best.metrics
        worse = {
            metric.name
            for metric in result.metrics
            if metric.goal == "minimize" and after[metric.name] > 1.005 * before[metric.name]
        }
        assert why["in_return"].keys() == worse
        assert worse

    def test_can_tell_how_to_get_the_file(self, why):
        words = shlex.split(why["export"])
        assert words[0] == "npu-tune"
        context = commands.make_context("npu-tune", words[1:])
        name, command, rest = commands.resolve_command(context, words[1:])
        assert name == "export"
        command.make_context(name, list(rest))
