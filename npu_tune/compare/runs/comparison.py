"""Comparisons from end to end: run or resume one, or replay a recorded one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from npu_tune.compare.file.config import ComparisonFile
from npu_tune.compare.file.load import comparison_to_toml
from npu_tune.compare.runs.answers import answers_path
from npu_tune.compare.runs.exact import add_exact_fronts
from npu_tune.compare.runs.orders import Workloads, load_workloads, run_orders, run_path
from npu_tune.compare.runs.perform import ComparisonListener, run_jobs
from npu_tune.compare.runs.pools import Job
from npu_tune.compare.runs.recording import (
    ProblemRecord,
    Recording,
    merge,
    read_recording,
    write_recording,
)
from npu_tune.compare.runs.run import RunOrder
from npu_tune.errors import (
    NpuTuneError,
    StorageError,
    StudyMismatchError,
    UsageError,
)

RESULTS = "results.parquet"
COMPARISON_FILE = "compare.toml"


@dataclass(frozen=True)
class ComparisonResult:
    """The runs of a comparison.

    Args:
        comparison: what was asked.
        recording: the finished runs.
        failures: the runs that ended with an error, and the error.
    """

    comparison: ComparisonFile
    recording: Recording
    failures: tuple[tuple[RunOrder, NpuTuneError], ...] = ()


def run_comparison(
    comparison: ComparisonFile, *, listener: ComparisonListener | None = None
) -> ComparisonResult:
    """Performs every run that is not recorded yet, and records all runs in one file.

    The other runs go on where one fails.

    Raises:
        UsageError: if something asked for does not exist, or a replay lacks a run.
        ModelError: if a network is not fit for a target.
        TargetError: if a target or one of its options is unknown.
        StudyMismatchError: if the folder's runs are on another network or target.
        StorageError: if the folder cannot be written, or a recording cannot be read.
        ExecutorError: if workers cannot be started.
    """
    orders = run_orders(comparison)
    folder, replay = comparison.folder, comparison.replay
    recordings = _read_runs(folder, orders)
    if replay is not None:
        recordings.append(_read_replay(replay.recorded, orders))
    recorded = {run.name for recording in recordings for run in recording.runs}
    missing = [order for order in orders if order.name not in recorded]
    workloads: Workloads = {}
    failures: list[tuple[RunOrder, NpuTuneError]] = []
    if missing or replay is None:
        workloads = load_workloads(comparison)
        _require_same_workloads(recordings, workloads)
        _write_comparison(comparison)
        source = folder if replay is None else _replay_folder(replay.recorded, missing)
        missing = [replace(order, replay=replay is not None) for order in missing]
        jobs = [_job(order, workloads, source, comparison) for order in missing]
        for finished in run_jobs(
            jobs, executor=comparison.executor, recorded=len(recorded), listener=listener
        ):
            if finished.recording is None:
                failures.append((finished.order, finished.error))
            else:
                write_recording(run_path(folder, finished.order), finished.recording)
                recordings.append(finished.recording)
    recording = merge(recordings, [order.name for order in orders])
    if not recording.runs:
        order, error = failures[0]
        raise type(error)(f"{order.name}: {error.message}", remedy=error.remedy, **error.data)
    if comparison.compare.exact and workloads:
        known = read_recording(folder / RESULTS) if (folder / RESULTS).is_file() else None
        limit_s = comparison.compare.exact_limit
        recording = add_exact_fronts(recording, known, workloads, limit_s=limit_s)
    write_recording(folder / RESULTS, recording)
    return ComparisonResult(comparison, recording, tuple(failures))


def _job(order: RunOrder, workloads: Workloads, folder: Path, comparison: ComparisonFile) -> Job:
    problem = order.name.problem
    workload = workloads[problem.network, problem.target]
    path = answers_path(
        folder / "answers",
        target=workload.target.name,
        model_sha256=workload.network.digest,
        fingerprint=workload.target.fingerprint(),
    )
    keep = comparison.compare.shared_cache
    return Job(order, workload.target, workload.network, path, keep)


def _read_runs(folder: Path, orders: list[RunOrder]) -> list[Recording]:
    """Recordings of single runs that are in the folder."""
    paths = (run_path(folder, order) for order in orders)
    return [read_recording(path) for path in paths if path.is_file()]


def _read_replay(path: Path, orders: list[RunOrder]) -> Recording:
    """Reads the runs that are asked for out of the recording of another comparison."""
    asked = {order.name: order.digest for order in orders}
    if path.is_dir() and not (path / RESULTS).is_file():
        return merge(_read_runs(path, orders), list(asked))
    recording = read_recording(path / RESULTS if path.is_dir() else path)
    other = next(
        (run for run in recording.runs if asked.get(run.name, run.digest) != run.digest), None
    )
    if other is not None:
        raise StudyMismatchError(
            f"The recorded run of {other.name} was asked for with other options, another budget "
            "or another objective.",
            remedy="Replay it with the comparison file it was recorded with.",
            recorded=str(path),
        )
    return merge([recording], list(asked))


def _replay_folder(path: Path, missing: list[RunOrder]) -> Path:
    """Folder whose recorded answers take the place of evaluations."""
    folder = path if path.is_dir() else path.parent
    if not (folder / "answers").is_dir():
        raise UsageError(
            f"The recording {path} lacks {len(missing)} runs, such as that of {missing[0].name}, "
            "and there are no recorded answers to perform them with.",
            remedy="Ask for what was recorded only, or run the comparison without a replay.",
            missing=len(missing),
        )
    return folder


def _require_same_workloads(recordings: list[Recording], workloads: Workloads) -> None:
    problems: list[ProblemRecord] = [p for recording in recordings for p in recording.problems]
    for problem in problems:
        workload = workloads[problem.name.network, problem.name.target]
        now = (workload.network.digest, dict(workload.target.fingerprint()))
        if (problem.model_sha256, dict(problem.fingerprint)) != now:
            raise StudyMismatchError(
                f"The recorded runs of {problem.name} are about another model file, compiler "
                "version or system description.",
                remedy="Give the comparison another folder, or remove its folder `runs`.",
                recorded=dict(problem.fingerprint),
                now=now[1],
            )


def _write_comparison(comparison: ComparisonFile) -> None:
    with storage_errors(comparison.folder):
        comparison.folder.mkdir(parents=True, exist_ok=True)
        text = comparison_to_toml(comparison)
        (comparison.folder / COMPARISON_FILE).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Raises errors of the file system as StorageError."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"Cannot write the comparison's folder {os.fspath(folder)}: {error.strerror}.",
            remedy="Free some space there, or choose another folder.",
            folder=os.fspath(folder),
        ) from error
