"""Composes whole configurations from what the surrogate predicts of each layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.arrays import Floats
from npu_tune.samplers.layers import Choice, Point
from npu_tune.samplers.profile.encoding import Contexts
from npu_tune.samplers.profile.profiles import Profiles
from npu_tune.samplers.profile.relation import Aggregate
from npu_tune.samplers.profile.settings import LayerProfileSettings
from npu_tune.samplers.profile.surrogate import Surrogate
from npu_tune.samplers.steps import change, replace_value


@dataclass(frozen=True)
class Aim:
    """What a composed configuration is to minimise.

    Args:
        sums: factor by aggregate that is a sum over layers.
        peaks: factor by aggregate that is a maximum over layers.
        ceiling: by maximum, the level below which lowering it further earns nothing.
        boldness: by how many standard deviations predictions of sums are lowered.
    """

    sums: Mapping[Aggregate, float]
    peaks: Mapping[Aggregate, float]
    ceiling: Mapping[Aggregate, float]
    boldness: float


@dataclass(frozen=True)
class Composer:
    """Beam search over the layers.

    Args:
        profiles: of the trials.
        surrogates: by aggregate.
        random: decides on which choices are considered.
        settings: of the sampler.
        width: how many partial configurations are kept, and how many choices of a layer.
    """

    profiles: Profiles
    surrogates: Mapping[Aggregate, Surrogate]
    random: np.random.Generator
    settings: LayerProfileSettings
    width: int

    def compose(self, start: Point, elite: Sequence[Point], aim: Aim, window: range) -> Point:
        """Finds the configuration that is predicted to be best, layers taken in their order.

        Args:
            start: what everything outside the window is taken from.
            elite: configurations whose choices are among those considered.
            aim: what is to be made small.
            window: the layers that may change, in the profile's order.
        """
        slots = self.profiles.slots
        contexts = slots.contexts(start)
        start_at, stop_at = window.start - slots.reach, window.stop + slots.reach
        near = range(max(start_at, 0), min(stop_at, len(slots.layers)))
        candidates = [
            self._candidates(place, start, contexts[place], elite, aim)
            if place in window
            else self._keep_choice(place, start, contexts[place], aim)
            for place in near
        ]
        chosen = self._beam(contexts, near, candidates, self._floor(start, near, aim), aim)
        changes = {
            slots.layers[place]: options.choices[number]
            for place, options, number in zip(near, candidates, chosen, strict=True)
        }
        return change(start, changes)

    def _floor(self, start: Point, near: range, aim: Aim) -> list[float]:
        """Per maximum the level below which nothing is gained: what the other layers need."""
        number = self.profiles.number_of(start)
        others = [place for place in range(len(self.profiles.layers)) if place not in near]
        floor = []
        for aggregate, ceiling in aim.ceiling.items():
            held = 0.0
            if number is not None and others:
                held = max(
                    float(
                        self.profiles.costs(place, aggregate.column, aggregate.kind, [number])[0]
                    )
                    for place in others
                )
            floor.append(max(ceiling, held))
        return floor

    def _keep_choice(self, place: int, start: Point, context: Contexts, aim: Aim) -> _Candidates:
        rows = context[None, :]
        sums, _ = self._predict(place, rows, aim)
        choice = start[self.profiles.layers[place]]
        return _Candidates([choice], rows[:, : self.profiles.slots.own], sums)

    def _candidates(
        self, place: int, start: Point, context: Contexts, elite: Sequence[Point], aim: Aim
    ) -> _Candidates:
        """Collects choices of a layer that look good between its present neighbours."""
        slots, settings = self.profiles.slots, self.settings
        layer = slots.layers[place]
        pool = dict.fromkeys(point[layer] for point in (start, *elite))
        always = len(pool)
        for number in self._best_seen(place, aim):
            pool[self.profiles.choice(place, number)] = None
        parameters = self.profiles.space.layers[layer]
        for centre in list(pool)[: settings.varied_choices]:
            for at, parameter in enumerate(parameters):
                values: Iterable[int] = (
                    range(parameter.size)
                    if parameter.size <= settings.drawn_values
                    else self.random.integers(parameter.size, size=settings.drawn_values)
                )
                for value in values:
                    pool[replace_value(centre, at, int(value))] = None
        sizes = self.profiles.space.sizes[layer]
        drawn = self.random.integers(sizes, size=(settings.drawn_choices, len(sizes)))
        pool |= dict.fromkeys(map(tuple, drawn.tolist()))
        choices = list(pool)
        rows = np.repeat(context[None, :], len(choices), axis=0)
        rows[:, : slots.own] = slots.own_rows(place, choices)
        sums, peaks = self._predict(place, rows, aim)
        over = sum(
            aim.peaks[aggregate] * np.maximum(peak - aim.ceiling[aggregate], 0.0)
            for aggregate, peak in peaks.items()
        )
        score = sums + over
        order = [int(i) for i in np.argsort(score, kind="stable")[: self.width]]
        kept = list(dict.fromkeys([*range(min(always, settings.kept_choices)), *order]))
        return _Candidates([choices[i] for i in kept], rows[kept, : slots.own], sums[kept])

    def _best_seen(self, place: int, aim: Aim) -> list[int]:
        numbers = self.profiles.distinct[place].array
        total = np.zeros(len(numbers))
        for aggregate, factor in aim.sums.items():
            total += factor * self.profiles.mean_costs(
                place, aggregate.column, aggregate.kind, numbers, len(self.profiles)
            )
        cheapest = np.argsort(total, kind="stable")[: self.settings.observed_choices]
        return [int(number) for number in numbers[cheapest]]

    def _predict(
        self, place: int, rows: Contexts, aim: Aim
    ) -> tuple[Floats, dict[Aggregate, Floats]]:
        sums = np.zeros(len(rows))
        for aggregate, factor in aim.sums.items():
            mean, deviation = self.surrogates[aggregate].predict(place, rows)
            sums += factor * np.expm1(mean - aim.boldness * deviation)
        peaks = {}
        for aggregate in aim.peaks:
            mean, deviation = self.surrogates[aggregate].predict(place, rows)
            peaks[aggregate] = np.expm1(mean + self.settings.caution * deviation)
        return sums, peaks

    def _beam(
        self,
        contexts: Contexts,
        near: range,
        candidates: Sequence[_Candidates],
        floor: Sequence[float],
        aim: Aim,
    ) -> tuple[int, ...]:
        """Searches for the best candidate of each layer; returns their numbers."""
        own = self.profiles.slots.own
        factors = np.array(list(aim.peaks.values()))
        # A state: the choices so far, what the layers before the last cost, and their peaks.
        states: list[tuple[int, ...]] = [(i,) for i in range(len(candidates[0].choices))]
        costs = np.zeros(len(states))
        peaks = np.tile(np.array(floor), (len(states), 1))
        for at, place in enumerate(near):
            ahead = candidates[at + 1] if at + 1 < len(candidates) else None
            count = len(ahead.choices) if ahead else 1
            rows = np.repeat(contexts[place][None, :], len(states) * count, axis=0)
            last = np.repeat([state[-1] for state in states], count)
            rows[:, :own] = candidates[at].rows[last]
            for block, step in enumerate(self.profiles.slots.blocks):
                here = slice(block * own, (block + 1) * own)
                if step < 0 <= at + step:
                    before = np.repeat([state[step - 1] for state in states], count)
                    rows[:, here] = candidates[at + step].rows[before]
                elif step == 1 and ahead:
                    rows[:, here] = np.tile(ahead.rows, (len(states), 1))
            sums, seen = self._predict(place, rows, aim)
            total = np.repeat(costs, count) + sums
            highest = np.repeat(peaks, count, axis=0)
            for column, peak in enumerate(seen.values()):
                highest[:, column] = np.maximum(highest[:, column], peak)
            score = total + highest @ factors
            if ahead:
                score = score + np.tile(ahead.estimates, len(states))
            kept = self._keep(score, last, count)
            states = [(*states[i // count], i % count) if ahead else states[i] for i in kept]
            costs, peaks = total[kept], highest[kept]
        return states[0]

    def _keep(self, score: Floats, last: Contexts, count: int) -> list[int]:
        """Picks the best states, of each pair of last choices only one."""
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
