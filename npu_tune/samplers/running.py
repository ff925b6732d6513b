"""The points of running trials, and how many of them tell something about one layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import TypeVar

from npu_tune.samplers.layers import Point

Key = TypeVar("Key")


class RunningPoints:
    """The points of running trials; one that comes or goes costs the same however many there are.

    Args:
        finished: per layer, finished trials by a hash of the choices of all other layers.

    Attributes:
        alike: per layer, how many running trials differ from a finished one in this layer alone.
    """

    def __init__(self, finished: Sequence[Container[int]]) -> None:
        self._finished = finished
        self.alike = [0] * len(finished)
        self._of_number: dict[int, tuple[Point, list[int]]] = {}
        self._times: Counter[Point] = Counter()
        self._refused: set[Point] = set()
        # Per layer: how many running trials have these choices in all other layers.
        self._others: list[Counter[int]] = [Counter() for _ in finished]

    def __len__(self) -> int:
        return len(self._of_number)

    def __contains__(self, point: Point) -> bool:
        return point in self._times or point in self._refused

    def refuse(self, point: Point) -> None:
        """Takes a point for one that runs for ever, and tells nothing about a layer."""
        self._refused.add(point)

    def add(self, number: int, point: Point) -> None:
        """Takes in a trial that runs."""
        hashes = others_of(point)
        self._of_number[number] = point, hashes
        self._times[point] += 1
        for layer, value in enumerate(hashes):
            self._others[layer][value] += 1
            self.alike[layer] += value in self._finished[layer]

    def remove(self, number: int) -> Point | None:
        """Forgets that a trial runs; its point, or None if it was not there."""
        known = self._of_number.pop(number, None)
        if known is None:
            return None
        point, hashes = known
        _take_one(self._times, point)
        for layer, value in enumerate(hashes):
            _take_one(self._others[layer], value)
            self.alike[layer] -= value in self._finished[layer]
        return point

    def remove_all(self, point: Point) -> None:
        """Forgets all trials of a point."""
        if point in self._times:
            numbers = [number for number, known in self._of_number.items() if known[0] == point]
            for number in numbers:
                self.remove(number)

    def count_finished(self, layer: int, value: int) -> None:
        """Takes notice that now a finished trial has these choices in all other layers."""
        self.alike[layer] += self._others[layer][value]


def others_of(point: Point) -> list[int]:
    """Per layer a hash of the choices of all other layers."""
    # Tuples of integers hash alike in every process, unlike strings.
    own = [hash((layer, choice)) for layer, choice in enumerate(point)]
    whole = 0
    for value in own:
        whole ^= value
    return [whole ^ value for value in own]


def _take_one(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
