"""Which layer of one network is most like which of another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from npu_tune.tuning.warm.traits import LayerTraits

_POSITION = 2.0
"""What the whole length of a network weighs, beside a factor of 2 in one size: of layers that are
alike in shape the one at the same place is taken, and a place decides nothing else."""


_KIN = 3
"""How many layers there have a say about one here."""

_FAR = 8.0
"""Distance from which on they have none: a factor of 256 in one size, or of 4 in four."""


@dataclass(frozen=True)
class Match:
    """The layers of a network, and which of another one stands for each.

    Args:
        of: name of the layer there, by name of the layer here.
        exact: how many of them have equal shapes.
        layers: how many layers there are here.
        kin: by name of the layer here, several that are like it, the most alike first, each with
            how much it is so, from 1 for the same down to 0.
    """

    of: Mapping[str, str]
    exact: int
    layers: int
    kin: Mapping[str, Sequence[tuple[str, float]]] = field(default_factory=dict)

    @classmethod
    def of_same(cls, names: Iterable[str], layers: int) -> Match:
        """Each layer stands for itself.

        Args:
            names: of those that both have.
            layers: how many there are here.
        """
        own = {name: name for name in names}
        return cls(own, len(own), layers, {name: ((name, 1.0),) for name in own})


def match_layers(here: Mapping[str, LayerTraits], there: Mapping[str, LayerTraits]) -> Match:
    """Finds for each layer the one of the same sort of operator that is most like it.

    That is one of equal shapes, if there is one; else the one whose sizes differ least. Of equally
    good ones it is the one nearest in relative position. A layer of a sort that is not there, or
    that the target made itself under a name that is not there, has none.

    Args:
        here: traits by name, of the network to be searched.
        there: of the network that something is known of.
    """
    found: dict[str, str] = {}
    kin: dict[str, list[tuple[str, float]]] = {}
    exact = 0
    for name, traits in here.items():
        if not traits.sort:
            if name in there and not there[name].sort:
                found[name] = name
                kin[name] = [(name, 1.0)]
            continue
        distances = {
            other: _distance(traits, each)
            for other, each in there.items()
            if each.sort == traits.sort
        }
        if not distances:
            continue
        order = sorted(distances, key=distances.__getitem__)
        best = order[0]
        found[name] = best
        kin[name] = [(o, 2.0 ** -distances[o]) for o in order[:_KIN] if distances[o] < _FAR]
        exact += is_alike(traits, there[best])
    return Match(found, exact, len(here), kin)


def is_alike(one: LayerTraits, other: LayerTraits) -> bool:
    """Whether two layers have the same operator and shapes."""
    return (one.sort, one.sizes, one.weights) == (other.sort, other.sizes, other.weights)


def _distance(one: LayerTraits, other: LayerTraits) -> float:
    pairs = [
        *zip(one.sizes, other.sizes, strict=True),
        # From the largest dimension on; what one of them has more is a factor of its own.
        *zip_longest(reversed(one.weights), reversed(other.weights), fillvalue=0.0),
    ]
    return sum(abs(a - b) for a, b in pairs) + _POSITION * abs(one.position - other.position)
