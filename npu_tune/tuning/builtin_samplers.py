"""The samplers that come with this package: its own, and Optuna's with their strongest settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from npu_tune import samplers
from npu_tune.tuning.genetic import NSGAII, NSGAIII
from npu_tune.tuning.sampler_kind import RequiredModule, SamplerContext, SamplerKind

_GENERATIONS = 20
_POPULATIONS = (10, 50)
"""A population that lets genetic algorithms breed about so often within the budget, in bounds."""

Options = Mapping[str, Any]


def _make_annealing(options: Options, context: SamplerContext) -> BaseSampler:
    known = {**_layered(context), **_budget(context), "noise": context.noise}
    return samplers.SimulatedAnnealingSampler(**{**known, **options}, seed=context.seed)


def _make_layerwise(options: Options, context: SamplerContext) -> BaseSampler:
    known = {**_layered(context), "noise": context.noise}
    if "layer_order" in options:
        known["profile_key"] = None
    return samplers.LayerwiseSampler(**{**known, **options}, seed=context.seed)


def _make_profile(options: Options, context: SamplerContext) -> BaseSampler:
    known = {
        **_layered(context),
        "noise": context.noise,
        "cost_column": context.profile_cost,
        "group_column": context.profile_group,
    }
    return samplers.LayerProfileSampler(**{**known, **options}, seed=context.seed)


def _make_qlearning(options: Options, context: SamplerContext) -> BaseSampler:
    known = {**_layered(context), **_budget(context), "cost_column": context.profile_cost}
    return samplers.QLearningSampler(**{**known, **options}, seed=context.seed)


def _make_qlearning_offline(options: Options, context: SamplerContext) -> BaseSampler:
    known = {
        **_layered(context),
        **_budget(context),
        "noise": context.noise,
        "cost_column": context.profile_cost,
    }
    return samplers.OfflineQLearningSampler(**{**known, **options}, seed=context.seed)


def _make_gp(options: Options, context: SamplerContext) -> BaseSampler:
    # Optuna takes evaluations for noisy unless told otherwise.
    known = {"deterministic_objective": context.noise == 0}
    return GPSampler(**{**known, **options}, seed=context.seed)


def _make_nsga2(options: Options, context: SamplerContext) -> BaseSampler:
    return NSGAII(**{**_population(context), **options}, seed=context.seed)


def _make_nsga3(options: Options, context: SamplerContext) -> BaseSampler:
    return NSGAIII(**{**_population(context), **options}, seed=context.seed)


def _make_random(options: Options, context: SamplerContext) -> BaseSampler:
    return RandomSampler(**options, seed=context.seed)


def _make_tpe(options: Options, context: SamplerContext) -> BaseSampler:
    return TPESampler(**options, seed=context.seed)


def _layered(context: SamplerContext) -> dict[str, Any]:
    return {"layer_order": context.layer_order, "baseline": context.baseline}


def _budget(context: SamplerContext) -> dict[str, Any]:
    return {} if context.evaluations is None else {"evaluations": context.evaluations}


def _population(context: SamplerContext) -> dict[str, Any]:
    if context.evaluations is None:
        return {}
    low, high = _POPULATIONS
    return {"population_size": min(max(context.evaluations // _GENERATIONS, low), high)}


_LAYERED_OPTIONS = {
    "layer_order": "names of layers to visit first",
    "baseline": "parameters of the first trial",
    "scalarization": "weight of each of several objectives",
}
_NOISE_OPTION = {"noise": "relative standard deviation of a trial's values"}
_PROFILE_OPTIONS = {
    "profile_key": "user attribute that holds a trial's profile",
    "cost_column": "column of the profile that holds a layer's cost",
}
_ANNEALING_OPTIONS = {
    "chains": "number of chains",
    "initial_temperature": "initial temperature relative to the first trial's cost",
    "cooling": "schedule: geometric or adaptive",
    "cooling_rate": "factor per evaluation of the geometric schedule",
    "acceptance": "initial share of worse proposals that the adaptive schedule accepts",
    "evaluations": "horizon of the schedule",
    "restarts": "how often chains go back to the best",
    "moves": "relative frequency of the kinds of moves",
    **_LAYERED_OPTIONS,
    **_NOISE_OPTION,
}
_LAYERWISE_OPTIONS = {
    "beam_width": "number of solutions kept",
    "candidates_per_layer": "choices of a layer that a sweep tries",
    "sweeps": "number of sweeps before only several layers at a time are changed",
    "profile_key": "user attribute that holds a trial's profile",
    **_LAYERED_OPTIONS,
    **_NOISE_OPTION,
}
_PROFILE_SAMPLER_OPTIONS = {
    "beam_width": "partial configurations of the beam search, and choices of a layer",
    "first_trials": "number of trials that spread over the space at first",
    "first_share": "share of all parameters that such a trial changes",
    **_PROFILE_OPTIONS,
    "group_column": "column of the profile that tells which layers ran together",
    "starts": "share of the budget for planned configurations, in comparisons",
    **_LAYERED_OPTIONS,
    **_NOISE_OPTION,
}
_QLEARNING_OPTIONS = {
    "epsilon": "share of random decisions at first",
    "final_epsilon": "share of random decisions after exploration",
    "exploration": "share of the evaluations until then",
    "learning_rate": "how far one observation moves an entry of the table",
    "discount": "weight of the next decision's worth",
    "choices_at_once": "a layer with at most so many choices is one decision",
    "evaluations": "horizon of the exploration",
    "failure_cost": "additional cost of a failed trial, relative to the first one",
    **_PROFILE_OPTIONS,
    **_LAYERED_OPTIONS,
}
_OFFLINE_OPTIONS = {
    "episodes": "number of episodes of a search of the table",
    "evaluations": "budget of which profiling takes a share",
    **_PROFILE_OPTIONS,
    **_LAYERED_OPTIONS,
    **_NOISE_OPTION,
}
_GP_OPTIONS = {
    "independent_sampler": "sampler of parameters outside the relative search space",
    "n_startup_trials": "number of random trials at first",
    "deterministic_objective": "whether evaluations are exact",
    "warn_independent_sampling": "whether to warn of parameters sampled independently",
}
_GENETIC_OPTIONS = {
    "population_size": "number of individuals in a generation",
    "mutation": "mutation operator; uniform where absent",
    "mutation_prob": "probability that a parameter mutates",
    "crossover": "crossover operator; uniform where absent",
    "crossover_prob": "probability that a child is made of two parents",
    "swapping_prob": "probability that uniform crossover swaps a parameter",
}
_NSGA3_OPTIONS = {
    **_GENETIC_OPTIONS,
    "reference_points": "reference points of the niches; made by dividing_parameter where absent",
    "dividing_parameter": "density of the reference points",
}
_TPE_OPTIONS = {
    "consider_prior": "whether the prior is part of the Parzen estimator",
    "prior_weight": "weight of the prior",
    "consider_magic_clip": "whether bandwidths are kept from becoming too small",
    "consider_endpoints": "whether the ends of ranges count in bandwidths",
    "n_startup_trials": "number of random trials at first",
    "n_ei_candidates": "number of candidates per proposal",
    "multivariate": "whether parameters are modelled jointly",
    "group": "whether joint models are made per group of parameters",
    "warn_independent_sampling": "whether to warn of parameters sampled independently",
    "constant_liar": "whether running trials count as bad ones",
}
_PLAIN_GENETIC = (
    "is a plain genetic algorithm then, whose sorting of fronts, which is for several objectives, "
    "only ranks the trials by that"
)
_TORCH = RequiredModule(
    module="torch",
    title="PyTorch",
    remedy="Install it with `pip install 'npu-tune[gp]'`; its build for CPUs will do.",
)

BUILT_IN = (
    SamplerKind(
        "annealing",
        "simulated annealing with moves of layers",
        _make_annealing,
        options=_ANNEALING_OPTIONS,
        walks_layers=True,
    ),
    SamplerKind(
        "gp",
        "Optuna's Gaussian process, for small spaces",
        _make_gp,
        options=_GP_OPTIONS,
        seeded_per_trial=True,
        requires=_TORCH,
    ),
    SamplerKind(
        "layerwise",
        "greedy walk over the layers with several kept solutions",
        _make_layerwise,
        options=_LAYERWISE_OPTIONS,
        walks_layers=True,
    ),
    SamplerKind(
        "nsga2",
        "Optuna's NSGA-II",
        _make_nsga2,
        options=_GENETIC_OPTIONS,
        seeded_per_trial=True,
        of_one_objective=_PLAIN_GENETIC,
    ),
    SamplerKind(
        "nsga3",
        "Optuna's NSGA-III",
        _make_nsga3,
        options=_NSGA3_OPTIONS,
        seeded_per_trial=True,
        of_one_objective=_PLAIN_GENETIC,
    ),
    SamplerKind(
        "profile",
        "learns from the profile of every trial what each layer costs",
        _make_profile,
        options=_PROFILE_SAMPLER_OPTIONS,
        walks_layers=True,
    ),
    SamplerKind(
        "qlearning",
        "Q-learning along the layers",
        _make_qlearning,
        options=_QLEARNING_OPTIONS,
        walks_layers=True,
    ),
    SamplerKind(
        "qlearning-offline",
        "profiles every choice of every layer, then Q-learning offline",
        _make_qlearning_offline,
        options=_OFFLINE_OPTIONS,
        walks_layers=True,
    ),
    SamplerKind("random", "uniform random search", _make_random, seeded_per_trial=True),
    SamplerKind(
        "tpe",
        "Optuna's tree-structured Parzen estimator",
        _make_tpe,
        options=_TPE_OPTIONS,
        seeded_per_trial=True,
    ),
)
"""By name, in alphabetical order."""
