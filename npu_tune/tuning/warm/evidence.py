"""What a study's own trials tell of changes of single layers of its best configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from npu_tune.tuning.trial import TrialRecord
from npu_tune.tuning.warm.choices import Choice, ChoiceReader
from npu_tune.tuning.warm.rows import Floats, RowWeights


@dataclass(frozen=True)
class SeenTrial:
    """A trial that has a profile.

    Args:
        trial: the trial.
        rows: of its profile.
        runs: by place, those that ran together with it.
        network: what it chose for the whole network.
        choices: by place.
    """

    trial: TrialRecord
    rows: Floats
    runs: Sequence[range]
    network: Choice
    choices: Sequence[Choice]


def known_changes(
    best: SeenTrial, trials: Iterable[SeenTrial], weights: RowWeights, choices: ChoiceReader
) -> dict[tuple[int, Choice], tuple[float, bool]]:
    """By place and choice, what it adds to the cost of the best, and whether that is sure.

    The latest trial tells it in which the layer has that choice, while those beside it and the
    network have theirs of the best. What rises in all layers alike is shared out where all changes
    are of one kind; where they are not, it is left out, and what is told is not sure.

    Args:
        best: the best trial.
        trials: of the study, in order.
        weights: of rows.
        choices: of the layers.
    """
    found: dict[tuple[int, Choice], tuple[float, bool]] = {}
    cost = best.trial.cost or 0.0
    for seen in trials:
        if seen.network != best.network or seen is best:
            continue
        pairs = zip(seen.choices, best.choices, strict=True)
        differs = [place for place, (one, other) in enumerate(pairs) if one != other]
        others = set(differs)
        if not any(at - 1 not in others and at + 1 not in others for at in differs):
            continue
        kinds = {choices.kind(at, best.choices[at], seen.choices[at]) for at in differs}
        rise = weights.rise(best.rows, seen.rows) if weights.peak else 0.0
        share = weights.peak * rise / len(differs) if len(kinds) == 1 else 0.0
        is_sure = len(kinds) == 1 or weights.peak * rise <= _SLIGHT * cost
        for place in differs:
            if place - 1 not in others and place + 1 not in others:
                places = _touched(place, others, best, seen)
                change = weights.change(best.rows, seen.rows, places, rise) + share
                found[place, seen.choices[place]] = change, is_sure
    return found


_SLIGHT = 1e-4
"""Share of the cost up to which a rise in all layers is passed over."""


def _touched(place: int, others: AbstractSet[int], best: SeenTrial, seen: SeenTrial) -> list[int]:
    """The layers whose rows tell what a change did: what ran together, and those beside it.

    A layer that lies between two that changed tells of neither.
    """
    beside = {
        at
        for at, beyond in ((place - 1, place - 2), (place + 1, place + 2))
        if 0 <= at < len(best.rows) and beyond not in others
    }
    return sorted({*best.runs[place], *seen.runs[place], *beside})
