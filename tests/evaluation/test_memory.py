from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from evaluations import CHANGED, evaluate
from fake_studies import run_fake
from fake_targets import (
    Acting,
    Counting,
    CrashingTarget,
    HangingTarget,
    LayeredTarget,
    Spoiling,
    Where,
    WrappedTarget,
    take_much,
)

from npu_tune.cli.main import main
from npu_tune.errors import CompilerCrashError, CompilerError, ExecutorError, UsageError
from npu_tune.evaluation.memory import blamed_on_memory
from npu_tune.evaluation.pool.process import ProcessPool
from npu_tune.report.failures import failure_counts
from npu_tune.tuning import parse_study

LIMIT = 2**29


def pool(*, memory_limit: int | None = LIMIT, timeout_s: float = 60.0) -> ProcessPool:
    return ProcessPool(workers=1, timeout_s=timeout_s, memory_limit=memory_limit)


def take_much_in_a_program(folder: Path) -> None:
    program = [sys.executable, "-c", "bytearray(2**30)"]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CompilerError(ended.stderr.splitlines()[-1])


def abort_as_c_does(folder: Path) -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def reserve_much(folder: Path) -> None:
    """Addresses alone, as libraries reserve them: anonymous memory that cannot be touched."""
    mmap = ctypes.CDLL(None).mmap
    mmap.restype, mmap.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long],
    )
    if mmap(None, 2**36, 0, 0x22, -1, 0) == ctypes.c_void_p(-1).value:
        raise CompilerError("nothing can be reserved")


KEPT: list[bytearray] = []


