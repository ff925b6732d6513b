"""Parameters of a trial of plain Optuna as values of knobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from npu_tune.errors import StudyMismatchError
from npu_tune.space import Knob, SearchSpace, Value, to_distributions
from npu_tune.validation import closest_hint


class ForeignChoices:
    """Reads parameters that are called like the knobs of a space.

    A parameter counts as the number of a value where it has the very distribution that
    :func:`npu_tune.to_distributions` gives an ordered knob. It counts as the value itself where all
    that it was chosen from are values of the knob, or the knob has no order. Anything else could be
    read in two ways and is refused.

    Args:
        space: whose knobs they are.
        distributions: by parameter, for trials that were enqueued and never asked for it.
    """

    def __init__(self, space: SearchSpace, distributions: Mapping[str, BaseDistribution]) -> None:
        self._space = space
        self._ours = to_distributions(space)
        self._distributions = distributions

    def read(
        self, params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]
    ) -> dict[str, Value]:
        """Values by full name of the knob.

        Args:
            params: of a trial.
            distributions: of the same trial.

        Raises:
            StudyMismatchError: if a name or a value is not of the space, or none is chosen.
        """
        if not params:
            raise StudyMismatchError("It chooses no knob.")
        return {
            name: self._value(
                self._knob(name), param, distributions.get(name) or self._distributions.get(name)
            )
            for name, param in params.items()
        }

    def _knob(self, name: str) -> Knob:
        knob = self._space.by_name.get(name)
        if knob is None:
            raise StudyMismatchError(
                f"There is no knob {name!r}.",
                remedy=closest_hint(name, self._space.by_name).strip(),
                knob=name,
            )
        return knob

    def _value(self, knob: Knob, param: Any, distribution: BaseDistribution | None) -> Value:
        name, values = knob.full_name, knob.values
        ours = self._ours[name]
        is_ours = distribution is None or distribution == ours
        by_value = isinstance(distribution, CategoricalDistribution) and all(
            choice in values for choice in distribution.choices
        )
        if knob.ordered and is_ours:
            if isinstance(param, int) and 0 <= param < len(values):
                return values[param]
            raise StudyMismatchError(
                f"The knob {name!r} has no value number {param!r}.", knob=name
            )
        if knob.ordered and not by_value:
            raise StudyMismatchError(
                f"The parameter {name!r} comes from {distribution}, which is neither {ours} nor "
                "a choice of the knob's values.",
                knob=name,
            )
        if param not in values:
            raise StudyMismatchError(f"The knob {name!r} has no value {param!r}.", knob=name)
        # The knob's own object, as a storage may have turned 1 into 1.0.
        return values[values.index(param)]
