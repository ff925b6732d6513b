"""Problems of this machine's CPU, and configurations of them, for benchmarks."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator

import numpy as np
from float_networks import FLOAT_NETWORKS

from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.cpu_onnxruntime import OnnxRuntimeTarget
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.problem import MeasuredProblem


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
