"""Search spaces: knobs, configurations, and their form in Optuna and Ray Tune."""

from npu_tune.space.knob import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.space.listing import format_space, log10_size, space_as_dict
from npu_tune.space.optuna import from_params, to_distributions, to_params
from npu_tune.space.ray import from_ray_config, to_param_space

__all__ = [
    "NETWORK_SCOPE",
    "Configuration",
    "Knob",
    "SearchSpace",
    "Value",
    "format_space",
    "from_params",
    "from_ray_config",
    "log10_size",
    "space_as_dict",
    "to_distributions",
    "to_param_space",
    "to_params",
]
