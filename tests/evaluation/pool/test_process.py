from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from evaluations import CHANGED, NETWORK, evaluate, next_finished, only_finished, submit
from fake_studies import run_fake
from fake_targets import (
    Acting,
    Closing,
    Counting,
    CrashingTarget,
    Environment,
    FailingTarget,
    HangingTarget,
    LayeredTarget,
    Loud,
    Meeting,
    MeetingPlace,
    NoisyTarget,
    Refusing,
    SlowTarget,
    Unready,
    Waiting,
    Where,
    is_running,
    wait_until,
)

from npu_tune.errors import ExecutorError, ModelError, NpuTuneWarning, WorkerLostError
from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.pool import Binding, Task, children, messages
from npu_tune.evaluation.pool.attempts import FAILED_STARTS, LOSSES
from npu_tune.evaluation.pool.process import ProcessPool
from npu_tune.evaluation.pool.process_worker import WorkerProcess
from npu_tune.evaluation.pooled import EvaluationTask


def pool(*, workers=1, timeout_s=60.0):
    return ProcessPool(workers=workers, timeout_s=timeout_s)


def processes(log):
    return [int(line.split()[0]) for line in log.read_text().splitlines()]


def test_a_worker_answers_as_the_target_does_here():
    with pool() as workers:
        finished = evaluate(workers, LayeredTarget(), CHANGED[0], ticket=5)

    here = LayeredTarget().evaluate(NETWORK, CHANGED[0])
    assert finished.ticket == 5
    assert finished.answer.evaluation.metrics == dict(here.metrics)
    assert finished.answer.evaluation.profile == here.profile


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
    with pool() as workers:
        for configuration in CHANGED:
            evaluate(workers, target, configuration)

    assert len(set(processes(target.log))) == 1


def test_a_worker_takes_on_another_problem(tmp_path):
    targets = [Counting(LayeredTarget(layer_cycles=c), tmp_path / "log") for c in (1e3, 2e3, 1e3)]
    with pool() as workers:
        found = [evaluate(workers, target, CHANGED[0]).answer for target in targets]

    cycles = [outcome.evaluation.metrics["cycles"] for outcome in found]
    assert cycles[0] == cycles[2] < cycles[1]
    assert len(set(processes(tmp_path / "log"))) == 1


def test_workers_do_not_draw_the_same_noise(tmp_path):
    # Both are first evaluations of their worker.
    target = Meeting(NoisyTarget(), address=str(tmp_path / "socket"))
    with MeetingPlace(tmp_path / "socket", 2), pool(workers=2) as workers:
        for ticket in range(2):
            submit(workers, target, CHANGED[0], ticket)
        one, other = (next_finished(workers).answer.evaluation for _ in range(2))

    assert one.metrics["cycles"] != other.metrics["cycles"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_an_outcome_that_says_how_and_the_pool_goes_on(number):
    target = CrashingTarget(signal=number, where=Where("layer0/block", 16))
    with pool() as workers:
        crashed = evaluate(workers, target, CHANGED[0], ticket=3)
        fine = evaluate(workers, target, CHANGED[1])

    assert crashed.ticket == 3
    assert crashed.answer.error.failure == "crash"
    assert signal.Signals(number).name in crashed.answer.error.message
    assert "Segmentation fault in the compiler" in crashed.answer.error.message
    assert crashed.answer.error.message.endswith("It did so 2 times.")
    assert fine.answer.error is None


def test_a_crash_is_tried_once_more_on_another_worker(tmp_path):
    target = Counting(CrashingTarget(), tmp_path / "log")
    with pool() as workers:
        evaluate(workers, target, CHANGED[0])

    assert len(processes(target.log)) == len(set(processes(target.log))) == 2


def test_a_crash_that_does_not_happen_again_is_forgotten(tmp_path):
    with pool() as workers:
        outcome = evaluate(workers, CrashingTarget(once_in=tmp_path), CHANGED[0]).answer
        assert workers.free == 1

    assert (tmp_path / "crashed").exists()
    assert outcome.error is None


def test_a_worker_killed_from_outside_costs_a_try_and_no_more(tmp_path):
    target = Waiting(folder=tmp_path)
    with pool() as workers:
        submit(workers, target, CHANGED[0], 3)
        wait_until((tmp_path / "begun").exists)
        (tmp_path / "go").touch()
        os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)
        finished = next_finished(workers)

    assert finished.ticket == 3
    assert finished.answer.error is None


