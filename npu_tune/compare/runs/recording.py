"""Recordings: the finished runs of a comparison, and the Parquet files that keep them.

A recording holds, per evaluation, the metrics the objective needs and nothing that follows from
them: costs, best so far and hypervolumes are computed from it. So the recording of hundreds of
runs is a file of some megabytes, from which every table and figure can be made again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from npu_tune.errors import StorageError, UsageError
from npu_tune.files import storage_errors, whole_file
from npu_tune.targets import Metric
from npu_tune.tuning.objective import Objective

SCHEMA_VERSION = 1
"""Of recordings; one of another version is refused."""

FIRST_KEYS = 1
"""Schema version of keys in recordings that do not say which; see :mod:`npu_tune.targets.key`."""

_META = b"npu_tune.comparison"

_MOST_CELLS = 50_000_000
"""Of a recording; hundreds of runs have a hundredth of them, and Parquet packs equal ones away."""

_EXHAUSTED = (RecursionError, MemoryError, OverflowError, AttributeError)
"""What documents do that are nested deeply, or are no recordings at all."""

Points = tuple[tuple[float, ...], ...]
"""Points, each with one number per metric of the objective, in its order."""


@dataclass(frozen=True)
class ExactFront:
    """Pareto-optimal points, as a target computed them.

    Args:
        points: in the objective's metrics.
        covered: share of the network-wide choices that may gain anything for which the target
            could compute the front. Below 1 there may be better points still.
    """

    points: Points
    covered: float


@dataclass(frozen=True, order=True)
class ProblemName:
    """A network on a target with an objective, by their labels."""

    network: str
    target: str
    objective: str

    def __str__(self) -> str:
        return f"{self.network} on {self.target}, {self.objective}"


@dataclass(frozen=True)
class ProblemRecord:
    """A problem: what all runs on it share.

    Args:
        name: by labels.
        model_sha256: of the model file.
        target_name: as `npu-tune targets` lists it.
        fingerprint: everything else an evaluation depends on.
        metrics: those of the objective and its limits.
        objective: what is optimised.
        baseline: the metrics of the default configuration.
        exact: the exact front, where the target can compute it.
    """

    name: ProblemName
    model_sha256: str
    target_name: str
    fingerprint: Mapping[str, str]
    metrics: tuple[Metric, ...]
    objective: Objective
    baseline: Mapping[str, float]
    exact: ExactFront | None = None
    schema_version: int = FIRST_KEYS


@dataclass(frozen=True, order=True)
class RunName:
    """A sampler with a seed on a problem, by their labels."""

    problem: ProblemName
    sampler: str
    seed: int

    def __str__(self) -> str:
        return f"{self.sampler}, seed {self.seed}, {self.problem}"


@dataclass(frozen=True)
class RunRecord:
    """A finished run.

    Args:
        name: by labels and seed.
        digest: of everything that was asked of the run.
        sampler: its name and options.
        budget: number of evaluations that was asked for.
        stopped: why it ended (``evaluations``, ``search space exhausted``).
        duplicates: number of proposals that repeated an earlier one of the run, at no cost.
        seconds: wall time of the run.
        evaluating_s: of that, the time spent in evaluations.
        rows: per evaluation a row with the metrics, ``failure`` and ``cached``; the metrics of a
            failed evaluation are NaN.
    """

    name: RunName
    digest: str
    sampler: Mapping[str, Any]
    budget: int
    stopped: str
    duplicates: int
    seconds: float
    evaluating_s: float
    rows: pd.DataFrame = field(repr=False, compare=False)


@dataclass(frozen=True)
class Recording:
    """Finished runs, and the problems they are on."""

    problems: tuple[ProblemRecord, ...]
    runs: tuple[RunRecord, ...]

    @cached_property
    def by_problem(self) -> Mapping[ProblemName, ProblemRecord]:
        """The problems by name."""
        return {problem.name: problem for problem in self.problems}


def merge(recordings: Iterable[Recording], order: Sequence[RunName]) -> Recording:
    """Merges recordings, the runs in a given order; runs not named there are left out."""
    recordings = list(recordings)
    runs = {run.name: run for recording in recordings for run in recording.runs}
    problems = {p.name: p for recording in recordings for p in recording.problems}
    kept = [runs[name] for name in order if name in runs]
    used = dict.fromkeys(run.name.problem for run in kept)
    return Recording(tuple(problems[name] for name in used), tuple(kept))


def write_recording(path: Path, recording: Recording) -> None:
    """Writes a recording to a Parquet file atomically.

    Raises:
        StorageError: if it cannot be written.
    """
    meta = {
        "schema_version": SCHEMA_VERSION,
        "problems": [_problem_document(problem) for problem in recording.problems],
        "runs": [_run_document(run) for run in recording.runs],
    }
    frames = [run.rows.assign(run=number) for number, run in enumerate(recording.runs)]
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"run": []})
    rows = rows.astype({"run": "int32"})
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = table.replace_schema_metadata({_META: json.dumps(meta).encode()})
    remedy = "Free some space there, then run the same command again."
    with storage_errors("The recording", path, remedy=remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            pq.write_table(table, partial, compression="zstd", compression_level=9)


def read_recording(path: Path) -> Recording:
    """Reads a recording from a Parquet file.

    Raises:
        UsageError: if there is no such file.
        StorageError: if it is damaged, no recording, or of another schema version.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no recording {path}.",
            remedy="Give the folder of a comparison, or its results.parquet.",
            path=str(path),
        )
    try:
        cells = pq.read_metadata(path)
        if cells.num_rows * cells.num_columns > _MOST_CELLS:
            raise ValueError(f"it has {cells.num_rows:,} rows")
        table = pq.read_table(path)
        meta = json.loads((table.schema.metadata or {})[_META])
        version = meta["schema_version"]
        if version == SCHEMA_VERSION:
            return _parse_recording(meta, table.to_pandas())
    except (OSError, LookupError, TypeError, pa.ArrowException, ValueError, *_EXHAUSTED) as error:
        raise StorageError(
            f"{path} is no recording of a comparison, or a damaged one.",
            remedy="Remove it, and run the comparison again.",
            path=str(path),
        ) from error
    raise StorageError(
        f"The recording {path} has the schema version {version}, and this npu-tune reads version "
        f"{SCHEMA_VERSION}.",
        remedy="Read it with the version of npu-tune that wrote it, or record it again.",
        schema_version=version,
    )


