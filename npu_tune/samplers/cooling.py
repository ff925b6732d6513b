"""The temperature of an annealing chain, by its progress and by what it has accepted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from npu_tune.samplers.checks import check_fields, check_share
from npu_tune.samplers.settings import StepSettings


@dataclass(frozen=True)
class AnnealingSettings:
    """Tuned numbers of :class:`~npu_tune.samplers.SimulatedAnnealingSampler`."""

    attempts: int = 20
    """Number of moves that are tried, with more changes each time, before a random point."""

    front_chains: int = 6
    """Least number of chains where several objectives are to be traded off."""

    observed_changes: int = 200
    """Number of changes of the cost whose median decides on the initial temperature."""

    heat: float = 0.1
    """Initial temperature as a share of that median. 0.3, 1 and 3 were worse at 1000 evaluations,
    0 was as good, see docs/samplers.md."""

    final_heat: float = 0.01
    """Share of the initial temperature left at the horizon, where no cooling rate is given."""

    final_acceptance: float = 0.01
    """Share of worse proposals that the adaptive schedule still accepts at the horizon."""

    adaption: float = 0.9
    """Factor by which the adaptive schedule corrects the temperature at each worse proposal."""

    memory: float = 0.05
    """Weight of one worse proposal in the share of those accepted lately."""

    steps: StepSettings = field(default_factory=StepSettings)

    def __post_init__(self) -> None:
        check_fields(
            self,
            shares=("memory",),
            rates=("final_heat", "final_acceptance", "adaption"),
            counts=("attempts", "front_chains", "observed_changes"),
        )
        check_share("heat", self.heat)


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
        settings: tuned numbers.
    """

    kind: Literal["geometric", "adaptive"]
    initial_temperature: float | None
    cooling_rate: float | None
    acceptance: float
    evaluations: int
    restarts: int
    settings: AnnealingSettings

    @property
    def is_corrected(self) -> bool:
        """Whether the temperature follows what chains have accepted."""
        return self.kind == "adaptive"

    def period(self, evaluations: int) -> int:
        """Number of times that chains have gone back to the best after so many evaluations."""
        return evaluations * (self.restarts + 1) // self.evaluations

    def start(self, median_change: float) -> float:
        """The temperature at the start, given how much proposals change the cost."""
        given = self.initial_temperature
        return self.settings.heat * median_change if given is None else given

    def temperature(self, evaluations: int, start: float, corrected: float) -> float:
        """The temperature after so many evaluations.

        Args:
            evaluations: done so far.
            start: the temperature at the start.
            corrected: the factor that the adaptive schedule has arrived at.
        """
        if self.is_corrected:
            return start * corrected
        done = evaluations % self.evaluations
        rate = self.cooling_rate
        if rate is None:
            left: float = self.settings.final_heat ** (done / self.evaluations)
            return start * left
        return start * rate**done

    def correction(self, evaluations: int, accepted: float) -> float:
        """The factor by which the adaptive schedule corrects the temperature.

        Args:
            evaluations: done so far.
            accepted: the share of worse proposals that were accepted lately.
        """
        progress = evaluations % self.evaluations / self.evaluations
        target = self.acceptance * (self.settings.final_acceptance / self.acceptance) ** progress
        adaption = self.settings.adaption
        return adaption if accepted > target else 1.0 / adaption


def is_accepted(change: float, temperature: float, draw: float) -> bool:
    """The criterion of Metropolis et al. (1953) for a change of the cost; lower is better."""
    if change <= 0:
        return True
    return temperature > 0 and draw < math.exp(-change / temperature)