def keep_more_than_half(folder: Path) -> None:
    KEPT.append(bytearray(LIMIT * 5 // 8))


@pytest.mark.parametrize("act", [take_much, take_much_in_a_program, abort_as_c_does])
def test_more_memory_than_allowed_is_a_failure_of_its_own(act, tmp_path):
    with pool() as workers:
        finished = evaluate(workers, Acting(act=act, folder=tmp_path), CHANGED[0])
        after = evaluate(workers, LayeredTarget(), CHANGED[0])

    error = finished.answer.error
    assert error.failure == "out-of-memory"
    assert "more than the 512 MiB of memory" in error.message
    assert "memory_limit" in error.remedy
    assert after.answer.error is None


def test_without_a_limit_the_same_is_fine(tmp_path):
    with pool(memory_limit=None) as workers:
        finished = evaluate(workers, Acting(act=take_much, folder=tmp_path), CHANGED[0])
    assert finished.answer.error is None


def test_addresses_that_are_only_reserved_do_not_count(tmp_path):
    with pool() as workers:
        finished = evaluate(workers, Acting(act=reserve_much, folder=tmp_path), CHANGED[0])
    assert finished.answer.error is None


def test_what_an_evaluation_keeps_is_not_taken_from_the_next_one(tmp_path):
    with pool() as workers:
        outcomes = [
            evaluate(workers, Acting(act=keep_more_than_half, folder=tmp_path), each).answer
            for each in CHANGED
        ]
    assert [outcome.error for outcome in outcomes] == [None] * len(CHANGED)


def test_only_what_speaks_of_memory_is_blamed_on_it():
    spoken = CompilerCrashError("killed by SIGABRT (what(): std::bad_alloc).")
    other = CompilerCrashError("killed by SIGSEGV.")
    assert blamed_on_memory(spoken, LIMIT).failure == "out-of-memory"
    assert blamed_on_memory(spoken, None) is spoken
    assert blamed_on_memory(other, LIMIT) is other


def test_a_problem_that_takes_most_of_the_memory_is_bound_once_and_evaluated(tmp_path):
    target = Counting(Heavy(), tmp_path / "log")
    with pool() as workers:
        outcomes = [evaluate(workers, target, each).answer for each in CHANGED]
    assert [outcome.error for outcome in outcomes] == [None] * len(CHANGED)
    assert len({line.split()[0] for line in target.log.read_text().splitlines()}) == 1


@dataclass(frozen=True)
class Heavy(WrappedTarget):
    """Keeps most of a worker's memory from when it is bound."""

    def bind(self, network):
        KEPT.append(bytearray(LIMIT * 5 // 8))
        return super().bind(network)


def test_a_target_that_cannot_even_be_bound_ends_the_study_and_says_what_to_raise(tmp_path):
    with pytest.raises(ExecutorError, match="to load the target") as caught:
        run_fake(
            tmp_path / "study",
            3,
            target=Unloadable(),
            executor={"kind": "process", "workers": 1, "memory_limit": "512 MiB"},
        )
    assert "memory_limit" in caught.value.remedy


@dataclass(frozen=True)
class Unloadable(WrappedTarget):
    """Takes a gibibyte to be bound."""

    def bind(self, network):
        take_much(Path())
        return super().bind(network)


@dataclass(frozen=True)
class Troubled(Acting):
    """Does something else in each of its configurations: takes memory, hangs, crashes, lies."""

    def prepare(self, problem, configuration):
        blocks = configuration["layer0/block"], configuration["layer1/block"]
        troubles = {
            (8, 32): _hang,
            (16, 16): take_much,
            (24, 16): _crash,
            (32, 16): _print_garbage,
        }
        troubles.get(blocks, Path.exists)(self.folder)


def _crash(folder: Path) -> None:
    CrashingTarget().misbehave()


def _hang(folder: Path) -> None:
    HangingTarget().misbehave()


def _print_garbage(folder: Path) -> None:
    for descriptor in (1, 2):
        os.write(descriptor, b"\x1b[2J\xff\x00 garbage \n" * 1000)
    raise CompilerError("garbage")


def test_a_study_goes_on_through_every_trouble_and_names_each(tmp_path):
    spoilt = Where("layer1/block", 24)
    result = run_fake(
        tmp_path / "study",
        50,
        target=Spoiling(Troubled(folder=tmp_path), spoilt),
        executor={"kind": "process", "workers": 2, "timeout_s": 1.5, "memory_limit": "512 MiB"},
    )
    trials = [trial for trial in result.trials if trial.duplicate_of is None]
    failed = Counter(trial.failure for trial in trials if trial.failure)
    assert len(trials) == 50
    assert set(failed) == {"out-of-memory", "crash", "compiler-error", "timeout"}
    said = {}
    for count in failure_counts(result):
        said.setdefault(count.failure, []).append(count.message)
        failed[count.failure] -= count.trials
    assert not any(failed.values())
    assert "512 MiB" in said["out-of-memory"][0]
    assert "SIGSEGV" in said["crash"][0]
    assert sorted("nan" in message for message in said["compiler-error"]) == [False, True]


@pytest.mark.parametrize("value", ["1 MiB", "many", 0, True, 1.5])
def test_a_limit_that_is_none_is_refused(value, tmp_path):
    document = {
        "model": {"path": "fake"},
        "target": {"name": "neural-art-stm32n6"},
        "executor": {"memory_limit": value},
    }
    with pytest.raises(UsageError, match="memory_limit"):
        parse_study(document, base=tmp_path)


def test_this_process_has_no_limit_of_its_own(tmp_path):
    document = {
        "model": {"path": "fake"},
        "target": {"name": "neural-art-stm32n6"},
        "executor": {"kind": "inline", "memory_limit": "1 GiB"},
    }
    with pytest.raises(UsageError, match="inline executor has no memory limit"):
        parse_study(document, base=tmp_path)


@pytest.mark.parametrize("target", ["ethos-u55-128", "neural-art-stm32n6"])
def test_compilers_do_with_half_a_gibibyte(target, tmp_path, capsys):
    command = ["tune", "ds-cnn", "--target", target, "--study", str(tmp_path / "study")]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--evaluations", "3", "--workers", "1", "--memory-limit", "512MiB"])
    assert ended.value.code == 0
    assert "failed" not in capsys.readouterr().out.replace("0 failed", "")
