"""Puts whole configurations together from what the surrogate predicts of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.encoding import Contexts
from npu_tune.samplers.history import Floats
from npu_tune.samplers.layers import Choice, Point
from npu_tune.samplers.profiles import Profiles
from npu_tune.samplers.steps import change, random_choice
from npu_tune.samplers.surrogate import Figure, Surrogate

_FEW = 8
"""Of a parameter with more values, so many are drawn as changes of a good choice."""


@dataclass(frozen=True)
class Aim:
    """What a composed configuration is to make small.

    Args:
        sums: factor by figure that is added up over layers.
        peaks: factor by figure of which the highest counts.
        ceiling: by peak figure, the level below which lowering it further earns nothing.
        boldness: how many standard deviations a prediction is lowered by.
    """

    sums: Mapping[Figure, float]
    peaks: Mapping[Figure, float]
    ceiling: Mapping[Figure, float]
    boldness: float


@dataclass(frozen=True)
class Composer:
    """Beam search over the layers.

    Args:
        profiles: of the trials.
        surrogates: by figure.
        random: decides on which choices are considered.
        width: how many partial configurations are kept, and how many choices of a layer.
    """

    profiles: Profiles
    surrogates: Mapping[Figure, Surrogate]
    random: np.random.Generator
    width: int = 8

    def compose(self, start: Point, elite: Sequence[Point], aim: Aim) -> Point:
        """The configuration that is predicted to be best, layers taken in their order.

        Args:
            start: what the network's parameters and layers without profile are taken from.
            elite: configurations whose choices are among those considered.
            aim: what is to be made small.
        """
        slots = self.profiles.slots
        contexts = slots.contexts(start)
        candidates = [
            self._candidates(place, start, contexts[place], elite, aim)
            for place in range(len(slots.layers))
        ]
        chosen = self._beam(contexts, candidates, aim)
        return change(
            start,
            {
                layer: candidates[place].choices[chosen[place]]
                for place, layer in enumerate(slots.layers)
            },
        )

    def _candidates(
        self, place: int, start: Point, context: Contexts, elite: Sequence[Point], aim: Aim
    ) -> _Candidates:
        """Choices of a layer that look good between its present neighbours."""
        slots = self.profiles.slots
        layer = slots.layers[place]
        pool = dict.fromkeys(point[layer] for point in (start, *elite))
        always = len(pool)
        for number in self._best_seen(place, aim):
            pool[self._choice(place, number)] = None
        parameters = self.profiles.space.layers[layer]
        for centre in list(pool)[:3]:
            for at, parameter in enumerate(parameters):
                values: Iterable[int] = (
                    range(parameter.size)
                    if parameter.size <= _FEW
                    else self.random.integers(parameter.size, size=_FEW)
                )
                for value in values:
                    pool[(*centre[:at], int(value), *centre[at + 1 :])] = None
        for _ in range(24):
            pool[random_choice(self.random, parameters)] = None
        choices = list(pool)
        rows = np.repeat(context[None, :], len(choices), axis=0)
        rows[:, : slots.own] = [slots.own_row(place, choice) for choice in choices]
        sums, peaks = self._predict(place, rows, aim)
        over = sum(
            aim.peaks[figure] * np.maximum(peak - aim.ceiling[figure], 0.0)
            for figure, peak in peaks.items()
        )
        score = sums + over
        order = [int(i) for i in np.argsort(score, kind="stable")[: self.width]]
        kept = list(dict.fromkeys([*range(min(always, 4)), *order]))
        return _Candidates([choices[i] for i in kept], rows[kept, : slots.own], sums[kept])

    def _best_seen(self, place: int, aim: Aim) -> list[int]:
        numbers = self.profiles.distinct[place]
        total = np.zeros(len(numbers))
        for figure, factor in aim.sums.items():
            total += factor * self.profiles.figure(place, figure.column, figure.kind, numbers)
        return [numbers[i] for i in np.argsort(total, kind="stable")[:12]]

    def _choice(self, place: int, number: int) -> Choice:
        return self.profiles.choice(place, number)

    def _predict(
        self, place: int, rows: Contexts, aim: Aim
    ) -> tuple[Floats, dict[Figure, Floats]]:
        sums = np.zeros(len(rows))
        for figure, factor in aim.sums.items():
            mean, deviation = self.surrogates[figure].predict(place, rows)
            sums += factor * np.expm1(mean - aim.boldness * deviation)
        peaks = {}
        for figure in aim.peaks:
            mean, deviation = self.surrogates[figure].predict(place, rows)
            peaks[figure] = np.expm1(mean - aim.boldness * deviation)
        return sums, peaks

    def _beam(self, contexts: Contexts, candidates: Sequence[_Candidates], aim: Aim) -> list[int]:
        """The number of the candidate of each layer."""
        slots = self.profiles.slots
        own = slots.own
        figures = list(aim.peaks)
        # A state: the choices so far, what the layers before the last cost, and their peaks.
        states: list[tuple[int, ...]] = [(i,) for i in range(len(candidates[0].choices))]
        costs = np.zeros(len(states))
        peaks = np.tile([aim.ceiling[f] for f in figures], (len(states), 1))
        factors = np.array([aim.peaks[f] for f in figures])
        for place in range(len(candidates)):
            ahead = candidates[place + 1] if place + 1 < len(candidates) else None
            count = len(ahead.choices) if ahead else 1
            rows = np.repeat(contexts[place][None, :], len(states) * count, axis=0)
            last = np.repeat([state[-1] for state in states], count)
            rows[:, :own] = candidates[place].rows[last]
            if place > 0:
                before = np.repeat([state[-2] for state in states], count)
                rows[:, own : 2 * own] = candidates[place - 1].rows[before]
            if ahead:
                rows[:, 2 * own : 3 * own] = np.tile(ahead.rows, (len(states), 1))
            sums, seen = self._predict(place, rows, aim)
            total = np.repeat(costs, count) + sums
            highest = np.repeat(peaks, count, axis=0)
            for at, figure in enumerate(figures):
                highest[:, at] = np.maximum(highest[:, at], seen[figure])
            score = total + highest @ factors
            if ahead:
                score = score + np.tile(ahead.estimates, len(states))
            kept = self._keep(score, last, count)
            states = [(*states[i // count], i % count) if ahead else states[i] for i in kept]
            costs, peaks = total[kept], highest[kept]
        return list(states[0])

    def _keep(self, score: Floats, last: Contexts, count: int) -> list[int]:
        """The best states, of each pair of choices at the end only one."""
        kept: dict[tuple[int, int], int] = {}
        for i in np.argsort(score, kind="stable"):
            kept.setdefault((int(last[i]), int(i) % count), int(i))
            if len(kept) == self.width:
                break
        return list(kept.values())


@dataclass(frozen=True)
class _Candidates:
    """Choices of a layer, as choices and as own slots, with what they are likely to cost."""

    choices: list[Choice]
    rows: Contexts
    estimates: Floats
