from __future__ import annotations

import time

from npu_tune.targets.measured.engine import profiled_runs


def test_short_networks_are_profiled_often(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    assert len(list(profiled_runs(most=10))) == 10


def test_long_networks_are_profiled_a_few_times(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    assert len(list(profiled_runs(least=3))) == 3
