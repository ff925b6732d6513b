"""What a finished trial takes in memory, and how long a study with many takes to resume.

    nice -n 10 python tests/benchmarks/bench_resume.py

The trials are made up and written through the ledger: every one of its own parameters, with the
attributes of a real one, among them its changes, 15 metrics and a profile with ten columns and a
row for each three parameters. A study of a million million configurations is resumed from them as
`npu-tune run` does it: the ledger is read, the search and the records are built, and the sampler
makes its next proposal; the time is given by the clock and by the processor, which tells a busy
machine. Memory is what the process gained by that, per trial, by what the system
says (the resident set), with the interpreter's own and freed parts in it, and at most at any time. The
proposal after that first one is timed too, and `npu-tune show`, the real command in a process of its
own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from fake_studies import fake_study
from fake_targets import fake_network
from wide_target import WideTarget

from npu_tune.space import to_distributions, to_params
from npu_tune.targets import Problem
from npu_tune.tuning import run_study
from npu_tune.tuning.attributes import study_attributes, trial_attributes
from npu_tune.tuning.folder import write_study_folder
from npu_tune.tuning.identity import STUDY, study_identity
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.trial import BASELINE, SAMPLER, TrialRecord

os.environ["NPU_TUNE_CACHE"] = ""  # what is timed here is evaluated

LIMIT_BYTES, LIMIT_S, LIMIT_PEAK, LIMIT_SHOW_S = 15_000.0, 60.0, 2e9, 10.0
BEGIN = datetime(2026, 1, 1)  # noqa: DTZ001 - Optuna's are naive local times


def main() -> None:
    options = _options()
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in options.storage:
            rows.append(_row(folder, kind, 94, options.memory_trials, options.sampler))
            rows.append(_row(folder, kind, 60, options.trials, options.sampler))
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        _print(rows, options)
    passed = all(
        row["bytes_per_trial"] <= LIMIT_BYTES
        and row["resume_s"] <= LIMIT_S
        and row["peak_bytes"] <= LIMIT_PEAK
        and row["show_s"] <= LIMIT_SHOW_S
        for row in rows
        if row["storage"] == "journal"
    )
    sys.exit(0 if passed else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--trials", type=int, default=100_000, help="of 60 knobs, to resume")
    parser.add_argument("--memory-trials", type=int, default=10_000, help="of 94 knobs")
    parser.add_argument("--storage", nargs="+", default=["journal", "sqlite"])
    parser.add_argument("--sampler", default="layerwise")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def _row(folder: Path, kind: str, knobs: int, trials: int, sampler: str) -> dict[str, Any]:
    name = f"{kind}{knobs}"
    storage = {} if kind == "journal" else {"storage": f"sqlite:///{folder}/{name}.db"}
    study = {"folder": str(folder / name), **storage}
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        written_s = pool.apply(_write, (study, knobs, trials))
        shown = pool.apply(_show, (folder / name,))
        resumed = pool.apply(_resume, (study, knobs, trials, sampler))
    return {
        "storage": kind,
        "knobs": knobs,
        "trials": trials,
        "sampler": sampler,
        "write_s": written_s,
        **resumed,
        **shown,
    }


def _write(section: dict[str, Any], knobs: int, count: int) -> float:
    """Seconds it takes to write the trials."""
    study = fake_study(Path(section["folder"]), study=section)
    study.folder.mkdir(parents=True)
    write_study_folder(study, fake_network())
    start = time.perf_counter()
    with (
        WideTarget(knobs).bind(fake_network()) as problem,
        open_ledger(
            study.storage, name=study.name, directions=["minimize"], metric_names=["cost"]
        ) as ledger,
    ):
        objective = Objective.of(study.objective, study.limits, problem.metrics)
        about = study_attributes(problem, references={})
        ledger.set_attribute(STUDY, study_identity(problem, objective) | about)
        distributions = to_distributions(problem.space)
        baseline = problem.evaluate(problem.space.default).metrics
        for number in range(count):
            ledger.append(_trial(problem, objective, number, distributions, baseline))
    return time.perf_counter() - start


def _trial(
    problem: Problem,
    objective: Objective,
    number: int,
    distributions: dict[str, BaseDistribution],
    baseline: Mapping[str, float],
) -> FrozenTrial:
    draw = random.Random(number)
    default = problem.space.default
    knobs = problem.space.knobs
    chosen = draw.sample(knobs, len(knobs) // 3) if number else []
    configuration = default.replace({k.full_name: draw.choice(k.values) for k in chosen})
    evaluation = problem.evaluate(configuration)
    record = TrialRecord(
        number,
        configuration,
        evaluation.metrics,
        origin=SAMPLER if number else BASELINE,
        seconds=0.001,
        profile=evaluation.profile,
        notes=("softmax runs on the CPU",),
    )
    key = problem.keys.key_of_effective(configuration)
    trial = optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        values=list(objective.values(evaluation.metrics, baseline)),
        params=to_params(problem.space, configuration),
        distributions=distributions,
        user_attrs=trial_attributes(record, default=default, key=key, elapsed_s=number / 100),
    )
    trial.datetime_start = BEGIN + timedelta(seconds=number / 100)
    trial.datetime_complete = trial.datetime_start + timedelta(milliseconds=1)
    return trial


def _resume(section: dict[str, Any], knobs: int, count: int, sampler: str) -> dict[str, float]:
    """What it takes until the first new trial is proposed, and then until the second one is.

    The seconds are by the clock and by the processor.
    """
    section = section | {"evaluations": count + 2, "polish": None}
    study = fake_study(Path(section["folder"]), study=section, sampler={"name": sampler})
    at: list[tuple[float, float, float]] = []

    def evaluated() -> None:
        at.append((time.perf_counter(), time.process_time(), _resident()))
        if len(at) == 2:
            raise _StopError

    before, start, processor_start = _resident(), time.perf_counter(), time.process_time()
    with contextlib.suppress(_StopError):
        run_study(study, network=fake_network(), target=WideTarget(knobs, on_evaluation=evaluated))
    return {
        "resume_s": at[0][0] - start,
        "processor_s": at[0][1] - processor_start,
        "bytes_per_trial": (at[0][2] - before) / count,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0,
        "next_ms": 1e3 * (at[1][0] - at[0][0]),
    }


def _show(folder: Path) -> dict[str, float]:
    """What `npu-tune show` takes, by the clock and by the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", "from npu_tune.cli.main import main; main()", "show"]
    subprocess.run([*command, str(folder)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "show_s": time.perf_counter() - start,
        "show_processor_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "show_peak_bytes": after.ru_maxrss * 1024.0,
    }


class _StopError(BaseException):
    """Ends a study in the middle of an evaluation; an Exception would be a failed trial."""


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return float(pages * resource.getpagesize())


def _print(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"sampler {options.sampler}; asked: {LIMIT_BYTES:g} bytes per trial, {LIMIT_S:g} s to resume"
        f" within {LIMIT_PEAK:g} bytes, {LIMIT_SHOW_S:g} s for `show`"
    )
    heads = (
        "storage",
        "knobs",
        "trials",
        "write s",
        "resume s",
        "processor",
        "per trial",
        "peak MB",
    )
    print("".join(f"{head:>12}" for head in (*heads, "next ms", "show s", "processor", "peak MB")))
    for row in rows:
        cells = (
            *(row["storage"], row["knobs"], f"{row['trials']:,}", f"{row['write_s']:.1f}"),
            *(f"{row['resume_s']:.1f}", f"{row['processor_s']:.1f}"),
            *(f"{row['bytes_per_trial']:,.0f}", f"{row['peak_bytes'] / 1e6:,.0f}"),
            *(f"{row['next_ms']:.1f}", f"{row['show_s']:.1f}", f"{row['show_processor_s']:.1f}"),
            f"{row['show_peak_bytes'] / 1e6:,.0f}",
        )
        print("".join(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
