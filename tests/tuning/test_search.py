"""What a study asks of its problem beside evaluations: starts, references and rivals."""

from __future__ import annotations

import dataclasses
import math

import pytest
from fake_studies import run_fake
from fake_targets import LayeredTarget, WrappedProblem, WrappedTarget, fake_network

from npu_tune.errors import CompilerError, NpuTuneWarning
from npu_tune.targets import Start
from npu_tune.tuning import read_study


class Slowly(WrappedProblem):
    """Finds its second start in vain, and rivals at the end."""

    def starts(self):
        changed = self.space.knobs[0]
        yield Start("first", self.space.default.replace({changed.full_name: changed.values[-1]}))
        raise CompilerError("no second schedule")

    def rivals(self, cost):
        metrics = dict(self.inner.evaluate(self.space.default).metrics)
        halved = {name: value / 2 for name, value in metrics.items()}
        made = {"rival": halved, "as good": metrics}
        return {label: row for label, row in made.items() if math.isfinite(cost(row))}


@dataclasses.dataclass(frozen=True)
class Rivalled(WrappedTarget):
    def bind(self, network):
        return Slowly(self, self.inner.bind(network))


def test_starts_are_asked_for_one_by_one_and_what_was_found_is_kept(tmp_path):
    with pytest.warns(NpuTuneWarning, match="goes on without .* no second schedule"):
        result = run_fake(tmp_path / "s", 4, target=Rivalled(LayeredTarget()))
    origins = [trial.origin for trial in result.trials]
    assert origins[:2] == ["baseline", "start: first"]
    assert len(result.trials) == 4


@pytest.mark.filterwarnings("ignore:The search goes on")
def test_rivals_are_found_at_the_end_and_kept_with_the_references(tmp_path):
    result = run_fake(tmp_path / "s", 3, target=Rivalled(LayeredTarget()))
    assert list(result.references) == ["other compiler", "rival", "as good"]
    assert dict(result.references["as good"]) == dict(result.baseline.metrics)
    assert dict(read_study(tmp_path / "s").references) == dict(result.references)


@pytest.mark.filterwarnings("ignore:The search goes on")
def test_a_rival_beyond_a_limit_is_none(tmp_path):
    sram = LayeredTarget().bind(fake_network())
    limit = 0.75 * sram.evaluate(sram.space.default).metrics["sram_bytes"]
    limits = {"sram_bytes": limit}
    result = run_fake(tmp_path / "s", 3, target=Rivalled(LayeredTarget()), limits=limits)
    assert list(result.references) == ["other compiler", "rival"]


def test_a_target_that_finds_no_rivals_only_warns(tmp_path):
    class Failing(WrappedProblem):
        def rivals(self, cost):
            raise CompilerError("no rival")

    @dataclasses.dataclass(frozen=True)
    class Alone(WrappedTarget):
        def bind(self, network):
            return Failing(self, self.inner.bind(network))

    with pytest.warns(NpuTuneWarning, match="no rival"):
        result = run_fake(tmp_path / "s", 3, target=Alone(LayeredTarget()))
    assert list(result.references) == ["other compiler"]
