"""What a deployable configuration may choose."""

from __future__ import annotations

import pytest

from npu_tune.errors import ModelError, TargetError
from npu_tune.network.zoo import zoo_network
from npu_tune.space import NETWORK_SCOPE
from npu_tune.targets import load_target
from npu_tune.testing import some_configurations

DEPLOYABLE = load_target("neural-art-stm32n6", {"deployable": True})


@pytest.fixture(scope="module")
def problem():
    with DEPLOYABLE.bind(zoo_network("mobilenet-v2-0.35-96", format="onnx")) as bound:
        yield bound


def test_layers_choose_nothing_but_stripes(problem):
    layers = {knob.name for knob in problem.space.knobs if knob.layer != NETWORK_SCOPE}
    assert layers == {"depth_first", "stripes"}


def test_the_copy_of_an_input_is_no_node_of_the_file_and_starts_no_segment(problem):
    assert not any(knob.layer.endswith("/load") for knob in problem.space.knobs)


def test_the_default_is_that_of_the_free_space(problem):
    with load_target("neural-art-stm32n6").bind(problem.network) as free:
        assert problem.evaluate({}).metrics == free.evaluate({}).metrics


def test_any_configuration_recomputes_rows_and_is_evaluated_as_its_effective_form(problem):
    for configuration in some_configurations(problem.space, 12, seed=3):
        effective = problem.space.effective(configuration)
        assert problem.space.effective(effective) == effective
        assert problem.evaluate(configuration) == problem.evaluate(effective)
        run = problem.compiler.run(effective)
        segments = [s.epoch.segment for s in run.steps if s.epoch.segment is not None]
        assert all(segment.halo == "recompute" for segment in segments)


def test_plans_go_below_the_best_network_wide_setting(problem):
    default = problem.evaluate({}).metrics

    def cost(metrics):
        return sum(metrics[name] / default[name] for name in ("latency_ms", "ram_bytes")) / 2

    best = min(cost(problem.evaluate(start.configuration).metrics) for start in problem.starts())
    (rival,) = problem.rivals(cost).values()
    assert best < 0.9 * cost(rival)


def test_a_tflite_file_is_refused_because_onnx_is_rewritten():
    with pytest.raises(ModelError, match="rewrites ONNX files"):
        DEPLOYABLE.bind(zoo_network("ds-cnn", format="tflite"))


def test_no_deployable_configuration_falls_below_the_bound(problem):
    """Not even the fastest network-wide setting, whose layers choose nothing themselves."""
    settings = [setting.metrics for setting in problem.compiler.vendor_settings]
    starts = [problem.evaluate(start.configuration).metrics for start in problem.starts()]
    for name, least in problem.bound().metrics.items():
        assert least <= min(metrics[name] for metrics in (*settings, *starts)), name


def test_there_is_no_exact_front_over_what_is_deployable(problem):
    with pytest.raises(TargetError, match="no exact front over what is deployable"):
        problem.front()
