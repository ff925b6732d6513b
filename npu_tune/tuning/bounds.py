"""What no configuration of a study's problem falls below."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from npu_tune.errors import NpuTuneError, NpuTuneWarning
from npu_tune.evaluation import quiet
from npu_tune.space import NETWORK_SCOPE, Configuration, Value
from npu_tune.targets import Problem
from npu_tune.targets.oracle import Bound, Bounded
from npu_tune.tuning.trial import TrialRecord


def network_choices(configuration: Configuration) -> dict[str, Value]:
    """The values of the knobs of the whole network."""
    scope = f"{NETWORK_SCOPE}/"
    return {name: value for name, value in configuration.items() if name.startswith(scope)}


def problem_bound(problem: Problem, best: TrialRecord | None) -> Bound | None:
    """The target's lower bound with what the best trial chose for the whole network.

    None where the target knows none, and, with a warning, where it cannot find it.
    """
    if not isinstance(problem, Bounded):
        return None
    space = problem.space
    chosen = space.default if best is None else best.configuration
    try:
        with quiet():
            return problem.bound(base=space.configuration(network_choices(chosen)))
    except NpuTuneError as error:
        warnings.warn(
            f"What nothing falls below is missing: {error}", NpuTuneWarning, stacklevel=2
        )
        return None


def bound_attribute(bound: Bound) -> dict[str, Any]:
    """JSON values, the way a ledger keeps a bound."""

    def plain(metrics: Mapping[str, float]) -> dict[str, float]:
        return {name: float(value) for name, value in metrics.items()}

    return {
        "metrics": plain(bound.metrics),
        "notes": list(bound.notes),
        "front": list(map(plain, bound.front)),
    }


def bound_of(attribute: Mapping[str, Any] | None) -> Bound | None:
    """The reverse of :func:`bound_attribute`; None for none. Older studies kept no front."""
    if attribute is None:
        return None
    return Bound(
        attribute["metrics"], tuple(attribute["notes"]), tuple(attribute.get("front", ()))
    )
