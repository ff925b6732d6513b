"""The tuned numbers of the sampler that learns from profiles."""

from __future__ import annotations

from dataclasses import dataclass, field

from npu_tune.samplers.checks import check_count, check_fields, check_share
from npu_tune.samplers.settings import LayerwiseSettings, StepSettings


@dataclass(frozen=True)
class LayerProfileSettings:
    """Tuned numbers of :class:`~npu_tune.samplers.LayerProfileSampler`.

    The shares of proposals were chosen on ds-cnn, resnet8, st-mnist and mobilenet-v1-0.25-96; the
    experiments are in docs/samplers.md. Where a field names none, it was chosen by judgement.
    """

    # Which kind of proposal is made.

    sweep_share: float = 0.5
    """Share of the proposals after the first trials that are sweeps, as long as there are new
    ones of the first configuration; the shares below are of the rest. 0.35 and 0.75 did a little
    worse."""

    resweep_share: float = 0.3
    """Share, of that share, of sweeps of the best configuration once there are none of the first
    one. 0 and 0.6 did worse."""

    predicted_share: float = 0.5
    """Share of proposals that are composed of predictions; most others are variations of a
    patchwork of observed runs of layers. 0.2, 0.35 and 0.65 did worse."""

    limited_share: float = 0.75
    """The same under limits on sums of columns, where an offline search composes. Simulated after
    squeezenet-96 on a CPU, costs after 150 evaluations were 0.480 in the mean and 0.486 at most,
    with 0.5 0.489 and 0.511 (6 seeds)."""

    network_share: float = 0.1
    """Share of proposals that change a network-wide parameter alone, and of variations that
    change one too."""

    revert_share: float = 0.4
    """Share of proposals that take changes of a good configuration back to the default once the rest
    has brought no gain for ``revert_patience`` trials. On mobilenet-v1-0.25-96 and ethos-u55-128 such
    proposals end lower after 200 evaluations; from the start on they did a little worse on ds-cnn
    and Neural-ART (3 seeds)."""

    revert_patience: int = 20
    """Number of trials without a gain after which such proposals are made."""

    revert_kinds: tuple[float, float, float] = (0.5, 0.25, 0.25)
    """Shares of what such a proposal takes back: one change, all of a layer, some of one name."""

    direct_share: float = 0.5
    """Share of proposals that are moves of the layer-wise search once the rest has brought no
    gain for ``patience`` trials: those learn from totals, and so see what profiles do not say."""

    patience: int = 80
    """Number of trials without a gain after which such moves are made."""

    elite: int = 4
    """Number of best trials that proposals are built upon."""

    # Sweeps.

    sweep_positions: int = 4
    """Number of values, evenly spaced, of a parameter with more values that are swept."""

    # Variations of a patchwork.

    many_share: float = 0.5
    """Share of variations that change many runs of layers; they teach more than they gain."""

    many_runs: float = 0.7
    """Share of the runs that those change."""

    few_runs: float = 1.5
    """Mean number of runs that the other variations change."""

    variations: int = 30
    """Number of variations that are tried, with more changes each time, where one is known."""

    merge_share: float = 0.4
    """Share of changes that join two neighbouring runs, where it is known what joins layers."""

    kinds: tuple[float, float, float, float] = (0.45, 0.2, 0.2, 0.15)
    """Shares of the other changes: one parameter, two of neighbouring layers, one along several
    layers, choices from elsewhere in the network."""

    along_decay: float = 0.5
    """Parameter of the geometric distribution of how many further layers "along" reaches."""

    sociable_share: float = 0.7
    """Probability that a layer of a merged run takes a choice of its longest run."""

    alike_share: float = 0.5
    """Probability that one parameter of all layers of a merged run is set to first or to random
    values."""

    first_value_share: float = 0.7
    """Probability that these are its first values: the smallest takes least of what is shared."""

    # Patchworks.

    peak_limits: int = 10
    """Number of limits on the peak under which the least sum is looked for."""

    single_limit_share: float = 0.2
    """Probability that only one of them is taken, so that the search looks elsewhere too."""

    least_observations: int = 3
    """Number of observations of a value from which on it may count as what joins layers."""

    refit_share: float = 0.02
    """Share of the trials under way that must have finished before objectives are fitted to
    profiles anew; with less than a hundred under way, one is enough."""

    # Compositions of predictions.

    compositions: int = 4
    """Number of compositions that are tried, more boldly each time, where one is known."""

    composed_running: int = 200
    """Number of trials under way from which on as many are composed as of so many, and no more: a
    composition takes several times as long as any other proposal."""

    ceilings: tuple[float, ...] = (1.0, 1.0, 0.9, 0.75, 0.5, 0.0)
    """One of these shares of the best configuration's peak is where a lower one earns nothing."""

    boldness: tuple[float, ...] = (-1.0, 0.0, 0.5, 1.0, 2.0)
    """One of these numbers of standard deviations is subtracted from predictions of sums."""

    caution: float = 1.0
    """Number of standard deviations added to predictions of peaks: one layer that misses a peak
    spoils the whole."""

    whole_share: float = 0.15
    """Share of compositions that may change all layers, and not only a run of neighbours."""

    whole_trials: int = 100
    """Number of trials over which that share falls from all to there."""

    mean_width: int = 4
    """Mean number of layers in such a run."""

    drawn_values: int = 8
    """A parameter with more values is changed to so many random ones, not to all."""

    drawn_choices: int = 16
    """Number of choices of a layer that are drawn at random."""

    observed_choices: int = 12
    """Number of observed choices of a layer, the cheapest ones, that are considered."""

    varied_choices: int = 3
    """Number of choices of which every single change is considered."""

    kept_choices: int = 4
    """Number of choices of the elite that are kept whatever is predicted of them."""

    episodes: int = 1000
    """Number of episodes of an offline search, which composes configurations under limits on sums
    of columns."""

    # How objectives follow from the profile.

    worthwhile: float = 0.8
    """Largest share of the unexplained that a further column may leave unexplained."""

    exact: float = 1e-4
    """Share of a score's variance that need not be explained."""

    network_pull: float = 0.3
    """Ridge penalty of the effects of network-wide parameters, in trials."""

    # The surrogate model.

    reach: int = 2
    """Distance in layers up to which another layer may influence a layer's cost."""

    grid: int = 12
    """Number of steps into which a long ordered parameter is divided."""

    most_values: int = 128
    """Number of values up to which the model tells each value of an ordered parameter from the
    others; a longer one has a value per end of those steps."""

    most_unlike: int = 400
    """The same for all parameters together: of long ones, each name and length counts by itself."""

    shared_rows: int = 3000
    """Number of observations to which the effects that layers share are fitted, at most."""

    other_prior: float = 0.1
    """Prior variance of effects of other layers and of pairs, relative to a layer's own."""

    ridge_noises: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    """Noise variances that the regression tries, relative to the prior variance of an effect."""

    all_shared: int = 12
    """Number of trials up to which the shared effects are fitted anew for each."""

    shared_growth: float = 0.15
    """Relative growth of the number of trials after which they are fitted anew later."""

    near_rows: int = 96
    """Number of a layer's observations in its Gaussian process: half the best, half the newest."""

    all_near: int = 48
    """Number of a layer's observations up to which each is taken in at once."""

    near_growth: float = 0.1
    """Relative growth of that number after which later ones are taken in."""

    variogram_pairs: int = 4000
    """Number of pairs of observations from which the slots' weights are estimated."""

    own_weight: float = 0.3
    """Weight in the kernel that the estimates for a layer's own parameters start from."""

    other_weight: float = 0.05
    """The same for parameters of other layers and of the network."""

    least_weight: float = 0.001
    """Least weight of one of a layer's own parameters in the kernel."""

    most_weight: float = 2.0
    """Largest weight of a parameter in the kernel."""

    steps: StepSettings = field(default_factory=StepSettings)
    """How variations change single parameters."""

    layerwise: LayerwiseSettings = field(default_factory=LayerwiseSettings)
    """Of the moves of the layer-wise search, and of all proposals where there is no profile."""

    def __post_init__(self) -> None:
        check_fields(
            self,
            shares=(
                *("sweep_share", "resweep_share", "predicted_share", "limited_share"),
                *("network_share", "revert_share"),
                *(
                    "direct_share",
                    "many_share",
                    "many_runs",
                    "merge_share",
                    "sociable_share",
                    "refit_share",
                ),
                *("alike_share", "first_value_share", "single_limit_share", "whole_share"),
                *("worthwhile", "exact"),
            ),
            rates=("along_decay", "other_prior"),
            counts=(
                *(
                    "patience",
                    "revert_patience",
                    "elite",
                    "variations",
                    "peak_limits",
                    "compositions",
                    "composed_running",
                ),
                *("least_observations", "whole_trials", "mean_width", "grid", "shared_rows"),
                *("drawn_values", "most_values", "most_unlike", "near_rows", "all_near"),
                *("all_shared", "variogram_pairs", "episodes"),
            ),
        )
        check_count("reach", self.reach, least=0)
        check_count("sweep_positions", self.sweep_positions, least=2)
        for name in ("few_runs", "caution", "network_pull", "least_weight"):
            check_share(name, getattr(self, name))
        for name in ("shared_growth", "near_growth"):
            check_share(name, getattr(self, name), above=0.0)
        check_share("most_weight", self.most_weight, above=self.least_weight)
        for name in ("predicted_share", "limited_share"):
            if getattr(self, name) + self.network_share > 1.0:
                raise ValueError(f"`{name}` and `network_share` must add up to at most 1.")
        if len(self.kinds) != 4 or min(self.kinds) < 0 or abs(sum(self.kinds) - 1.0) > 1e-9:
            raise ValueError(f"`kinds` must be four shares of 1, but it is {self.kinds!r}.")
        if len(self.revert_kinds) != 3 or abs(sum(self.revert_kinds) - 1.0) > 1e-9:
            raise ValueError(f"`revert_kinds` must be three shares of 1: {self.revert_kinds!r}.")
        for name in ("ceilings", "boldness", "ridge_noises"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must hold at least one number.")
