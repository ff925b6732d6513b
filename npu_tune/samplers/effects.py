"""Observed effects of one layer's choices on the score, and predictions of others."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.history import Comparisons, History
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
            # Candidates have few different values, which may be few of very many.
            values, rows = np.unique(candidates[:, place], return_inverse=True)
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


class EffectBook:
    """What a history says of the choices of each layer, kept until there is more to say.

    Args:
        history: the trials.
        settings: of the prediction.
    """

    def __init__(self, history: History, settings: LayerwiseSettings) -> None:
        self._history = weakref.proxy(history)
        self._settings = settings
        # By layer: the comparisons, their scores, and what follows for a present choice.
        self._known: dict[int, tuple[Comparisons, Floats, dict[Choice, Effects]]] = {}

    def effects(self, scores: Floats, layer: int, present: Choice) -> Effects:
        """Compares trials that differ in one layer alone, whatever the rest of them is.

        Args:
            scores: per point of the history, infinite where it failed.
            layer: the layer in question.
            present: its present choice, to which effects are relative.
        """
        compared = self._history.comparisons(layer)
        member_scores = scores[compared.members]
        known = self._known.get(layer)
        if known is None or known[0] is not compared or (known[1] != member_scores).any():
            known = self._known[layer] = compared, member_scores, {}
        found = known[2].get(present)
        if found is None:
            parameters = self._history.space.layers[layer]
            found = _effects(compared, member_scores.tolist(), parameters, present, self._settings)
            known[2][present] = found
        return found


def _effects(
    compared: Comparisons,
    scores: Sequence[float],
    parameters: tuple[Parameter, ...],
    present: Choice,
    settings: LayerwiseSettings,
) -> Effects:
    known: dict[Choice, list[float]] = {present: [0.0]}
    failed: set[Choice] = set()
    waiting: list[tuple[Sequence[Choice], Sequence[float]]] = []
    start = 0
    for choices in compared.choices:
        waiting.append((choices, scores[start : start + len(choices)]))
        start += len(choices)
    while waiting:
        unrelated = [group for group in waiting if not _compare(*group, known, failed)]
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
) -> bool:
    """Adds one group's effects to ``known``; False where none of its choices is known yet."""
    for anchor, choice in enumerate(choices):
        if choice in known and math.isfinite(scores[anchor]):
            break
    else:
        return False
    base = _mean(known[choice]) - scores[anchor]
    for index, (choice, score) in enumerate(zip(choices, scores, strict=True)):
        if not math.isfinite(score):
            failed.add(choice)
        elif index != anchor:
            known.setdefault(choice, []).append(base + score)
    return True


def _mean(values: list[float]) -> float:
    """As of ``np.mean``, bit for bit, which sums so few one by one, and takes long to begin."""
    total = sum(values) if len(values) < 8 else float(np.add.reduce(values))
    return total / len(values)