def test_a_worker_is_kept_free_for_what_has_to_be_tried_again(tmp_path):
    target = Waiting(folder=tmp_path)
    with pool() as workers:
        submit(workers, target, CHANGED[0])
        wait_until((tmp_path / "begun").exists)
        (tmp_path / "go").touch()
        os.kill(int((tmp_path / "begun").read_text()), signal.SIGKILL)
        free = set()
        finished = None
        while finished is None:
            free.add(workers.free)
            finished = workers.wait(0.01)

    assert free == {0}


@pytest.mark.parametrize("target", [FailingTarget(), FailingTarget(error=SystemExit)])
def test_what_the_compiler_said_itself_is_not_tried_again(tmp_path, target):
    counting = Counting(target, tmp_path / "log")
    with pool() as workers:
        assert evaluate(workers, counting, CHANGED[0]).answer.error.failure == "compiler-error"

    assert len(processes(counting.log)) == 1


def test_what_a_worker_runs_out_of_is_tried_again_but_not_for_ever(tmp_path):
    target = Counting(FailingTarget(error=WorkerLostError, message="full"), tmp_path / "log")
    with pool() as workers:
        outcome = evaluate(workers, target, CHANGED[0]).answer

    assert outcome.error.failure == "infrastructure"
    assert len(processes(target.log)) == LOSSES


@pytest.mark.parametrize("times", [1, FAILED_STARTS])
def test_a_worker_killed_before_any_was_ready_is_replaced(tmp_path, times):
    with pool() as workers:
        outcome = evaluate(workers, Unready(folder=tmp_path, times=times), CHANGED[0]).answer

    assert outcome.error is None
    assert len(list(tmp_path.iterdir())) == times


def test_workers_that_are_killed_again_and_again_are_an_error_that_speaks_of_memory(tmp_path):
    with (
        pool() as workers,
        pytest.raises(ExecutorError, match=r"ended while it started: killed by SIGKILL.*memory"),
    ):
        evaluate(workers, Unready(folder=tmp_path, times=100), CHANGED[0])

    assert len(list(tmp_path.iterdir())) == FAILED_STARTS + 1


def test_workers_that_cannot_be_replaced_leave_the_work_to_the_others(tmp_path, monkeypatch):
    target = Counting(LayeredTarget(), tmp_path / "log")
    started, start = [], WorkerProcess.__init__

    def start_twice(worker, **options):
        if len(started) == 2:
            raise ExecutorError("A worker process cannot be started: Too many open files.")
        start(worker, **options)
        started.append(worker)

    monkeypatch.setattr(WorkerProcess, "__init__", start_twice)
    with pool(workers=3) as workers:
        with pytest.warns(NpuTuneWarning, match=r"Only 2 of 3 workers.*Too many open files"):
            submit(workers, target, CHANGED[0])
        assert workers.free == 1
        assert next_finished(workers).answer.error is None


def test_a_copy_that_an_evaluation_makes_of_its_worker_has_no_say(tmp_path):
    target = Acting(act=make_a_copy, folder=tmp_path)
    with pool() as workers:
        outcomes = [evaluate(workers, target, each).answer for each in CHANGED]
        wait_until(lambda: not any(is_running(pid) for pid in processes(tmp_path / "copies")))

    assert [outcome.error for outcome in outcomes] == [None] * len(CHANGED)
    cycles = [outcome.evaluation.metrics["cycles"] for outcome in outcomes]
    assert cycles == [LayeredTarget().evaluate(NETWORK, c).metrics["cycles"] for c in CHANGED]


