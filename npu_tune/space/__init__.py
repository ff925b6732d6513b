"""Search spaces: knobs, configurations, and their form in Optuna and Ray Tune.

The last two are imported when they are first used: a worker process can do without Optuna.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._callable import make_callable
from npu_tune._lazy import lazy_attributes
from npu_tune.space.knob import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value
from npu_tune.space.listing import format_space, log10_size, space_as_dict

if TYPE_CHECKING:
    from npu_tune.space.optuna import from_params, suggest, to_distributions, to_params
    from npu_tune.space.ray import (
        flat_config,
        from_ray_config,
        is_knob_name,
        to_param_space,
        to_ray_config,
        unknown_knob,
    )

__all__ = [
    "NETWORK_SCOPE",
    "Configuration",
    "Knob",
    "SearchSpace",
    "Value",
    "flat_config",
    "format_space",
    "from_params",
    "from_ray_config",
    "is_knob_name",
    "log10_size",
    "space_as_dict",
    "suggest",
    "to_distributions",
    "to_param_space",
    "to_params",
    "to_ray_config",
    "unknown_knob",
]

_HOMES = dict.fromkeys(
    ("from_params", "suggest", "to_distributions", "to_params"), "npu_tune.space.optuna"
) | dict.fromkeys(
    (
        "flat_config",
        "from_ray_config",
        "is_knob_name",
        "to_param_space",
        "to_ray_config",
        "unknown_knob",
    ),
    "npu_tune.space.ray",
)

__getattr__ = lazy_attributes(__name__, _HOMES)

make_callable(__name__)
