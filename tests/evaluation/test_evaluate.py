from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import threading
import warnings

import numpy as np
import pytest
from evaluations import CHANGED, NETWORK, SPACE
from fake_targets import Acting, FailingTarget, LayeredTarget

from npu_tune.errors import CompilerError
from npu_tune.evaluation import Outcome, evaluate, quiet
from npu_tune.targets import Evaluation


def outcome_of(target, configuration=CHANGED[0]) -> Outcome:
    with target.bind(NETWORK) as problem:
        return evaluate(problem, configuration)


def test_what_the_target_reports_is_an_outcome():
    outcome = outcome_of(LayeredTarget(), SPACE.default)

    here = LayeredTarget().evaluate(NETWORK, SPACE.default)
    assert outcome.evaluation.metrics == dict(here.metrics)
    assert outcome.evaluation.profile == here.profile
    assert outcome.evaluation.notes == here.notes
    assert outcome.error is None
    assert outcome.seconds > 0


def test_what_the_target_raises_is_an_outcome():
    assert outcome_of(FailingTarget()).error.failure == "compiler-error"
    bug = outcome_of(FailingTarget(error=ZeroDivisionError, message="an odd shape")).error
    assert bug.message == "ZeroDivisionError: an odd shape"
    leaving = outcome_of(FailingTarget(error=SystemExit, message="bad option")).error
    assert leaving.message == "SystemExit: bad option"


def test_somebody_who_wants_to_stop_gets_through():
    with pytest.raises(KeyboardInterrupt):
        outcome_of(FailingTarget(error=KeyboardInterrupt))


@pytest.mark.parametrize(
    ("number", "failure"),
    [(errno.ENOSPC, "infrastructure"), (errno.EISDIR, "compiler-error")],
)
def test_what_the_machine_runs_out_of_is_not_blamed_on_the_configuration(
    monkeypatch, number, failure
):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(LayeredTarget, "evaluate", refuse)
    assert outcome_of(LayeredTarget()).error.failure == failure


@pytest.mark.parametrize(
    "failure", [MemoryError("out of memory"), ConnectionResetError("gone"), TimeoutError("gone")]
)
def test_what_went_wrong_on_the_way_to_a_board_is_not_blamed_on_the_configuration(
    monkeypatch, failure
):
    def refuse(*_):
        raise failure

    monkeypatch.setattr(LayeredTarget, "evaluate", refuse)
    assert outcome_of(LayeredTarget()).error.failure == "infrastructure"


@pytest.fixture
def limited():
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**34, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_memory_that_runs_out_is_said_with_the_limit_and_what_to_do(limited, tmp_path):
    error = outcome_of(Acting(act=allocate_too_much, folder=tmp_path)).error

    assert error.failure == "infrastructure"
    assert error.message == (
        "A worker ran out of memory while evaluating this configuration "
        "(MemoryError: memory ran out). The worker may use 16,384 MiB."
    )
    assert "fewer workers" in error.remedy


def allocate_too_much(folder):
    bytearray(2**35)


def test_a_copy_that_the_target_makes_of_this_process_ends_with_the_evaluation(tmp_path):
    outcome = outcome_of(Acting(act=make_a_copy, folder=tmp_path))

    assert outcome.error is None
    assert os.waitstatus_to_exitcode(os.waitpid(int((tmp_path / "copy").read_text()), 0)[1]) == 0


def make_a_copy(folder):
    copy = os.fork()
    if copy:
        (folder / "copy").write_text(str(copy))


def test_names_of_metrics_travel_as_text(monkeypatch):
    odd = Evaluation(metrics={np.str_("cycles"): 1.0}, profile={np.str_("a"): {np.str_("b"): 2}})
    monkeypatch.setattr(LayeredTarget, "evaluate", lambda *_: odd)

    evaluation = outcome_of(LayeredTarget()).evaluation
    names = [*evaluation.metrics, *evaluation.profile, *evaluation.profile["a"]]
    assert [type(name) for name in names] == [str, str, str]


class BoardError(CompilerError):
    """An error of somebody else's, with arguments of its own."""

    def __init__(self, code):
        super().__init__(f"The board said {code}.", remedy="Reset it.", code=code, raw=object())


def test_an_error_of_somebody_elses_class_becomes_one_that_any_process_can_read(monkeypatch):
    def refuse(*_):
        raise BoardError(7)

    monkeypatch.setattr(LayeredTarget, "evaluate", refuse)
    error = pickle.loads(pickle.dumps(outcome_of(LayeredTarget()).error))  # noqa: S301
    assert type(error) is CompilerError
    assert (error.message, error.remedy) == ("The board said 7.", "Reset it.")
    assert error.data == {"code": 7}


def test_numbers_of_any_library_become_pythons_own(monkeypatch):
    def odd(*_):
        row = {"cycles": np.int64(3), "bytes": np.float32(0.5)}
        return Evaluation({"cycles": np.int64(3)}, {"a": row}, ["x"], {"cycles": np.float64(0.1)})

    monkeypatch.setattr(LayeredTarget, "evaluate", odd)
    found = outcome_of(LayeredTarget()).evaluation

    assert json.dumps([found.metrics, found.profile, found.spread])
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - made here
    assert {type(v) for v in found.profile["a"].values()} == {float}
    assert found.notes == ("x",)


def test_the_terminal_is_back_after_the_noise(capfd):
    with quiet():
        print("unheard")
    print("heard")

    assert capfd.readouterr().out == "heard\n"


def test_the_terminal_is_back_after_threads_that_were_quiet_at_the_same_time(capfd):
    began, may_end = threading.Event(), threading.Event()

    def outlast():
        with quiet():
            began.set()
            may_end.wait()
            print("unheard")

    with quiet():
        thread = threading.Thread(target=outlast)
        thread.start()
        began.wait()
    print("unheard too, as the other one is still at it")
    may_end.set()
    thread.join()
    print("heard")
    os.write(1, b"on the descriptor too\n")

    assert sorted(capfd.readouterr().out.splitlines()) == ["heard", "on the descriptor too"]


def test_warnings_get_through_the_silence():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("look here", stacklevel=1)

    assert [str(warning.message) for warning in caught] == ["look here"]
