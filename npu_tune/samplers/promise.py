"""What the choices of a layer promise, worked out once for as long as nothing new is known."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats, Integers
from npu_tune.samplers.effects import Effects, compare_choices
from npu_tune.samplers.history import Comparisons, History
from npu_tune.samplers.layers import Choice, ChoiceList
from npu_tune.samplers.profile.lessons import Lessons
from npu_tune.samplers.settings import LayerwiseSettings


@dataclass(frozen=True, eq=False)
class Promise:
    """Choices of a layer with the lower confidence bound of their effect.

    Args:
        choices: that are considered.
        changed: in how many parameters each differs from the present one.
        bounds: of each.
        scale: of the random additions that put equals in a seeded order.
    """

    choices: Sequence[Choice]
    changed: Integers
    bounds: Floats
    scale: float

    def ordered(self, random: np.random.Generator) -> Iterator[Choice]:
        """The most promising first; leaves out the present one."""
        bounds = self.bounds + self.scale * random.random(len(self.choices))
        order = np.argsort(bounds, kind="stable")
        return map(self.choices.__getitem__, order[self.changed[order] > 0].tolist())


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
        # What all choices of a small layer promise, and by which lessons.
        self._promises: weakref.WeakKeyDictionary[Effects, tuple[Lessons | None, Promise]] = (
            weakref.WeakKeyDictionary()
        )

    def effects(self, scores: Floats, layer: int, present: Choice) -> Effects:
        """The effects of a layer's choices.

        Args:
            scores: per point of the history, infinite where it failed.
            layer: the layer in question.
            present: its present choice, to which effects are relative.
        """
        patience = max(int(self._settings.refresh_share * self._history.running), 1)
        compared = self._history.comparisons(layer, patience=patience)
        member_scores = scores[compared.members]
        known = self._known.get(layer)
        if known is None or known[0] is not compared or (known[1] != member_scores).any():
            known = self._known[layer] = compared, member_scores, {}
        found = known[2].get(present)
        if found is None:
            parameters = self._history.space.layers[layer]
            found = compare_choices(
                compared, member_scores.tolist(), parameters, present, self._settings
            )
            known[2][present] = found
        return found

    def promise(
        self,
        effects: Effects,
        candidates: ChoiceList,
        layer: int,
        present: Choice,
        lessons: Lessons | None,
    ) -> Promise:
        """What some choices of a layer promise.

        Args:
            effects: of the layer's choices.
            candidates: the choices.
            layer: the layer in question.
            present: its present choice.
            lessons: from profiles; None where trials have none.
        """
        kept = self._promises.get(effects) if candidates.are_all else None
        if kept is not None and kept[0] is lessons:
            return kept[1]
        settings, rows = self._settings, candidates.rows
        mean, uncertainty = effects.predict(rows)
        changed = (rows != np.array(present)).sum(axis=1)
        scale = effects.spread or 1.0
        if lessons is not None:
            expected = lessons.expect(layer, rows, present)
            scale = effects.spread or float(expected.std()) or 1.0
            # The less was observed of a candidate itself, the more counts what profiles say of it.
            mean = mean + uncertainty**2 * expected
        # Single changes come first; what is equal otherwise is put in a seeded order.
        bounds = (
            mean
            - scale * uncertainty
            + settings.combination_penalty * scale * np.maximum(changed - 1, 0)
        )
        made = Promise(candidates.as_tuples, changed, bounds, settings.tie_breaking * scale)
        if candidates.are_all:
            self._promises[effects] = lessons, made
        return made
