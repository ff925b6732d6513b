from __future__ import annotations

from npu_tune.targets.ethos_u.compiler import weights
from npu_tune.targets.ethos_u.compiler.figures import network_figures
from npu_tune.targets.ethos_u.compiler.session import Session
from npu_tune.targets.ethos_u.compiler.settings import Hardware
from npu_tune.targets.ethos_u.plan import OperatorPlan, Plan


def test_figures_do_not_depend_on_what_is_remembered(u55, mobilenet, monkeypatch):
    hardware = Hardware(u55.accelerator, u55.system_config, u55.memory_mode, u55.ini)
    session = Session(mobilenet, hardware)
    plans = [
        Plan(operators={n: OperatorPlan(weight_slices=16) for n in range(turn)})
        for turn in range(1, 28, 5)
    ]
    remembered = [network_figures(session.compile(plan), session.arch) for plan in plans]
    monkeypatch.setattr(weights, "MEMORY_BYTES", 0)
    forgetful = Session(mobilenet, hardware)
    again = [network_figures(forgetful.compile(plan), forgetful.arch) for plan in plans]
    assert again == remembered
    assert len(forgetful._encoder._memo) == 1
