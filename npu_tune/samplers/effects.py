"""Observed effects of one layer's choices on the score, and predictions of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.history import Comparisons
from npu_tune.samplers.layers import Choice, Parameter
from npu_tune.samplers.settings import LayerwiseSettings

_FEW_VALUES = 64
"""A parameter with at most so many has all of them looked at, which is faster than to pick some."""


@dataclass(frozen=True, eq=False)
class Effects:
    """Observed changes of the score by choices of one layer, relative to its present choice.

    Args:
        parameters: of the layer.
        choices: observed; the present one is the first.
        gains: change of the score per observed choice; negative is better.
        settings: of the prediction.
    """

    parameters: tuple[Parameter, ...]
    choices: NDArray[np.int64]
    gains: Floats
    settings: LayerwiseSettings

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the observed changes: how much this layer matters."""
        return float(np.std(self.gains)) if len(self.gains) > 1 else 0.0

    def predict(self, candidates: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Expected change of the score and its uncertainty, per candidate (a row of indices)."""
        reach, prior_weight = self.settings.reach, self.settings.prior_weight
        weights = np.ones((len(candidates), len(self.choices)))
        for place, parameter in enumerate(self.parameters):
            # Candidates have few different values, which may be few of very many.
            rows = candidates[:, place]
            values = np.arange(parameter.size if parameter.size <= _FEW_VALUES else 0)
            if not len(values):
                values, rows = np.unique(rows, return_inverse=True)
            distance = np.abs(values[:, None] - self.choices[None, :, place])
            if parameter.ordered:
                near = np.exp(-distance / (reach * max(parameter.size, 1 / reach)))
            else:
                near = np.where(distance == 0, 1.0, self.settings.other_value_weight)
            weights *= near[rows]
        total = weights.sum(axis=1) + prior_weight
        changes = self.gains[1:]
        prior = float(np.mean(changes)) if len(changes) else 0.0
        mean = (weights @ self.gains + prior_weight * prior) / total
        return mean, np.sqrt(prior_weight / total)


def compare_choices(
    compared: Comparisons,
    scores: Sequence[float],
    parameters: tuple[Parameter, ...],
    present: Choice,
    settings: LayerwiseSettings,
) -> Effects:
    """Compares trials that differ in one layer alone, whatever the rest of them is.

    Args:
        compared: the trials, in groups of equal rest.
        scores: of the trials, infinite where they failed.
        parameters: of the layer.
        present: the layer's present choice, to which effects are relative.
        settings: of the prediction.
    """
    known: dict[Choice, list[float]] = {present: [0.0]}
    choices_known = known.keys()
    failed: set[Choice] = set()
    means: dict[Choice, float] = {}
    waiting: list[tuple[Sequence[Choice], Sequence[float]]] = []
    start = 0
    for choices in compared.choices:
        waiting.append((choices, scores[start : start + len(choices)]))
        start += len(choices)
    while waiting:
        # Most that are unrelated have none of the known choices at all.
        unrelated = [
            group
            for group in waiting
            if choices_known.isdisjoint(group[0]) or not _compare(*group, known, failed, means)
        ]
        if len(unrelated) == len(waiting):
            break
        waiting = unrelated
    gains = {choice: _mean(seen) for choice, seen in known.items()}
    worst = max(gains.values()) + np.std(list(gains.values()))
    gains |= {choice: float(worst) for choice in sorted(failed) if choice not in gains}
    return Effects(
        parameters=parameters,
        choices=np.array(list(gains), dtype=np.int64).reshape(len(gains), -1),
        gains=np.array(list(gains.values())),
        settings=settings,
    )


def _compare(
    choices: Sequence[Choice],
    scores: Sequence[float],
    known: dict[Choice, list[float]],
    failed: set[Choice],
    means: dict[Choice, float],
) -> bool:
    """Adds one group's effects to ``known``; False where none of its choices is known yet.

    The means of what is known are kept in ``means`` until there is more to one.
    """
    for anchor, choice in enumerate(choices):
        if choice in known and math.isfinite(scores[anchor]):
            break
    else:
        return False
    mean = means.get(choice)
    if mean is None:
        mean = means[choice] = _mean(known[choice])
    base = mean - scores[anchor]
    for index, (choice, score) in enumerate(zip(choices, scores, strict=True)):
        if not math.isfinite(score):
            failed.add(choice)
        elif index != anchor:
            known.setdefault(choice, []).append(base + score)
            means.pop(choice, None)
    return True


def _mean(values: list[float]) -> float:
    """As of ``np.mean``, bit for bit, which sums so few one by one, and takes long to begin."""
    total = sum(values) if len(values) < 8 else float(np.add.reduce(values))
    return total / len(values)