def make_a_copy(folder):
    if os.fork() == 0:
        with (folder / "copies").open("a") as file:
            file.write(f"{os.getpid()}\n")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("close_all", "it had closed its connection"),
        ("write_to_all", "in the place of its answer"),
    ],
)
def test_a_worker_that_spoils_its_connection_has_crashed(tmp_path, monkeypatch, act, said):
    monkeypatch.setattr(children, "ENDING_S", 0.5)
    target = Acting(act=globals()[act], folder=tmp_path, where=Where("layer0/block", 16))
    with pool(timeout_s=30.0) as workers:
        spoilt, fine = (evaluate(workers, target, each).answer for each in CHANGED[:2])

    assert said in spoilt.error.message
    assert fine.error is None


def close_all(folder):
    os.closerange(3, 64)
    threading.Event().wait()


def test_an_answer_goes_into_no_file_that_an_evaluation_has_opened_in_place_of_the_connection(
    tmp_path,
):
    target = Acting(act=open_others, folder=tmp_path)
    with ProcessPool(workers=1, timeout_s=60.0, losses=1) as workers:
        outcome = evaluate(workers, target, CHANGED[0]).answer

    assert outcome.error.failure == "infrastructure"
    assert "(An evaluation has closed the connection of its worker.)" in outcome.error.message
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""] * 20


def open_others(folder):
    os.closerange(3, 64)
    for number in range(20):
        os.open(folder / str(number), os.O_WRONLY | os.O_CREAT)


def write_to_all(folder):
    write_to_sockets(b"\0\0\0\4junk")


def test_a_worker_that_gets_stuck_in_its_answer_has_crashed(tmp_path, monkeypatch):
    monkeypatch.setattr(messages, "STALL_S", 0.2)
    target = Acting(act=begin_an_answer, folder=tmp_path)
    with pool(timeout_s=30.0) as workers:
        outcome = evaluate(workers, target, CHANGED[0]).answer

    assert "got stuck in an answer" in outcome.error.message


def write_to_sockets(content):
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.write(descriptor, content)
    threading.Event().wait()


def begin_an_answer(folder):
    write_to_sockets(b"\0\0\0\4ju")


@dataclass(frozen=True)
class Answering(Task):
    """Answers with what a function makes."""

    make: Callable

    def run(self, problem, watch):
        return self.make()

    def blame(self, key, error, seconds):
        return error

    def give_up(self, error):
        return error

    def refuse(self, error):
        raise error


def answer_of(make):
    with pool() as workers:
        workers.submit(0, Answering(make), Binding.of(LayeredTarget().bind(NETWORK)))
        return only_finished(workers).answer


def test_a_large_answer_arrives_whole():
    assert answer_of(partial(bytes, 50_000_000)) == bytes(50_000_000)


def test_an_answer_that_cannot_be_sent_is_given_up_with_the_reason():
    answer = answer_of(threading.Lock)

    assert isinstance(answer, WorkerLostError)
    assert "cannot be sent: TypeError: cannot pickle" in answer.message


def test_a_task_that_cannot_be_sent_is_an_error_that_says_so():
    with pytest.raises(ExecutorError, match=r"A task cannot be sent to another process"):
        answer_of(lambda: None)


def test_the_last_words_are_those_of_the_evaluation_that_crashed():
    target = CrashingTarget(Loud(), where=Where("layer0/block", 16))
    with pool() as workers:
        evaluate(workers, target, CHANGED[1])
        crashed = evaluate(workers, target, CHANGED[0]).answer

    assert "NOISE" not in crashed.error.message


