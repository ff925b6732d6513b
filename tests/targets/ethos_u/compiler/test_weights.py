from __future__ import annotations

from npu_tune.targets.ethos_u.compiler import weights
from npu_tune.targets.ethos_u.compiler.metrics import network_metrics
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.plan import NetworkPlan, OperatorPlan


def test_figures_do_not_depend_on_what_is_remembered(u55, mobilenet, monkeypatch):
    session = Session(mobilenet, u55.system)
    plans = [
        NetworkPlan(operators={n: OperatorPlan(weight_slices=16) for n in range(turn)})
        for turn in range(1, 28, 5)
    ]
    remembered = [network_metrics(session.compile(plan), session.arch) for plan in plans]
    monkeypatch.setattr(weights, "MEMORY_BYTES", 0)
    forgetful = Session(mobilenet, u55.system)
    again = [network_metrics(forgetful.compile(plan), forgetful.arch) for plan in plans]
    assert again == remembered
    assert len(forgetful._encoder._memo) == 1
    session.close()
    forgetful.close()
