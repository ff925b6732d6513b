from __future__ import annotations

from dataclasses import dataclass

import pytest
from fake_studies import run_fake
from fake_targets import LayeredTarget, WrappedProblem, WrappedTarget

from npu_tune.errors import NpuTuneWarning, TargetError
from npu_tune.targets.oracle import Bound
from npu_tune.tuning import read_study


class _Knowing(WrappedProblem):
    def bound(self, *, base=None):
        if self.target.fails:
            raise TargetError("Out of reach.")
        least = 1000.0 if base["network/strategy"] == "size" else 900.0
        assert base == self.space.default.replace({"network/strategy": base["network/strategy"]})
        metrics = {"cycles": least, "sram_bytes": 100.0}
        return Bound(metrics, ("A note.",), self.target.front)


@dataclass(frozen=True)
class Knowing(WrappedTarget):
    fails: bool = False
    front: tuple[dict[str, float], ...] = ()

    def bind(self, network):
        return _Knowing(self, self.inner.bind(network))


def test_a_study_ends_with_the_bound_for_what_its_best_chose(tmp_path):
    result = run_fake(tmp_path / "s", 20, target=Knowing(LayeredTarget()))
    is_size = result.best.configuration["network/strategy"] == "size"

    assert result.bound == Bound(
        {"cycles": 1000.0 if is_size else 900.0, "sram_bytes": 100.0}, ("A note.",)
    )
    assert read_study(tmp_path / "s").bound == result.bound
    assert result.gap.excess > 0


def test_a_study_keeps_that_metrics_are_bounded_together(tmp_path):
    front = ({"cycles": 900.0, "sram_bytes": 400.0}, {"cycles": 1200.0, "sram_bytes": 100.0})
    result = run_fake(tmp_path / "s", 3, target=Knowing(LayeredTarget(), front=front))
    read = read_study(tmp_path / "s")

    assert read.bound.front == result.bound.front == front
    baseline = result.baseline.metrics
    assert read.gap.least_cost == min(
        sum(w * row[m] / baseline[m] for m, w in result.objective.weights.items()) for row in front
    )


def test_a_target_that_knows_none_leaves_it_out(tmp_path):
    assert run_fake(tmp_path / "s", 3).bound is None


def test_a_bound_that_cannot_be_found_is_a_warning(tmp_path):
    with pytest.warns(NpuTuneWarning, match="What nothing falls below is missing: Out of reach"):
        result = run_fake(tmp_path / "s", 3, target=Knowing(LayeredTarget(), fails=True))
    assert result.bound is None
