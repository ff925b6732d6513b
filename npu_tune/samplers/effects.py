"""Observed effects of one layer's choices on the score, and predictions of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.history import Floats, History
from npu_tune.samplers.layers import Choice, Parameter
from npu_tune.samplers.settings import LayerwiseSettings


@dataclass(frozen=True)
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

    @property
    def spread(self) -> float:
        """Standard deviation of the observed changes: how much this layer matters."""
        return float(np.std(self.gains)) if len(self.gains) > 1 else 0.0

    def predict(self, candidates: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Expected change of the score and its uncertainty, per candidate (a row of indices)."""
        reach, prior_weight = self.settings.reach, self.settings.prior_weight
        weights = np.ones((len(candidates), len(self.choices)))
        for place, parameter in enumerate(self.parameters):
            distance = np.abs(candidates[:, place, None] - self.choices[None, :, place])
            if parameter.ordered:
                weights *= np.exp(-distance / (reach * max(parameter.size, 1 / reach)))
            else:
                weights *= np.where(distance == 0, 1.0, self.settings.other_value_weight)
        total = weights.sum(axis=1) + prior_weight
        changes = self.gains[1:]
        prior = float(np.mean(changes)) if len(changes) else 0.0
        mean = (weights @ self.gains + prior_weight * prior) / total
        return mean, np.sqrt(prior_weight / total)


def effects_of(
    history: History,
    scores: Floats,
    layer: int,
    present: Choice,
    settings: LayerwiseSettings,
) -> Effects:
    """Compares trials that differ in one layer alone, whatever the rest of them is.

    Args:
        history: the trials.
        scores: per point, infinite where it failed.
        layer: the layer in question.
        present: its present choice, to which effects are relative.
        settings: of the prediction.
    """
    known: dict[Choice, list[float]] = {present: [0.0]}
    failed: set[Choice] = set()
    waiting = history.comparisons(layer)
    while waiting:
        unrelated = [
            group
            for group in waiting
            if not _compare(
                [history.points[i][layer] for i in group],
                scores[group],
                known=known,
                failed=failed,
            )
        ]
        if len(unrelated) == len(waiting):
            break
        waiting = unrelated
    gains = {choice: float(np.mean(seen)) for choice, seen in known.items()}
    worst = max(gains.values()) + np.std(list(gains.values()))
    gains |= {choice: float(worst) for choice in sorted(failed) if choice not in gains}
    return Effects(
        parameters=history.space.layers[layer],
        choices=np.array(list(gains), dtype=np.int64).reshape(len(gains), -1),
        gains=np.array(list(gains.values())),
        settings=settings,
    )


def _compare(
    choices: Sequence[Choice],
    scores: Floats,
    *,
    known: dict[Choice, list[float]],
    failed: set[Choice],
) -> bool:
    """Adds one group's effects to ``known``; False where none of its choices is known yet."""
    usable = np.isfinite(scores)
    anchor = next((i for i, c in enumerate(choices) if usable[i] and c in known), None)
    if anchor is None:
        return False
    base = float(np.mean(known[choices[anchor]]) - scores[anchor])
    for index, choice in enumerate(choices):
        if not usable[index]:
            failed.add(choice)
        elif index != anchor:
            known.setdefault(choice, []).append(base + float(scores[index]))
    return True
