"""Comparisons from end to end: run or resume one, or replay a recorded one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from npu_tune.compare.file.config import ComparisonFile
from npu_tune.compare.file.load import comparison_to_toml
from npu_tune.compare.runs.exact import add_exact_fronts
from npu_tune.compare.runs.orders import Workloads, load_workloads, run_orders, run_path
from npu_tune.compare.runs.perform import ComparisonListener, Job, run_jobs
from npu_tune.compare.runs.recording import (
    ProblemRecord,
    Recording,
    merge,
    read_recording,
    write_recording,
)
from npu_tune.compare.runs.run import RunOrder
from npu_tune.compare.runs.task import RunTask
from npu_tune.errors import NpuTuneError, StudyMismatchError, UsageError
from npu_tune.evaluation.store import store_path
from npu_tune.files import storage_errors, write_whole
from npu_tune.targets import Identity

RESULTS = "results.parquet"
COMPARISON_FILE = "compare.toml"
CACHE = "cache"
"""Folder of the evaluations that the runs of a comparison share."""


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
        for end in run_jobs(
            jobs, executor=comparison.executor, recorded=len(recorded), listener=listener
        ):
            if end.recording is None:
                failures.append((end.order, end.error))
            else:
                write_recording(run_path(folder, end.order), end.recording)
                recordings.append(end.recording)
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
    store = store_path(folder / CACHE, workload.identity)
    shared = comparison.compare.cache or order.replay
    return Job(RunTask(order, store if shared else None), workload.binding)


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
    """Folder whose stored evaluations are used instead of new ones."""
    folder = path if path.is_dir() else path.parent
    if not (folder / CACHE).is_dir():
        raise UsageError(
            f"The recording {path} lacks {len(missing)} runs, such as that of {missing[0].name}, "
            "and there are no stored evaluations to perform them with.",
            remedy="Ask for what was recorded only, or run the comparison without a replay.",
            missing=len(missing),
        )
    return folder


def _require_same_workloads(recordings: list[Recording], workloads: Workloads) -> None:
    problems: list[ProblemRecord] = [p for recording in recordings for p in recording.problems]
    for problem in problems:
        workload = workloads[problem.name.network, problem.name.target]
        recorded = Identity(
            problem.model_sha256, problem.target_name, problem.fingerprint, problem.schema_version
        )
        differences = list(workload.identity.differences(recorded.to_dict()))
        if differences:
            label, was, now = differences[0]
            raise StudyMismatchError(
                f"The recorded runs of {problem.name} are about another model file, compiler "
                f"version or system description: the {label} was {was}, and is {now}.",
                remedy="Give the comparison another folder, or remove its folder `runs`.",
                differences={name: {"stored": a, "asked": b} for name, a, b in differences},
            )


def _write_comparison(comparison: ComparisonFile) -> None:
    folder = comparison.folder
    with storage_errors("The comparison's folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / COMPARISON_FILE, comparison_to_toml(comparison).encode())