def test_a_hang_is_ended_with_everything_it_started(tmp_path):
    target = HangingTarget(where=Where("layer0/block", 16), pid_file=tmp_path / "pids")
    with pool(timeout_s=1.0) as workers:
        late = evaluate(workers, target, CHANGED[0]).answer
        fine = evaluate(workers, target, CHANGED[1]).answer

    assert late.error.failure == "timeout"
    assert late.error.data == {"timeout_s": 1.0}
    assert late.seconds >= 1.0
    assert fine.error is None
    assert not any(is_running(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_one_crash_in_a_study_costs_nothing_but_a_retry(tmp_path):
    target = CrashingTarget(once_in=tmp_path)
    result = run_fake(tmp_path / "s", 6, target=target, executor={"kind": "process", "workers": 2})

    assert (tmp_path / "crashed").exists()
    assert not any(trial.failure for trial in result.trials)


def test_a_study_survives_crashes_hangs_and_errors_and_names_each(tmp_path):
    target = CrashingTarget(
        HangingTarget(
            FailingTarget(where=Where("layer2/traversal", "part")),
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
    with pool() as workers:
        outcome = evaluate(workers, Loud(), CHANGED[0]).answer

    assert outcome.error is None
    assert "NOISE" not in "".join(capfd.readouterr())


def test_workers_use_one_thread_each():
    with pool() as workers:
        outcome = evaluate(workers, Environment(variable="OMP_NUM_THREADS"), CHANGED[0]).answer

    assert outcome.evaluation.metrics == {"value": 1.0}


def test_a_worker_that_cannot_load_the_target_is_an_error_not_a_loop():
    binding = Binding("digest", payload=b"no pickle")
    with pool(workers=2) as workers:
        workers.submit(0, EvaluationTask((Request(CHANGED[0], "key"),)), binding)
        with pytest.raises(ExecutorError, match="cannot load"):
            next_finished(workers)


def test_a_worker_that_dies_while_idle_is_replaced(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    with pool() as workers:
        evaluate(workers, target, CHANGED[0])
        os.kill(processes(target.log)[0], signal.SIGKILL)
        outcome = evaluate(workers, target, CHANGED[1]).answer

    assert outcome.error is None


def test_closing_ends_all_workers(tmp_path):
    target = Counting(LayeredTarget(), tmp_path / "log")
    with pool(workers=2) as workers:
        for ticket in range(2):
            submit(workers, target, CHANGED[ticket], ticket)
        for _ in range(2):
            next_finished(workers)

    for pid in processes(target.log):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_temporary_folder_that_cannot_be_written_is_named_as_the_reason(monkeypatch):
    def refuse():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with (
        pool() as workers,
        pytest.raises(ExecutorError, match=r"temporary folder: No space left.*TMPDIR"),
    ):
        submit(workers, LayeredTarget(), CHANGED[0])


def test_idle_workers_close_their_problem_before_they_end(tmp_path):
    target = Closing(log=tmp_path / "log")
    with pool(workers=2) as workers:
        evaluate(workers, target, CHANGED[0])
        # The other one is not needed, and may not be ready yet.
        evaluate(workers, target, CHANGED[1])

    closed = processes(target.log)
    assert len(closed) == len(set(closed)) >= 1


def test_a_problem_that_the_target_refuses_in_a_worker_ends_with_the_targets_own_words():
    with pool() as workers:
        submit(workers, Refusing(), CHANGED[0])
        with pytest.raises(ModelError, match="Not here"):
            next_finished(workers)


def test_a_time_out_is_not_blamed_on_what_the_worker_has_gone_on_to(monkeypatch):
    # As if the evaluation whose time was up had ended, and another one begun, since the look.
    monkeypatch.setattr(WorkerProcess, "seconds_left", 0.0)
    with pool() as workers:
        monkeypatch.setattr(WorkerProcess, "ready", True)
        finished = evaluate(workers, SlowTarget(seconds=0.3), CHANGED[0])

    assert finished.answer.error is None
