"""Schedules that pass without a command stream, and those that Vela has to decide on."""

from __future__ import annotations

import pytest
from ethosu.vela.operation import NpuBlockType, Padding
from ethosu.vela.tensor import TensorFormat

from npu_tune.errors import EvaluationError
from npu_tune.network import zoo_network
from npu_tune.targets.ethos_u.compiler import stream_rules
from npu_tune.targets.ethos_u.compiler.metrics import network_metrics
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.plan import NetworkPlan, OperatorPlan
from npu_tune.testing.configurations import some_configurations


def _outcome(ask, configuration):
    try:
        return ask(configuration)
    except EvaluationError as error:
        return str(error)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["u55", "u65"])
@pytest.mark.parametrize("name", ["ds-cnn", "resnet8"])
def test_without_a_command_stream_everything_else_is_the_same(request, system, name):
    target, needed = request.getfixturevalue(system), {"u55": "flash_bytes", "u65": "dram_bytes"}
    with target.bind(zoo_network(name, format="tflite")) as problem:
        for configuration in some_configurations(problem.space, 24, seed=7):
            whole = _outcome(problem.evaluate, configuration)
            some = _outcome(lambda c: problem.evaluate_some(c, ()), configuration)
            if isinstance(whole, str):
                assert some == whole
                continue
            assert not problem._session.has_stream
            assert set(whole.metrics) - set(some.metrics) == {needed[system]}
            assert {k: whole.metrics[k] for k in some.metrics} == some.metrics
            assert some.profile == whole.profile


def test_a_metric_that_needs_the_command_stream_has_it(mobilenet_problem):
    default = mobilenet_problem.space.default
    assert mobilenet_problem.evaluate_some(default, ["flash_bytes"]) == mobilenet_problem.evaluate(
        default
    )


@pytest.fixture(scope="module")
def session(u55, resnet8):
    session = Session(resnet8, u55.system)
    yield session
    session.close()


def _holds(session):
    rules = stream_rules.StreamRules()
    return rules.hold(session.graph, session.npu_subgraphs, session.arch)


def test_vela_decides_where_addresses_may_lie_beyond_a_memory(session, monkeypatch):
    session.compile(NetworkPlan(), stream=False)
    assert _holds(session)
    monkeypatch.setattr(session.arch, "mem_type_size", lambda _: 1000)
    assert not _holds(session)


def test_vela_decides_where_a_block_was_chosen_in_another_traversal(session, monkeypatch):
    session.compile(NetworkPlan(), stream=False)
    monkeypatch.setattr(stream_rules, "striped_block", lambda *_, **__: None)
    costs = session.operator_costs()
    convolution = next(cost for cost in costs if cost.npu_weights_tensor)
    assert _holds(session)
    monkeypatch.setattr(
        convolution.block_config, "is_partkernel", not convolution.block_config.is_partkernel
    )
    assert not _holds(session)


def test_vela_decides_where_a_format_is_not_what_an_operator_needs(session, monkeypatch):
    session.compile(NetworkPlan(), stream=False)
    (subgraph,) = session.npu_subgraphs
    op = next(o for o in subgraph.sched_ops if o.ifm.format == TensorFormat.NHCWB16)
    monkeypatch.setattr(op.parent_op, "ofm_stride_multiplier", [1, 2, 2])
    assert not _holds(session)
    monkeypatch.undo()
    monkeypatch.setitem(op.parent_op.attrs, "padding", Padding.TILE)
    assert _holds(session)
    monkeypatch.setattr(op.ifm.connection.parent_tens, "format", TensorFormat.NHWC)
    assert not _holds(session)


def test_vela_decides_where_the_stripes_of_a_cascade_cannot_be_counted_out(session, monkeypatch):
    plan = NetworkPlan(operators={n: OperatorPlan(cascade=True) for n in range(20)})
    session.compile(plan, stream=False)
    assert not session.has_stream

    def stop(*_):
        raise AssertionError

    monkeypatch.setattr(stream_rules, "generate_high_level_commands_for_sched_op", stop)
    assert not _holds(session)


def test_a_sum_over_channels_needs_linear_maps(session, monkeypatch):
    session.compile(NetworkPlan(), stream=False)
    (subgraph,) = session.npu_subgraphs
    op = next(o for o in subgraph.sched_ops if o.ifm.format == TensorFormat.NHCWB16)
    kind = type("Kind", (), {"npu_block_type": NpuBlockType.ReduceSum})
    monkeypatch.setattr(op, "op_type", kind)
    assert not _holds(session)


def test_metrics_without_the_command_stream_lack_the_memory_it_is_in(session):
    session.compile(NetworkPlan(), stream=False)
    lean = network_metrics(session.graph, session.arch, has_stream=False)
    session.compile(NetworkPlan())
    whole = network_metrics(session.graph, session.arch)
    assert lean == {name: value for name, value in whole.items() if name != "flash_bytes"}
