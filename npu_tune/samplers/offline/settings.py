"""The tuned numbers of the offline search."""

from __future__ import annotations

from dataclasses import dataclass, field

from npu_tune.samplers.checks import check_fields, check_share
from npu_tune.samplers.profile.settings import LayerProfileSettings


@dataclass(frozen=True)
class OfflineSettings:
    """Tuned numbers of :class:`~npu_tune.samplers.OfflineQLearningSampler`."""

    most_choices: int = 32
    """Number of choices of a layer up to which all are profiled; of more only single changes."""

    positions: int = 4
    """Number of values, evenly spaced, of a parameter that are profiled of such a layer."""

    profiling_share: float = 0.3
    """Share of the evaluations that profiling may take."""

    network_after: int = 4
    """Number of verified trials after which network-wide parameters are tried."""

    own_share: float = 0.2
    """Prior variance of what is a single choice's alone, relative to what like ones share."""

    pair_variance: float = 0.3
    """Prior variance of what a pair of neighbours costs, relative to a layer's mean cost."""

    least_noise: float = 0.01
    """Least relative standard deviation that a row of a profile is taken to have."""

    row_noise: float = 5.0
    """Noise of a single row relative to that of the total."""

    total_spread: float = 0.5
    """Prior standard deviation of what totals say of a choice beyond the rows, relative to a
    layer's mean cost. Simulated after squeezenet-96 on a CPU with a limit on the noise, the
    medians after 150 evaluations were 0.530 without, 0.496, 0.488 and 0.472 with 0.1, 0.2 and
    0.5 (6 seeds)."""

    total_noise: float = 2.0
    """Noise of a total, of which limits tell some, relative to that of a trial's values."""

    most_shared: int = 128
    """Number of unlike choices in the network up to which layers learn from one another."""

    batch: int = 50
    """Number of episodes that walk side by side between updates of the table."""

    cautions: tuple[float, ...] = (0.5, 0.0, 1.0)
    """By so many standard deviations below the limit verified configurations are predicted to
    stay, in turns."""

    perturbation: float = 0.05
    """Relative standard deviation by which costs are varied to find the next best configuration;
    each attempt adds as much."""

    unseen: float = 4.0
    """Factor by which costs of pairs that were never seen are varied more."""

    drawn_choices: int = 24
    """Number of choices of a layer that are made of the values of observed ones, where there are
    others than these."""

    new_share: float = 0.5
    """Share of the layers that get a choice like the best one, in every other trial that looks for
    choices nobody thought of, where the best configuration is known."""

    attempts: int = 8
    """Number of such variations that are tried where the configuration is known."""

    peak_limits: int = 10
    """Number of limits on a peak under which the least sum is looked for."""

    profile: LayerProfileSettings = field(default_factory=LayerProfileSettings)
    """How scores follow from profiles, and moves where there are none."""

    def __post_init__(self) -> None:
        check_fields(
            self,
            shares=("profiling_share", "new_share"),
            rates=("own_share", "pair_variance", "least_noise"),
            counts=(
                *("most_choices", "positions", "network_after", "most_shared", "batch"),
                *("attempts", "peak_limits", "drawn_choices"),
            ),
        )
        for name in ("row_noise", "total_spread", "perturbation", "unseen"):
            check_share(name, getattr(self, name))
        check_share("total_noise", self.total_noise, above=0.0)
        if not self.cautions:
            raise ValueError("`cautions` must hold at least one number.")
