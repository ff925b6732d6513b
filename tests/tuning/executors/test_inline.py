from __future__ import annotations

import errno
import os
import warnings

import pytest
from fake_targets import Failing, LayeredTarget, Loud, fake_network

from npu_tune.tuning.executors.evaluate import quiet
from npu_tune.tuning.executors.inline import InlineExecutor

NETWORK = fake_network()
DEFAULT = LayeredTarget().space(NETWORK).default


def outcome_of(target, configuration=DEFAULT):
    with InlineExecutor(target, NETWORK) as executor:
        executor.submit(7, configuration)
        assert executor.free == 0
        outcome = executor.wait(0.0)
        assert executor.free == 1
        return outcome


def test_an_evaluation_comes_back_under_its_ticket():
    outcome = outcome_of(LayeredTarget())

    assert outcome.ticket == 7
    assert dict(outcome.evaluation.metrics) == dict(
        LayeredTarget().evaluate(NETWORK, DEFAULT).metrics
    )
    assert outcome.error is None


def test_what_the_target_raises_is_an_outcome():
    changed = DEFAULT.replace({"layer0/block": 16})

    assert outcome_of(Failing(), changed).error.failure == "compiler-error"
    bug = outcome_of(Failing(bug=True), changed).error
    assert bug.message == "ZeroDivisionError: an odd shape"
    leaving = outcome_of(Failing(exits=True), changed).error
    assert leaving.message == "SystemExit: bad option"


@pytest.mark.parametrize(
    ("number", "failure"),
    [(errno.ENOSPC, "infrastructure"), (errno.EISDIR, "compiler-error")],
)
def test_what_the_machine_runs_out_of_is_not_blamed_on_the_configuration(
    monkeypatch, number, failure
):
    def evaluate(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(LayeredTarget, "evaluate", evaluate)
    assert outcome_of(LayeredTarget()).error.failure == failure


def test_nothing_a_compiler_prints_reaches_the_terminal(capfd):
    outcome = outcome_of(Loud())

    assert outcome.error is None
    assert "NOISE" not in "".join(capfd.readouterr())


def test_the_terminal_is_back_after_the_noise(capfd):
    with quiet():
        print("unheard")
    print("heard")

    assert capfd.readouterr().out == "heard\n"


def test_warnings_get_through_the_silence():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("look here", stacklevel=1)

    assert [str(warning.message) for warning in caught] == ["look here"]
