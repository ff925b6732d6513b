"""Performs recorded runs again, and says whether the present model and samplers make them the same.

    python studies/again.py studies/samplers/neural_art.toml --samplers random,annealing --seeds 1

A recording states the version of the model's figures that it was made with. Where a newer version
gives the same evaluations, row by row, the recorded study still holds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npu_tune.compare import load_comparison
from npu_tune.compare.runs.comparison import RESULTS
from npu_tune.compare.runs.orders import run_orders
from npu_tune.compare.runs.recording import RunName, RunRecord, read_recording
from npu_tune.compare.runs.run import perform_run
from npu_tune.errors import NpuTuneError
from npu_tune.evaluation.pool import Watch
from npu_tune.targets import load_target
from npu_tune.tuning.problems import open_problem


class _NoWatch(Watch):
    """Nobody waits for an evaluation here."""

    def __call__(self, key: str | None) -> None:
        pass


@dataclass(frozen=True)
class Repetition:
    """A recorded run that was performed again.

    Args:
        name: of the run.
        evaluations: that were recorded.
        difference: number of the first evaluation that differs; None where none does.
    """

    name: RunName
    evaluations: int
    difference: int | None


def repeated(
    file: Path, *, samplers: Collection[str] = (), seeds: int | None = None
) -> Iterator[Repetition]:
    """Performs runs of a recorded comparison again.

    Args:
        file: of the comparison; its recording lies in the folder of the same name beside it.
        samplers: labels of those to run; all where there are none.
        seeds: the first so many of each; all if None.
    """
    comparison = load_comparison(file)
    recorded = {run.name: run for run in read_recording(file.with_suffix("") / RESULTS).runs}
    orders = [
        order
        for order in run_orders(comparison)
        if order.name in recorded
        and (not samplers or order.name.sampler in samplers)
        and (seeds is None or order.name.seed < seeds)
    ]
    for network in comparison.network:
        for target in comparison.target:
            mine = [
                order
                for order in orders
                if (order.name.problem.network, order.name.problem.target)
                == (network.title, target.title)
            ]
            if not mine:
                continue
            with open_problem(network, load_target(target.name, target.options)) as problem:
                for order in mine:
                    new = perform_run(order, problem, None, verdicts={}, watch=_NoWatch())
                    yield _compared(recorded[order.name], new.runs[0])


def _compared(old: RunRecord, new: RunRecord) -> Repetition:
    columns = [name for name in old.rows if name not in ("failure", "cached")]
    count = min(len(old.rows), len(new.rows))
    before, after = (run.rows[columns].to_numpy(float)[:count] for run in (old, new))
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    different = np.flatnonzero(~same.all(axis=1))
    first = int(different[0]) if len(different) else None
    if first is None and len(old.rows) != len(new.rows):
        first = count
    return Repetition(old.name, len(old.rows), first)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="of the comparison")
    parser.add_argument("--samplers", default="", help="labels, separated by commas [all]")
    parser.add_argument("--seeds", type=int, help="the first so many of each sampler [all]")
    arguments = parser.parse_args(given)
    wanted = [label for label in arguments.samplers.split(",") if label]
    runs = evaluations = 0
    different: list[Repetition] = []
    try:
        for one in repeated(arguments.file, samplers=wanted, seeds=arguments.seeds):
            runs, evaluations = runs + 1, evaluations + one.evaluations
            if one.difference is not None:
                different.append(one)
                print(f"{one.name}: evaluation {one.difference} differs", flush=True)
    except NpuTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{runs} runs, {evaluations} evaluations: {runs - len(different)} the same")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
