"""Search spaces: knobs, configurations, and their form in Optuna and Ray Tune."""

from npu_tune.space.knob import NETWORK_SCOPE, Configuration, Knob, SearchSpace, Value

__all__ = ["NETWORK_SCOPE", "Configuration", "Knob", "SearchSpace", "Value"]
