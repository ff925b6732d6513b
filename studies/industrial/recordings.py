"""Labelled images of recordings, from other machines for training, tuning and testing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from modulation import modulation_image
from numpy.typing import NDArray
from vibration import CLASSES, Machine, draw_machine, record

INPUT = "image"
"""The network's input."""

PARTS = ("training", "tuning", "test")
"""Every part has machines of its own: `tuning` has the samples for ranges and limits."""


@dataclass(frozen=True, eq=False)
class Recordings:
    """Images, samples first, with their labels and the number of the machine of each."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    machines: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_] | slice) -> Recordings:
        """Some of them."""
        return Recordings(self.images[chosen], self.labels[chosen], self.machines[chosen])


def machines_of(part: str, count: int, seed: int) -> list[Machine]:
    """The machines of a part; those of another part or seed are others."""
    return [draw_machine(_generator(part, number, seed)) for number in range(count)]


def make_recordings(part: str, *, machines: int, each: int, seed: int) -> Recordings:
    """Makes the recordings of a part; the same arguments give the same values.

    Args:
        part: one of :data:`PARTS`.
        machines: how many.
        each: recordings of every machine in every class.
        seed: of everything.
    """
    images, labels, numbers = [], [], []
    for number in range(machines):
        generator = _generator(part, number, seed)
        machine = draw_machine(generator)
        for label in range(len(CLASSES)):
            for _ in range(each):
                images.append(modulation_image(*record(machine, label, generator)))
                labels.append(label)
                numbers.append(number)
    return Recordings(np.stack(images), np.array(labels), np.array(numbers))


def save_inputs(path: Path, given: Recordings, *, labelled: bool) -> Path:
    """Writes an .npz as npu-tune reads it: typical inputs, with labels where asked."""
    arrays: Mapping[str, NDArray[np.generic]] = {INPUT: given.images}
    if labelled:
        arrays = {**arrays, "labels": given.labels}
    np.savez(path, **arrays)
    return path


def _generator(part: str, number: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, PARTS.index(part), number])