def _parse_recording(meta: Mapping[str, Any], rows: pd.DataFrame) -> Recording:
    problems = tuple(_parse_problem(document) for document in meta["problems"])
    wanted = {p.name: [*(m.name for m in p.metrics), "failure", "cached"] for p in problems}
    parts = dict(iter(rows.groupby("run"))) if len(rows) else {}
    runs = []
    for number, document in enumerate(meta["runs"]):
        name = RunName(ProblemName(*document.pop("problem")), **document.pop("name"))
        own = parts[number][wanted[name.problem]].reset_index(drop=True)
        runs.append(RunRecord(name=name, rows=own, **document))
    return Recording(problems, tuple(runs))


def _problem_document(problem: ProblemRecord) -> dict[str, Any]:
    document = {f.name: getattr(problem, f.name) for f in dataclasses.fields(problem)}
    if problem.schema_version == FIRST_KEYS:  # as recordings of that version were written
        del document["schema_version"]
    return document | {
        "name": dataclasses.asdict(problem.name),
        "metrics": [metric.to_dict() for metric in problem.metrics],
        "objective": problem.objective.to_dict(),
        "fingerprint": dict(problem.fingerprint),
        "baseline": dict(problem.baseline),
        "exact": problem.exact and dataclasses.asdict(problem.exact),
    }


def _parse_problem(document: Mapping[str, Any]) -> ProblemRecord:
    exact = document["exact"]
    metrics = map(Metric.from_dict, document["metrics"])
    return ProblemRecord(
        **{
            **document,
            "name": ProblemName(**document["name"]),
            "metrics": tuple(metrics),
            "objective": Objective(**document["objective"]),
            "exact": exact and ExactFront(tuple(map(tuple, exact["points"])), exact["covered"]),
        }
    )


def _run_document(run: RunRecord) -> dict[str, Any]:
    document = {f.name: getattr(run, f.name) for f in dataclasses.fields(run) if f.name != "rows"}
    return document | {
        "problem": list(dataclasses.astuple(run.name.problem)),
        "name": {"sampler": run.name.sampler, "seed": run.name.seed},
        "sampler": dict(run.sampler),
    }
