"""Times a network and references in turns, until the ratio of times is known well enough.

Absolute times drift by half within minutes on a shared machine; the ratio of networks that are
timed in turns does so far less. A round runs each of them several times: the first run after a
switch finds the other's data in the caches and is dropped, and of the others the least counts, as
whatever disturbs a run makes it longer. The candidate always comes first, so that every block of
runs follows one of another network: with the order reversed in every other round, blocks that
follow one of their own network find warmer caches and are 1 to 2.5 % faster.

A core that is shared with another guest of the host has two states, and changes between them
after milliseconds or only after minutes; in the slow one int8 takes 1.5 times as long and float
1.3 times. Of a network's rounds the lower quintile therefore counts, which is a time of the fast
state as long as a third of the rounds have seen that, and where none have, all is timed again.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Run = Callable[[], object]
Clock = Callable[[], float]

_QUANTILE = 0.2
"""Of the rounds: lower ones hang on single rounds, higher ones mix both states of a core."""

_LOOK_EVERY = 4
"""Rounds between two looks at the standard error, which takes as long as a small network."""


@dataclass(frozen=True)
class RoundSettings:
    """How long is measured.

    Args:
        timed: runs of each network in a round whose times count; for the same number of runs,
            many short rounds give a ratio that varies less than few long ones, as what disturbs
            all networks changes between their runs.
        least: rounds; fewer have too often no round in the fast state.
        fewest: rounds of networks that take so long that the seconds are over before.
        most: rounds; the spread falls with their square root only.
        enough: standard error of the ratio at which measuring ends; 2 %, below which a network
            against itself should stay, is four of them.
        seconds: after which measuring ends once the fewest rounds are done.
        calm: times a reference's usual time, and the ratio's uncertainty, up to which the core is
            the network's alone.
        patience: seconds that may be spent waiting for that. Waiting uses them up, and what
            measuring takes is added to them again.
        waiting: times what measuring took, that may be waited for one measurement.
    """

    timed: int = 2
    least: int = 16
    fewest: int = 5
    most: int = 48
    enough: float = 0.005
    seconds: float = 10.0
    calm: float = 1.05
    patience: float = 20.0
    waiting: float = 10.0


@dataclass(frozen=True)
class Timing:
    """What the rounds found; times of networks are lower quintiles over the rounds.

    Args:
        ratio: of the candidate's time to the first reference's.
        spread: relative standard error of the ratio.
        candidate_s: the candidate's time.
        references_s: those of the references.
        rounds: that were made.
        wall_share: wall time by the clock's; well above 1 where others held the processor.
        measured_s: by the clock, without waiting.
        waited_s: by the clock, until the core was the network's alone.
    """

    ratio: float
    spread: float
    candidate_s: float
    references_s: tuple[float, ...]
    rounds: int
    wall_share: float
    measured_s: float = 0.0
    waited_s: float = 0.0


class UsualTimes:
    """What the references usually take, by the latest measurements.

    Args:
        calm: times that, up to which a measurement tells how references compare.
    """

    def __init__(self, calm: float = RoundSettings.calm) -> None:
        self._calm = calm
        self._latest: deque[tuple[float, ...]] = deque(maxlen=64)

    def add(self, seconds: Sequence[float]) -> None:
        """Takes a measurement into account."""
        self._latest.append(tuple(seconds))

    def clear(self) -> None:
        """Forgets all measurements."""
        self._latest.clear()

    @property
    def seconds(self) -> tuple[float, ...]:
        """One time per reference; none before the first measurement.

        The lower decile: a neighbour that is seldom away does not raise it, and a machine that has
        become slower for good does in the end.
        """
        if not self._latest:
            return ()
        lower = np.quantile(self._latest, 0.1, axis=0, method="lower")
        return tuple(float(each) for each in lower)

    def drift(self, seconds: Sequence[float]) -> float:
        """By how much longer the second reference took than usual, relative to the first.

        Args:
            seconds: of one measurement, which was added; of one reference for 1.
        """
        if len(seconds) < 2:
            return 1.0
        usual = self.seconds
        calm = [each for each in self._latest if _slowness(each, usual) <= self._calm]
        ratios = [each[1] / each[0] for each in calm or self._latest]
        return float(seconds[1] / seconds[0] / np.median(ratios))


def time_when_calm(
    candidate: Run,
    references: Sequence[Run],
    *,
    clock: Clock,
    settings: RoundSettings = RoundSettings(),
    usual_s: Sequence[float] = (),
    patience_s: float = math.inf,
) -> Timing:
    """Times a candidate against references, again while these take longer than usual.

    The measurement counts in which they were fastest, and the ratio steadiest.

    Args:
        candidate: runs once.
        references: each runs once.
        clock: seconds.
        settings: how long, and what is calm.
        usual_s: what the references usually take; empty where nobody knows.
        patience_s: by the clock, after which what was found has to do.
    """
    best = time_in_turns(candidate, references, clock=clock, settings=settings)
    if not usual_s:
        return best
    measured, waited, started = best.measured_s, 0.0, clock()
    longest = min(patience_s, settings.waiting * measured)
    while _unrest(best, usual_s) > settings.calm and waited < longest:
        again = time_in_turns(candidate, references, clock=clock, settings=settings)
        best = min(best, again, key=lambda timing: _unrest(timing, usual_s))
        waited = clock() - started
    return replace(best, measured_s=measured, waited_s=waited)


def time_in_turns(
    candidate: Run,
    references: Sequence[Run],
    *,
    clock: Clock,
    settings: RoundSettings = RoundSettings(),
) -> Timing:
    """Times a candidate against references.

    Args:
        candidate: runs once.
        references: each runs once; the ratio is that to the first.
        clock: seconds; :func:`time.thread_time` leaves out what others do on the processor.
        settings: how long.
    """
    started_wall, started = time.perf_counter(), clock()
    networks = (candidate, *references)
    rounds: list[list[float]] = []
    while True:
        rounds.append([_least(run, clock, settings.timed) for run in networks])
        beyond = len(rounds) - settings.least
        late = time.perf_counter() - started_wall > settings.seconds
        is_last = len(rounds) >= settings.most or (
            late and len(rounds) >= min(settings.fewest, settings.least)
        )
        if is_last or (beyond >= 0 and beyond % _LOOK_EVERY == 0):
            spread = standard_error(np.array(rounds)[:, :2])
            if is_last or spread <= settings.enough:
                break
    times = lower_quintiles(np.array(rounds))
    used, passed = clock() - started, time.perf_counter() - started_wall
    return Timing(
        ratio=float(times[0] / times[1]),
        spread=spread,
        candidate_s=float(times[0]),
        references_s=tuple(float(each) for each in times[1:]),
        rounds=len(rounds),
        wall_share=passed / used if used > 0 else 1.0,
        measured_s=used,
    )


def lower_quintiles(rounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The time of each network that counts.

    Args:
        rounds: times, of shape (..., rounds, networks).
    """
    return np.asarray(np.quantile(rounds, _QUANTILE, axis=-2))


def standard_error(rounds: NDArray[np.float64], *, resamples: int = 100) -> float:
    """Relative standard error of the ratio of two networks' lower quintiles, by the bootstrap.

    Args:
        rounds: times, of shape (rounds, 2).
        resamples: of as many rounds.
    """
    drawn = np.random.default_rng(0).integers(len(rounds), size=(resamples, len(rounds)))
    times = lower_quintiles(rounds[drawn])
    ratios = times[:, 0] / times[:, 1]
    return float(ratios.std(ddof=1) / ratios.mean())


def _unrest(timing: Timing, usual_s: Sequence[float]) -> float:
    """How many times longer than usual the references took, times how uncertain the ratio is."""
    return _slowness(timing.references_s, usual_s) * (1.0 + timing.spread)


def _slowness(seconds: Sequence[float], usual_s: Sequence[float]) -> float:
    """How many times longer than usual references took, the one that suffered most."""
    return max(now / usual for now, usual in zip(seconds, usual_s, strict=True))


def _least(run: Run, clock: Clock, timed: int) -> float:
    run()
    least = math.inf
    for _ in range(timed):
        start = clock()
        run()
        least = min(least, clock() - start)
    return least
