"""How hot an annealing chain is, by its progress and by what it has accepted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

_HEAT = 0.1
"""The initial temperature as a share of the median change of the cost; found by experiment."""

_FINAL_SHARE = 0.01
"""What is left of the initial temperature at the horizon, where no cooling rate is given."""

_TARGET_END = 0.01
"""The share of worse proposals that the adaptive schedule still accepts at the horizon."""

_ADAPTION = 0.9
"""The factor by which the adaptive schedule corrects the temperature at each worse proposal."""

MEMORY = 0.05
"""What one worse proposal weighs in the share of those accepted lately."""


@dataclass(frozen=True)
class Cooling:
    """A schedule of temperatures.

    Args:
        kind: ``geometric`` falls by a constant factor; ``adaptive`` heats and cools so that the
            share of worse proposals accepted follows a target, which falls by a constant factor.
        initial_temperature: relative to the cost of the first trial; None to go by the changes
            observed.
        cooling_rate: the factor per evaluation; None for a hundredth at the horizon.
        acceptance: the adaptive schedule's target at the start.
        evaluations: the horizon, after which it starts anew.
        restarts: how often until then a chain goes back to the best it knows.
    """

    kind: Literal["geometric", "adaptive"]
    initial_temperature: float | None
    cooling_rate: float | None
    acceptance: float
    evaluations: int
    restarts: int

    def period(self, evaluations: int) -> int:
        """Counts up by one whenever a chain is to go back to the best."""
        return evaluations * (self.restarts + 1) // self.evaluations

    def start(self, median_change: float) -> float:
        """The temperature at the start, given how much proposals change the cost."""
        given = self.initial_temperature
        return _HEAT * median_change if given is None else given

    def temperature(self, evaluations: int, start: float, corrected: float) -> float:
        """The temperature after so many evaluations.

        Args:
            evaluations: done so far.
            start: the temperature at the start.
            corrected: the factor that the adaptive schedule has arrived at.
        """
        if self.kind == "adaptive":
            return start * corrected
        done = evaluations % self.evaluations
        rate = self.cooling_rate
        return start * (_FINAL_SHARE ** (done / self.evaluations) if rate is None else rate**done)

    def correction(self, evaluations: int, accepted: float) -> float:
        """By what the adaptive schedule multiplies the temperature.

        Args:
            evaluations: done so far.
            accepted: the share of worse proposals that were accepted lately.
        """
        progress = evaluations % self.evaluations / self.evaluations
        target = self.acceptance * (_TARGET_END / self.acceptance) ** progress
        return _ADAPTION if accepted > target else 1.0 / _ADAPTION


def is_accepted(change: float, temperature: float, draw: float) -> bool:
    """The criterion of Metropolis et al. (1953) for a change of the cost; lower is better."""
    if change <= 0:
        return True
    return temperature > 0 and draw < math.exp(-change / temperature)
