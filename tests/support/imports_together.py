"""Takes a study over in several processes at a time.

A module of its own, as a process finds functions by the names of their modules, and several test
modules have the same one.
"""

from __future__ import annotations

from multiprocessing.synchronize import Barrier
from pathlib import Path

from fake_studies import fake_study
from fake_targets import Counting, LayeredTarget, SlowTarget, fake_network

from npu_tune.tuning.importing import import_study


def meet(gate: Barrier) -> None:
    """Has a process wait until the others are there, too: starting takes as long as it takes."""
    gate.wait()


def import_beside(place: str, storage: str, folder: Path, number: int) -> str | None:
    """Takes a study over together with others; returns why this one stopped.

    Args:
        place: of the study of plain Optuna.
        storage: into which all take it over.
        folder: of all; each driver has a study folder of its own in it.
        number: of the driver.
    """
    into = fake_study(folder / f"new-{number}", 50, study={"storage": storage, "name": "new"})
    done = import_study(
        place,
        str(folder / f"new-{number}"),
        storage=storage,
        into=into,
        network=fake_network(),
        target=Counting(SlowTarget(LayeredTarget(), seconds=0.1), folder / "log"),
    )
    return done.summary.stopped
