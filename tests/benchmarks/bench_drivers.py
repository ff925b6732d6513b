"""What several drivers of one study reach together, and what it costs to kill some of them.

    python tests/benchmarks/bench_drivers.py

Every driver is a process of its own that evaluates one configuration at a time, all on one study
in a PostgreSQL server on loopback, or in a journal. An evaluation *sleeps* for 50 ms, as the cores
of one machine would not do for the compilers of eight: it is the coordination that is measured, and
the processors that it takes. Given are evaluations per second while all drivers are at work, without
the seconds that each takes to start; all studies have as many, as a longer one is slower. In the
last part drivers are killed with SIGKILL at random and started again; then nothing may be lost, no
configuration may have two trials that were evaluated, the budget has to be met exactly, and the
numbers have to be consecutive.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from fake_studies import study_document
from fake_targets import Counting, LayeredTarget, SlowTarget
from postgres_server import postgres_server
from several_drivers import Group, Run, repeated, run_group, steady_rate

from npu_tune.tuning import read_study
from npu_tune.tuning.attributes import own_trials
from npu_tune.tuning.ledger import open_ledger

LEAST = {2: 1.8, 8: 5.0}
"""How many times as fast as one driver so many have to be."""


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = None if options.journal else stack.enter_context(postgres_server())
        storage = None if server is None else f"{server}/postgres"
        is_good = options.only_kills or _speeds(folder, storage, options)
        is_good &= _kills(folder, storage, options)
    sys.exit(0 if is_good else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--journal", action="store_true", help="in a journal, not in PostgreSQL")
    parser.add_argument("--evaluation-ms", type=float, default=50.0)
    parser.add_argument("--drivers", type=int, nargs="*", default=[2, 8])
    parser.add_argument("--evaluations", type=int, default=1000, help="of every study")
    parser.add_argument("--sampler", default="layerwise")
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs among the drivers")
    parser.add_argument("--only-kills", action="store_true", help="leave the speeds out")
    return parser.parse_args()


def _group(folder: Path, storage: str | None, options: argparse.Namespace, *, name: str) -> Group:
    (folder / name).mkdir()
    slow = SlowTarget(LayeredTarget(), seconds=options.evaluation_ms / 1e3)
    study: dict[str, Any] = {"name": name} | ({"storage": storage} if storage else {})
    document = study_document(
        folder,
        options.evaluations,
        sampler={"name": options.sampler},
        study={**study, "seed": 1},
    )
    target = Counting(slow, folder / name / "evaluations.log")
    return Group(folder / name, document, target, own_folders=storage is not None)


def _speeds(folder: Path, storage: str | None, options: argparse.Namespace) -> bool:
    print(f"evaluations of {options.evaluation_ms:g} ms, sampler {options.sampler}")
    print(f"{'drivers':>8}{'per second':>12}{'times one':>11}{'duplicates':>12}")
    alone, is_good = 0.0, True
    for drivers in [1, *options.drivers]:
        group = _group(folder, storage, options, name=f"of-{drivers}")
        run = run_group(group, drivers=drivers)
        rate, found = steady_rate(_trials(group, storage))
        alone = alone or rate
        result = read_study(run.study)
        duplicates = sum(trial.duplicate_of is not None for trial in result.trials)
        print(f"{found:>8}{rate:>12.1f}{rate / alone:>11.2f}{duplicates:>12}", flush=True)
        is_good &= _check(run, options.evaluations) and found == drivers
        is_good &= rate >= LEAST.get(drivers, 0.0) * alone
    return is_good


def _kills(folder: Path, storage: str | None, options: argparse.Namespace) -> bool:
    is_good = True
    for drivers in options.drivers if options.kills else ():
        group = _group(folder, storage, options, name=f"killed-{drivers}")
        run = run_group(group, drivers=drivers, kills=options.kills, seed=drivers)
        if read_study(run.study).stopped is None:  # the last ones may have been killed
            run_group(dataclasses.replace(group), drivers=1)
        is_good &= _check(run, options.evaluations)
        again = repeated(run.log) - 1
        print(
            f"{drivers} drivers, {run.killed} killed: {options.evaluations} evaluations, "
            f"{again} of them made again as their driver was killed in them",
            flush=True,
        )
        is_good &= again <= run.killed
    return is_good


def _trials(group: Group, storage: str | None) -> list[Any]:
    place = storage or group.study_folder(0) / "ledger.journal"
    with open_ledger(place, name=group.document["study"]["name"], read_only=True) as ledger:
        return own_trials(ledger.trials())


def _check(run: Run, count: int) -> bool:
    """Says what is wrong with the study that drivers have left, if anything is."""
    trials = read_study(run.study).trials
    evaluated = [trial for trial in trials if trial.duplicate_of is None]
    keys = {trial.configuration for trial in evaluated}
    problems = list(run.errors)
    if len(evaluated) != count:
        problems.append(f"{len(evaluated)} evaluations, not {count}")
    if len(keys) != len(evaluated):
        problems.append(f"{len(evaluated) - len(keys)} configurations were evaluated twice")
    if [trial.number for trial in trials] != list(range(len(trials))):
        problems.append("the numbers are not consecutive")
    for problem in problems:
        print(problem, file=sys.stderr)
    return not problems


if __name__ == "__main__":
    main()
