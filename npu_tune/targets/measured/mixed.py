"""Which layers may be in int8 where the outputs have to keep some signal to noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

DECIBELS = (40, 35, 30, 25, 20)
"""From hardly any loss to what classifiers just bear."""

_ATTEMPTS = 8
_NEAR_DB = 0.3
"""Closer to what is asked for, another layer seldom fits."""
_MARGIN_DB = 0.05
"""What a sum of noises is lowered by beyond what it was short of, so that it ends."""

Verify = Callable[[Sequence[str]], float]
"""Signal to noise with some layers in int8, in decibels; not a number where outputs are none."""


def mixtures(
    noise: Mapping[str, float], work: Mapping[str, float], verify: Verify
) -> Iterator[tuple[str, Sequence[str]]]:
    """Finds, for some decibels, as many layers as may be in int8.

    Rounding errors that know nothing of one another add up. So the sum of what each layer adds
    alone says how many may be taken; what comes of it is run, and fewer or more are taken then.
    Two orders are tried: by noise per multiply-accumulate, and from the last layer on, which needs
    one conversion only and leaves out the first layers, whose noise all others pass on.

    Args:
        noise: of each layer alone, relative to the signal; in execution order.
        work: multiply-accumulates by layer.
        verify: runs a mixture.

    Yields:
        A label and names of layers, each mixture once.
    """
    cheap = sorted(noise, key=lambda name: noise[name] / max(work[name], 1.0))
    known: set[frozenset[str]] = set()
    for decibels in DECIBELS:
        for label, order, gaps in (("", cheap, True), (" from the end", [*noise][::-1], False)):
            taken = _most(order, noise, decibels, verify, gaps=gaps)
            if taken and frozenset(taken) not in known:
                known.add(frozenset(taken))
                yield f"int8 for {decibels} dB{label}", taken


def _most(
    order: Sequence[str],
    noise: Mapping[str, float],
    decibels: float,
    verify: Verify,
    *,
    gaps: bool,
) -> Sequence[str]:
    """The most layers with which the outputs were seen to keep so many decibels."""
    most, best = 10 ** (-decibels / 10), list[str]()
    seen: set[int] = set()
    for _ in range(_ATTEMPTS):
        taken = _within(order, noise, most, gaps=gaps)
        if not taken or len(taken) in seen:
            return best
        seen.add(len(taken))
        found = verify(taken)
        spare = -10.0 if math.isnan(found) else max(found - decibels, -10.0)
        if spare >= 0:
            best = max(best, taken, key=len)
            if spare <= _NEAR_DB:
                return best
        most *= 10 ** ((spare if spare > 0 else spare - _MARGIN_DB) / 10)
    return best


def _within(
    order: Sequence[str], noise: Mapping[str, float], most: float, *, gaps: bool
) -> list[str]:
    """The first layers whose noise adds up to no more; with gaps, without those too noisy."""
    taken, total = list[str](), 0.0
    for name in order:
        if total + noise[name] <= most:
            taken.append(name)
            total += noise[name]
        elif not gaps:
            break
    return taken
