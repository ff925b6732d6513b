"""The network and the program that the tests of commands share."""

from __future__ import annotations

import pytest
from command_cases import command_table
from small_networks import network_of

from npu_tune.targets import load_target

WEIGHTS = {"w": (4, 3, 3, 3), "v": (4, 4, 3, 3)}


@pytest.fixture(scope="module")
def network():
    return network_of("conv = Conv(x, w) y = Conv(conv, v)", WEIGHTS, inputs="float[1,3,8,8] x")


@pytest.fixture
def bound(network, tmp_path, monkeypatch):
    """Binds the tests' program with some changes to its table."""
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    problems = []

    def bind(*acts, **changes):
        target = load_target("command", {"command": command_table(*acts, **changes)})
        problems.append(target.bind(network))
        return problems[-1]

    yield bind
    for problem in problems:
        problem.close()
