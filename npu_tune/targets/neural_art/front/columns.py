"""The columns of a label: what the search of :mod:`.labels` compares and adds up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npu_tune.pareto import Floats
from npu_tune.targets.neural_art.compiler.step import Step

TIME, EARLY = 0, 1
"""Columns that every label has: cycles so far, and these less the slack of the last epoch."""


@dataclass(frozen=True, slots=True)
class LabelColumns:
    """Which columns labels have behind :data:`TIME` and :data:`EARLY`, in this order.

    Args:
        pools: number of pools whose high-water marks are kept; 0 where RAM is no objective.
        live: whether the most live bytes are kept.
        energy: whether the energy is kept.
    """

    pools: int
    live: bool
    energy: bool

    @property
    def maxima(self) -> slice:
        """Columns that are maxima over the epochs, not sums: marks and live bytes."""
        return slice(2, 2 + self.pools + self.live)

    def initial_label(self, marks: tuple[int, ...]) -> Floats:
        """The label before the first epoch, of shape (1, columns).

        Args:
            marks: per pool, bytes that the network's inputs take.
        """
        return np.array([[0.0, 0.0, *marks[: self.pools], *([0.0] * (self.live + self.energy))]])

    def step_values(self, step: Step) -> tuple[float, ...]:
        """What a step adds to each column, and last the cycles of its preloading."""
        return (
            step.cycles,
            step.cycles - step.costs.slack,
            *step.marks[: self.pools],
            *((step.live_bytes,) if self.live else ()),
            *((step.costs.energy,) if self.energy else ()),
            step.costs.preloading,
        )

    def extend(self, labels: Floats, steps: Floats) -> Floats:
        """Extends every label by every step.

        Args:
            labels: of shape (labels, columns).
            steps: rows of :meth:`step_values`, of shape (steps, columns + 1).

        Returns:
            An array of shape (labels * steps, columns); the steps vary fastest.
        """
        count, width = len(labels) * len(steps), labels.shape[1]
        before, step = labels[:, None, :], steps[None, :, :]
        begin = np.maximum(before[..., TIME], before[..., EARLY] + step[..., -1])
        rows = np.empty((len(labels), len(steps), width))
        rows[..., TIME] = begin + step[..., TIME]
        rows[..., EARLY] = begin + step[..., EARLY]
        most = self.maxima
        rows[..., most] = np.maximum(before[..., most], step[..., most])
        if self.energy:
            rows[..., -1] = before[..., -1] + step[..., width - 1]
        return rows.reshape(count, width)
