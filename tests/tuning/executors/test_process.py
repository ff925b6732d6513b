from __future__ import annotations

import os
import signal

import pytest
from fake_studies import run_fake
from fake_targets import (
    Counting,
    Crashing,
    Environment,
    Failing,
    Hanging,
    LayeredTarget,
    Loud,
    Meeting,
    MeetingPlace,
    Where,
    fake_network,
    is_running,
)

from npu_tune.errors import ExecutorError
from npu_tune.tuning.executors.payload import pack
from npu_tune.tuning.executors.process import ProcessExecutor

NETWORK = fake_network()
SPACE = LayeredTarget().space(NETWORK)
CHANGED = [SPACE.configuration({"layer0/block": 8 * (i + 2)}) for i in range(3)]


def pool(target, *, workers=1, timeout_s=60.0):
    return ProcessExecutor(pack(target, NETWORK), workers=workers, timeout_s=timeout_s)


def next_outcome(executor):
    while True:
        outcome = executor.wait(10.0)
        if outcome is not None:
            return outcome


def evaluate(executor, configuration, ticket=0):
    executor.submit(ticket, configuration)
    return next_outcome(executor)


def test_a_worker_answers_as_the_target_does_here():
    with pool(LayeredTarget()) as executor:
        outcome = evaluate(executor, CHANGED[0], ticket=5)

    here = LayeredTarget().evaluate(NETWORK, CHANGED[0])
    assert outcome.ticket == 5
    assert outcome.evaluation.metrics == dict(here.metrics)
    assert outcome.evaluation.profile == here.profile


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_as_many_evaluations_run_at_once_as_there_are_workers(tmp_path, workers):
    # The meeting lets nobody go before all are there: fewer at once would never come to an end.
    target = Meeting(address=str(tmp_path / "socket"))
    with MeetingPlace(tmp_path / "socket", workers) as place:
        result = run_fake(
            tmp_path / "s",
            1 + 2 * workers,
            target=target,
            executor={"kind": "process", "workers": workers, "timeout_s": 60},
        )

    assert [len(set(group)) for group in place.groups] == [workers] * 2
    assert not any(trial.failure for trial in result.trials)


def test_workers_live_as_long_as_the_pool(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    with pool(target) as executor:
        for configuration in CHANGED:
            evaluate(executor, configuration)

    assert len({line.split()[0] for line in target.log.read_text().splitlines()}) == 1


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_an_outcome_that_says_how_and_the_pool_goes_on(number):
    target = Crashing(signal=number, where=Where("layer0/block", 16))
    with pool(target) as executor:
        crashed = evaluate(executor, CHANGED[0])
        fine = evaluate(executor, CHANGED[1])

    assert crashed.error.failure == "crash"
    assert signal.Signals(number).name in crashed.error.message
    assert "Segmentation fault in the compiler" in crashed.error.message
    assert fine.error is None


def test_the_last_words_are_those_of_the_evaluation_that_crashed():
    target = Crashing(Loud(), where=Where("layer0/block", 16))
    with pool(target) as executor:
        evaluate(executor, CHANGED[1])
        crashed = evaluate(executor, CHANGED[0])

    assert "NOISE" not in crashed.error.message


def test_a_hang_is_ended_with_everything_it_started(tmp_path):
    target = Hanging(where=Where("layer0/block", 16), pid_file=tmp_path / "pids")
    with pool(target, timeout_s=1.0) as executor:
        late = evaluate(executor, CHANGED[0])
        fine = evaluate(executor, CHANGED[1])

    assert late.error.failure == "timeout"
    assert late.error.data == {"timeout_s": 1.0}
    assert fine.error is None
    assert not any(is_running(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_one_crash_in_a_study_costs_nothing_but_a_retry(tmp_path):
    target = Crashing(once_in=tmp_path)
    result = run_fake(tmp_path / "s", 6, target=target, executor={"kind": "process", "workers": 2})

    assert (tmp_path / "crashed").exists()
    assert not any(trial.failure for trial in result.trials)


def test_a_study_survives_crashes_hangs_and_errors_and_names_each(tmp_path):
    target = Crashing(
        Hanging(
            Failing(where=Where("layer2/traversal", "part")),
            where=Where("layer1/block", 32),
        ),
        where=Where("layer0/cascade", True),
    )
    result = run_fake(
        tmp_path / "s",
        12,
        target=target,
        executor={"kind": "process", "workers": 2, "timeout_s": 2.0},
    )

    classes = {trial.failure for trial in result.trials}
    assert {None, "crash", "timeout", "compiler-error"} == classes
    for trial in result.trials:
        if trial.configuration["layer0/cascade"]:
            assert trial.failure == "crash"


def test_nothing_a_compiler_prints_reaches_the_terminal(capfd):
    with pool(Loud()) as executor:
        outcome = evaluate(executor, CHANGED[0])

    assert outcome.error is None
    assert "NOISE" not in "".join(capfd.readouterr())


def test_workers_use_one_thread_each():
    with pool(Environment(variable="OMP_NUM_THREADS")) as executor:
        outcome = evaluate(executor, CHANGED[0])

    assert outcome.evaluation.metrics == {"value": 1.0}


def test_a_worker_that_cannot_load_the_target_is_an_error_not_a_loop():
    with ProcessExecutor(b"no pickle", workers=2, timeout_s=1.0) as executor:
        executor.submit(0, CHANGED[0])
        with pytest.raises(ExecutorError, match="cannot load"):
            next_outcome(executor)


def test_a_worker_that_dies_while_idle_is_replaced(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    with pool(target) as executor:
        evaluate(executor, CHANGED[0])
        os.kill(int(target.log.read_text().split()[0]), signal.SIGKILL)
        outcome = evaluate(executor, CHANGED[1])
        if outcome.error is not None:  # it was given the work before its death was noticed
            assert outcome.error.failure == "crash"
            outcome = evaluate(executor, CHANGED[1])

    assert outcome.error is None


def test_shutting_down_ends_all_workers(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    with pool(target, workers=2) as executor:
        for ticket in range(2):
            executor.submit(ticket, CHANGED[ticket])
        for _ in range(2):
            next_outcome(executor)

    for line in target.log.read_text().splitlines():
        with pytest.raises(ProcessLookupError):
            os.kill(int(line.split()[0]), 0)


def test_a_temporary_folder_that_cannot_be_written_is_named_as_the_reason(monkeypatch):
    def refuse():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ExecutorError, match=r"temporary folder: No space left.*TMPDIR"):
        ProcessExecutor(b"", workers=1, timeout_s=1.0)
