"""Several drivers of one study, of which some are killed and started again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from fake_studies import study_document
from fake_targets import Counting, LayeredTarget, SlowTarget
from several_drivers import Group, repeated, run_group
from storages import STORAGES
from tally import Fault, Tally

from npu_tune.tuning import read_study

_EVALUATION_S = 0.02
_KILLS = 20
_EACH = 10
"""Evaluations per kill, so that every driver is at work again before the next one."""

Storage = Callable[[Path], AbstractContextManager[dict[str, Any]]]


def driver_faults() -> Iterator[Fault]:
    """One of several drivers is killed, where drivers can work together."""
    for storage, drivers in (("journal", 2), ("PostgreSQL", 2), ("PostgreSQL", 8)):
        inject = partial(_kill_some, STORAGES[storage], drivers)
        yield Fault(f"one of {drivers} drivers killed (SIGKILL)", storage, inject, _KILLS)


def _kill_some(opened: Storage, drivers: int, folder: Path, times: int, seed: int) -> Tally:
    tally, evaluations = Tally(), 30 + _EACH * drivers * times
    with opened(folder) as storage:
        study = {**storage, "name": f"of{drivers}", "seed": seed}
        document = study_document(folder, evaluations, sampler={"name": "layerwise"}, study=study)
        slow = SlowTarget(LayeredTarget(), _EVALUATION_S)
        target = Counting(slow, folder / "evaluations.log")
        group = Group(folder, document, target, own_folders=bool(storage))
        run = run_group(group, drivers=drivers, kills=times, seed=seed)
        tally.injected, tally.wrong = run.killed, list(run.errors)
        log = run.log
        if read_study(run.study).stopped is None:  # the last ones were killed
            log += run_group(group, drivers=1).log
        trials = read_study(run.study).trials
    evaluated = [trial for trial in trials if trial.duplicate_of is None]
    tally.finished = len(trials)
    # Every evaluation that was noted and not killed with its driver is a trial; the default
    # configuration is evaluated once more at the end.
    noted = {what for _, what in log}
    tally.lost = max(len(noted) - len(evaluated), 0)
    tally.again = max(repeated(log) - 1 - run.killed, 0)
    tally.expect(
        len(evaluated) == evaluations, f"{len(evaluated)} evaluations instead of {evaluations}."
    )
    keys = {trial.configuration for trial in evaluated}
    tally.expect(len(keys) == len(evaluated), "A configuration was evaluated twice.")
    numbers = [trial.number for trial in trials]
    tally.expect(numbers == list(range(len(numbers))), "Numbers are not consecutive.")
    return tally
