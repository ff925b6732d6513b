"""The tuned numbers of random changes and of the layer-wise search.

They are no arguments of a sampler, as nobody should have to set them; an ablation passes its own.
Where a field names no experiment, its value was chosen by judgement and not varied.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from npu_tune.samplers.checks import check_fields, check_share


@dataclass(frozen=True)
class StepSettings:
    """How points are changed at random, in all samplers."""

    whole_run_share: float = 0.1
    """Share of the changes along several layers that go through the whole network."""

    run_decay: float = 0.35
    """Parameter of the geometric distribution of how many further layers the others reach."""

    neighbour_share: float = 0.7
    """Share of the changes of an ordered parameter that go to a value nearby, not to any."""

    nearness: float = 0.7
    """Parameter of the geometric distribution of how many values away that is."""

    def __post_init__(self) -> None:
        check_fields(
            self,
            shares=("whole_run_share", "neighbour_share"),
            rates=("run_decay", "nearness"),
        )


@dataclass(frozen=True)
class LayerwiseSettings:
    """Tuned numbers of :class:`~npu_tune.samplers.LayerwiseSampler`."""

    reach: float = 0.08
    """Length over which an observation tells something along an ordered parameter, as a share of
    its range."""

    other_value_weight: float = 0.25
    """Weight of an observation for another value of an unordered parameter."""

    prior_weight: float = 0.3
    """Weight of the layer's mean effect against the observations nearby."""

    all_choices: int = 256
    """A layer with at most so many choices is considered whole, one with more by a subset."""

    spread_values: int = 24
    """Number of values of a long ordered parameter that are considered, beside the near ones."""

    combinations: int = 48
    """Number of random combinations of a large layer's parameters that are considered."""

    combination_penalty: float = 0.2
    """Added to a choice's bound per parameter changed beyond the first, in standard deviations of
    the layer's effects: single changes come first."""

    tie_breaking: float = 0.05
    """Largest random addition to a choice's bound, in the same unit: seeded order of equals."""

    rank_decay: float = 0.6
    """Parameter of the geometric distribution of the rank of the solution that is built upon."""

    pair_distance_decay: float = 0.6
    """The same of the distance between two layers that are changed together: a peak may be held
    by two that are far apart."""

    pair_rank_decay: float = 0.3
    """The same of the rank of the choices that these two get."""

    composed_layers: int = 12
    """Number of layers whose gains are joined in one proposal, at most."""

    crossed_trials: int = 40
    """Number of best trials from which a stretch of layers may be taken over."""

    run_share: float = 0.15
    """Share of the trials after the first sweep that set one parameter of several neighbouring
    layers alike."""

    pair_share: float = 0.05
    """Share of those trials that change two layers together."""

    compose_share: float = 0.05
    """Share of those trials that make several changes at once that each were a gain elsewhere."""

    cross_share: float = 0.05
    """Share of those trials that take over a stretch of layers from another good trial."""

    patience: float = 1.3
    """Relative growth of these shares by when a whole sweep has brought no gain."""

    choices_per_parameter: int = 2
    """Choices of a layer that a sweep tries, per parameter with several values. 4 and 40 per layer
    were worse at small budgets, see docs/samplers.md."""

    first_share: float = 0.08
    """Share of a sweep's trials that the first one has where profiles tell which layers matter."""

    sweep_share: float = 0.5
    """Share of the trials that set one parameter alike in all layers, until each of its values was
    tried, where profiles tell what that does to every layer."""

    least_layer_weight: float = 0.3
    """Least share of later sweeps, relative to the mean, of a layer that matters little."""

    most_layer_weight: float = 3.0
    """Largest share of later sweeps, relative to the mean, of a layer that matters much."""

    refresh_share: float = 0.02
    """Share of the trials under way of which so many must have told more of a layer before its
    choices are compared anew; with less than a hundred under way, one is enough."""

    scatter_attempts: int = 20
    """Number of random changes that are tried, of more layers each time, before a random point."""

    steps: StepSettings = field(default_factory=StepSettings)

    def __post_init__(self) -> None:
        check_fields(
            self,
            shares=(
                *("run_share", "pair_share", "compose_share", "cross_share", "sweep_share"),
                "refresh_share",
            ),
            rates=("first_share", "reach", "rank_decay", "pair_distance_decay", "pair_rank_decay"),
            counts=(
                "all_choices",
                "spread_values",
                "composed_layers",
                "crossed_trials",
                "choices_per_parameter",
                "scatter_attempts",
            ),
        )
        check_share("other_value_weight", self.other_value_weight, most=1.0)
        check_share("prior_weight", self.prior_weight, above=0.0)
        check_share("patience", self.patience)
        check_share("least_layer_weight", self.least_layer_weight, above=0.0)
        check_share("most_layer_weight", self.most_layer_weight, above=self.least_layer_weight)
        total = self.run_share + self.pair_share + self.compose_share + self.cross_share
        if total > 1.0:
            raise ValueError(f"The shares of moves of several layers add up to {total:g}.")
