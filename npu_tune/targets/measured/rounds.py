"""Times two networks in turns, until their ratio is known well enough.

Absolute times drift by half within minutes on a shared machine; the ratio of two networks that
are timed in turns does not. A round runs each of them several times: the first run after a switch
finds the other's data in the caches and is dropped, and of the others the least counts, as
whatever disturbs a run makes it longer. The candidate always comes first, so that every block of
runs follows one of the other network: with the order reversed in every other round, blocks that
follow one of their own network find warmer caches and are 1 to 2.5 % faster.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Run = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True)
class RoundSettings:
    """How long is measured.

    Args:
        timed: runs of each network in a round whose times count; for the same number of runs,
            many short rounds give a ratio that varies less than few long ones, as what disturbs
            both networks changes between their runs.
        least: rounds; fewer give a median absolute deviation that is too low by chance too often.
        most: rounds; the spread falls with their square root only.
        enough: standard error of the ratio at which measuring ends; 2 %, below which a network
            against itself should stay, is three of them.
        seconds: after which measuring ends once the least rounds are done.
        outlier: deviations, as the median of them, beyond which a round is repeated: beyond what
            chance does once in 1,500 rounds.
        calm: times the reference's usual time, up to which the processor is the network's alone.
        attempts: measurements, of which all but the first are made where it is not.
    """

    timed: int = 2
    least: int = 12
    most: int = 40
    enough: float = 0.006
    seconds: float = 10.0
    outlier: float = 5.0
    calm: float = 1.05
    attempts: int = 4


@dataclass(frozen=True)
class Timing:
    """What the rounds found.

    Args:
        ratio: of the candidate's time to the reference's.
        spread: relative standard error of the ratio.
        candidate_s: median over the rounds of the candidate's least time.
        reference_s: the same of the reference.
        rounds: that were kept.
        wall_share: wall time by the clock's; well above 1 where others held the processor.
    """

    ratio: float
    spread: float
    candidate_s: float
    reference_s: float
    rounds: int
    wall_share: float


class UsualTime:
    """What the reference usually takes, by the latest measurements.

    Their lower quartile: a neighbour that comes and goes does not raise it, and a machine that has
    become slower for good does within a dozen measurements.
    """

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=16)

    def add(self, seconds: float) -> None:
        """Takes a measurement into account."""
        self._latest.append(seconds)

    @property
    def seconds(self) -> float:
        """Infinite before the first measurement."""
        return float(np.quantile(self._latest, 0.25)) if self._latest else math.inf


def time_when_calm(
    candidate: Run,
    reference: Run,
    *,
    clock: Clock,
    settings: RoundSettings = RoundSettings(),
    usual_s: float,
) -> Timing:
    """Times a candidate against a reference, again while the reference takes longer than usual.

    What a neighbour takes from a core that is shared with it - another guest of the host, say -
    differs between networks: int8 was seen 1.5 times slower while float was 1.3 times, for seconds.
    So the measurement counts in which the reference was fastest.

    Args:
        candidate: runs once.
        reference: runs once.
        clock: seconds.
        settings: how long, and what is calm.
        usual_s: what the reference usually takes; infinite where nobody knows.
    """
    best = time_in_turns(candidate, reference, clock=clock, settings=settings)
    for _ in range(settings.attempts - 1):
        if best.reference_s <= settings.calm * usual_s:
            break
        again = time_in_turns(candidate, reference, clock=clock, settings=settings)
        best = min(best, again, key=lambda timing: timing.reference_s)
    return best


def time_in_turns(
    candidate: Run, reference: Run, *, clock: Clock, settings: RoundSettings = RoundSettings()
) -> Timing:
    """Times a candidate against a reference.

    Args:
        candidate: runs once.
        reference: runs once.
        clock: seconds; :func:`time.thread_time` leaves out what others do on the processor.
        settings: how long.
    """
    started_wall, started = time.perf_counter(), clock()
    pairs: list[tuple[float, float]] = []
    repeated = 0
    while len(pairs) < settings.most:
        ours = _least(candidate, clock, settings.timed)
        pairs.append((ours, _least(reference, clock, settings.timed)))
        if len(pairs) < settings.least:
            continue
        ratios = _ratios(pairs)
        odd = _outlier(ratios, settings.outlier)
        if odd is not None and repeated < settings.least:
            del pairs[odd]
            repeated += 1
            continue
        late = time.perf_counter() - started_wall > settings.seconds
        if standard_error(ratios) <= settings.enough or late:
            break
    ratios = _ratios(pairs)
    median = float(np.median(ratios))
    times = np.array(pairs)
    used, passed = clock() - started, time.perf_counter() - started_wall
    return Timing(
        ratio=median,
        spread=standard_error(ratios),
        candidate_s=float(np.median(times[:, 0])),
        reference_s=float(np.median(times[:, 1])),
        rounds=len(pairs),
        wall_share=passed / used if used > 0 else 1.0,
    )


def standard_error(ratios: NDArray[np.float64]) -> float:
    """Relative standard error of the median of ratios, from their median absolute deviation.

    Of normal values the deviation is 1.4826 times that median, and the error of a median sqrt(pi/2)
    times that of a mean.
    """
    median = float(np.median(ratios))
    deviation = 1.4826 * float(np.median(np.abs(ratios - median)))
    return math.sqrt(math.pi / 2) * deviation / math.sqrt(len(ratios)) / median


def _least(run: Run, clock: Clock, timed: int) -> float:
    run()
    least = math.inf
    for _ in range(timed):
        start = clock()
        run()
        least = min(least, clock() - start)
    return least


def _ratios(pairs: list[tuple[float, float]]) -> NDArray[np.float64]:
    both = np.array(pairs)
    return np.asarray(both[:, 0] / both[:, 1])


def _outlier(ratios: NDArray[np.float64], limit: float) -> int | None:
    """The round furthest from the median, if that is beyond the limit."""
    away = np.abs(ratios - np.median(ratios))
    typical = 1.4826 * float(np.median(away))
    furthest = int(np.argmax(away))
    # Where rounds are all but equal, a thousandth is no outlier.
    beyond = away[furthest] > limit * max(typical, 1e-3 * float(np.median(ratios)))
    return furthest if beyond else None
