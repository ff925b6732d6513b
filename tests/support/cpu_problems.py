"""Problems of this machine's CPU, and configurations of them, for benchmarks."""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from float_networks import FLOAT_NETWORKS

import npu_tune
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.cpu_onnxruntime import OnnxRuntimeTarget
from npu_tune.targets.cpu_onnxruntime.engine import OnnxRuntimeEngine, OnnxRuntimeNetwork
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.metrics import SNR
from npu_tune.targets.measured.problem import MeasuredProblem
from npu_tune.tuning import StudyResult

LEAST_DB = 30.0
"""Signal to noise from which int8 counts as accurate enough."""


def target() -> OnnxRuntimeTarget:
    """onnxruntime on one thread of this machine."""
    return OnnxRuntimeTarget(machine_name())


def problem_of(network: str) -> MeasuredProblem:
    """A seeded network in onnxruntime on this machine."""
    return target().bind(FLOAT_NETWORKS[network]())


def in_int8(space: SearchSpace, *, but: frozenset[str] = frozenset()) -> Configuration:
    """The default with all layers in int8 except some."""
    names = [name for name in space.default if name.endswith("/precision")]
    return space.default.replace(
        {name: "int8" for name in names if name.rpartition("/")[0] not in but}
    )


def tune_for_time(network: str, evaluations: int, *, sampler: str = "profile") -> StudyResult:
    """A study of the least time of a network that keeps enough signal to noise."""
    with tempfile.TemporaryDirectory() as folder:
        return npu_tune.tune(
            FLOAT_NETWORKS[network](),
            target(),
            study=folder,
            evaluations=evaluations,
            sampler=sampler,
            limits=f"{SNR} >= {LEAST_DB:g}",
        )


def loaded(
    problem: MeasuredProblem, configuration: Configuration, folder: Path
) -> OnnxRuntimeNetwork:
    """A configuration, written to a new folder and loaded in this process."""
    options = write(problem, configuration, folder)
    return OnnxRuntimeEngine().load(folder, options, profile=False)


def write(problem: MeasuredProblem, configuration: Configuration, folder: Path) -> dict[str, Any]:
    """Writes a configuration to a new folder; returns the options of the whole network."""
    folder.mkdir()
    return dict(problem._back_end.write(configuration, folder))


def noisiest_in_float(problem: MeasuredProblem, least_db: float = LEAST_DB) -> Configuration:
    """All layers in int8 but as few of the noisiest as leave enough signal to noise.

    Layers are ordered by the noise of each alone; how many are needed is measured, by bisection,
    as noise of layers does not simply add up.
    """
    every = in_int8(problem.space)
    noises = {layer: problem.noise(every, layer) for layer in problem.space.layers}
    ordered = sorted(noises, key=lambda layer: -noises[layer])
    fewest, most = 0, len(ordered)
    while fewest < most:
        middle = (fewest + most) // 2
        mixed = in_int8(problem.space, but=frozenset(ordered[:middle]))
        if _decibels(problem, mixed) >= least_db:
            most = middle
        else:
            fewest = middle + 1
    return in_int8(problem.space, but=frozenset(ordered[:most]))


def _decibels(problem: MeasuredProblem, configuration: Configuration) -> float:
    with tempfile.TemporaryDirectory() as folder:
        network = loaded(problem, configuration, Path(folder) / "candidate")
        fidelity = problem._fidelity
        return fidelity.decibels([tuple(network.run(feed)) for feed in fidelity.feeds])


@contextlib.contextmanager
def busy_machine(children: int) -> Iterator[None]:
    """Keeps processors and memory busy meanwhile."""
    context = multiprocessing.get_context("spawn")
    busy = [context.Process(target=_work, daemon=True) for _ in range(children)]
    for each in busy:
        each.start()
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.join()


def _work() -> None:
    """Multiplies what fits the caches and copies what does not, for ever."""
    matrix = np.ones((256, 256), np.float32)
    large = np.ones(1 << 22, np.float32)
    while True:
        for _ in range(20):
            np.matmul(matrix, matrix)
        large.copy()
