"""The inputs that a measured problem uses: for ranges, for comparing outputs, with labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.quantize.calibrate import check_calibration, runs
from npu_tune.targets.measured.engine import Array, Feed

Arrays = Mapping[str, NDArray[Any]]

Score = Callable[[Array, Array], float]
"""Accuracy of outputs, given the first output of every sample and the labels."""

SEEDED_SAMPLES = 8
CHECKED_SAMPLES = 4
"""Inputs on which the outputs of every configuration are compared."""


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Samples with what the network should say of them.

    Args:
        inputs: one array per input, samples first.
        labels: one per sample.
        score: of outputs; None for the share of samples whose greatest output is the label's.
        score_name: of it.
    """

    inputs: Arrays
    labels: Array
    score: Score | None = None
    score_name: str = "top-1"

    def accuracy(self, outputs: Array) -> float:
        """Of the first output of all samples, samples first."""
        if self.score is not None:
            return float(self.score(outputs, self.labels))
        greatest = outputs.reshape(len(self.labels), -1).argmax(axis=1)
        return float(np.mean(greatest == self.labels))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything, in hexadecimal."""
        return f"{arrays_digest({**self.inputs, ' labels': self.labels})} {self.score_name}"


@dataclass(frozen=True, eq=False)
class MeasuringData:
    """What a target was given.

    Args:
        calibration: typical inputs; None for seeded ones.
        labelled: for the accuracy; None for none.
    """

    calibration: Arrays | None = None
    labelled: LabelledData | None = None
    _cached: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MeasuringData):
            return NotImplemented
        return self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(tuple(self.fingerprint().values()))

    def fingerprint(self) -> Mapping[str, str]:
        """What evaluations depend on."""
        if not self._cached:
            given = self.calibration
            self._cached["calibration"] = "seeded" if given is None else arrays_digest(given)
            if self.labelled is not None:
                self._cached["labelled"] = self.labelled.digest
        return dict(self._cached)

    def feeds(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[Feed], tuple[Feed, ...]]:
        """Inputs for ranges, and those on which outputs are compared.

        Of given inputs every fourth, and one at least, is kept for comparing, so that ranges are
        judged on what they were not made from; a single one serves for both.

        Args:
            shapes: of the network's inputs.

        Raises:
            ModelError: if the data do not fit.
        """
        if self.calibration is None:
            return _seeded(shapes, SEEDED_SAMPLES, seed=0), tuple(
                _seeded(shapes, CHECKED_SAMPLES, seed=1)
            )
        count = check_calibration(self.calibration, shapes)
        every: list[Feed] = list(runs(self.calibration, shapes))
        if count == 1:
            return every, tuple(every)
        kept = every[3::4] or every[-1:]
        ranged = [feed for index, feed in enumerate(every) if index % 4 != 3]
        ranged = ranged if every[3::4] else every[:-1]
        return ranged, tuple(kept[:CHECKED_SAMPLES])


def arrays_digest(arrays: Arrays) -> str:
    """SHA-256 of arrays by name, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype.str} {value.shape} ".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def _seeded(shapes: Mapping[str, tuple[int, ...]], samples: int, *, seed: int) -> list[Feed]:
    """Uniform values from -1 to 1, the usual range of inputs."""
    generator = np.random.default_rng(seed)
    return [
        {
            name: generator.uniform(-1.0, 1.0, shape).astype(np.float32)
            for name, shape in shapes.items()
        }
        for _ in range(samples)
    ]
