"""Search spaces as Optuna distributions, and configurations as Optuna parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from npu_tune.errors import StudyMismatchError
from npu_tune.space.knob import Configuration, Knob, SearchSpace, Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


def to_distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """One distribution per knob, by full knob name, in the order of the space.

    Ordered knobs become integers (an index into the knob's values), so that a sampler may
    interpolate; unordered ones become categorical, over the values themselves.
    """
    return {knob.full_name: _distribution(knob) for knob in space.knobs}


def suggest(trial: BaseTrial, space: SearchSpace) -> Configuration:
    """Asks an Optuna trial for a whole configuration, in an objective function of your own.

    ::

        def objective(trial):
            configuration = npu_tune.suggest(trial, problem.space)
            return problem.evaluate(configuration).metrics["latency_ms"]

    The parameters have the names and distributions of a study of this package, so that its
    samplers find the layers.
    """
    params = {
        name: trial.suggest_int(name, distribution.low, distribution.high)
        if isinstance(distribution, IntDistribution)
        else trial.suggest_categorical(name, distribution.choices)
        for name, distribution in ((k.full_name, _distribution(k)) for k in space.knobs)
    }
    return from_params(space, params)


def to_params(space: SearchSpace, configuration: Mapping[str, Value]) -> dict[str, Any]:
    """The parameters under which Optuna knows a configuration.

    Args:
        space: of the configuration.
        configuration: or a mapping of some values, the others at their defaults.
    """
    whole = space.complete(configuration)
    return {knob.full_name: _param(knob, whole[knob.full_name]) for knob in space.knobs}


def from_params(space: SearchSpace, params: Mapping[str, Any]) -> Configuration:
    """The configuration behind a trial's parameters.

    Raises:
        StudyMismatchError: if the parameters are not those of this space.
    """
    if len(params) != len(space.knobs):
        unknown = sorted(set(params) - set(space.by_name))
        if unknown:
            raise _mismatch(f"The search space has no knob {unknown[0]!r}.", knob=unknown[0])
    try:
        return Configuration(tuple([items[params[name]] for name, items in space.items_by_param]))
    except (LookupError, TypeError):  # one by one, for the first that is no value
        return Configuration(tuple((k.full_name, _value(k, params)) for k in space.knobs))


def _distribution(knob: Knob) -> IntDistribution | CategoricalDistribution:
    if knob.ordered:
        return IntDistribution(0, len(knob.values) - 1)
    return CategoricalDistribution(knob.values)


def _param(knob: Knob, value: Value) -> Any:
    return knob.values.index(value) if knob.ordered else value


def _value(knob: Knob, params: Mapping[str, Any]) -> Value:
    name = knob.full_name
    if name not in params:
        raise _mismatch(f"The knob {name!r} has no value.", knob=name)
    param = params[name]
    if knob.ordered:
        if not 0 <= param < len(knob.values):
            raise _mismatch(f"The knob {name!r} has no value number {param!r}.", knob=name)
        index = int(param)
    elif param in knob.values:
        # The knob's own object is returned, since a storage may have turned 1 into 1.0.
        index = knob.values.index(param)
    else:
        raise _mismatch(f"The knob {name!r} has no value {param!r}.", knob=name)
    return knob.values[index]


def _mismatch(message: str, *, knob: str) -> StudyMismatchError:
    return StudyMismatchError(
        message, remedy="The trial belongs to another search space.", knob=knob
    )
