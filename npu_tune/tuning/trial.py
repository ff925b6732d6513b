"""One finished trial of a study, as a plain value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from npu_tune.space import Configuration, Value

BASELINE = "baseline"
"""Origin of the first trial: the default configuration."""

SAMPLER = "sampler"
"""Origin of what the sampler proposed."""

REFERENCE = "repeat: reference"
"""Origin of another evaluation of the baseline, which costs are taken against."""

REFERENCE_ORIGINS = (BASELINE, REFERENCE)
"""Origins of evaluations of the baseline."""

FINALIST = "repeat: finalist"
"""Origin of another evaluation of one of the best, to tell which is."""

CONFIRMATION = "repeat: confirmation"
"""Origin of another evaluation of the chosen best, of which its stated cost is made."""

POLISH = "polish: "
"""What the origin of a trial begins with that takes back changes of the best."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One finished trial.

    Args:
        number: its number in the ledger, and so in any Optuna tool that opens it.
        configuration: what was proposed.
        metrics: value by metric name; empty where the trial failed.
        cost: the weighted sum of metric / baseline metric (lower is better); None where failed.
        violations: by limited metric, how far it is beyond its bounds (> 0 means violated), in
            its unit.
        failure: None, or the failure's class (``illegal``, ``compiler-error``, ``crash``,
            ``timeout``, ``out-of-memory``, ``inaccurate``, ``infrastructure``).
        message: what the failure said.
        origin: ``baseline``, ``start: <label>``, ``sampler``, ``repeat: <why>`` or
            ``polish: <what is reverted>``.
        duplicate_of: the number of the trial with the same effective configuration, whose
            outcome this one repeats without an evaluation; None for a trial that was evaluated.
        seconds: what the evaluation took.
        profile: per layer, as in :class:`npu_tune.targets.Evaluation`.
        notes: what the target said about this configuration.
        sample: which evaluation of its configuration it is, from 0; above 0 only where
            evaluations differ.
        cost_interval: where evaluations differ and the record stands for all of its
            configuration: lower and upper end of the 99 % confidence interval of the cost.
        samples: evaluations that metrics and cost are means of.
        confirmed: True where these were made after the configuration had been chosen.
        predicted: the cost that the sampler expected; None where it expected none.
        cached: True where the evaluation was found in the cache.
    """

    number: int
    configuration: Configuration
    metrics: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None
    violations: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    message: str = ""
    origin: str = SAMPLER
    duplicate_of: int | None = None
    seconds: float = 0.0
    profile: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sample: int = 0
    cost_interval: tuple[float, float] | None = None
    samples: int = 1
    confirmed: bool = False
    predicted: float | None = None
    cached: bool = False

    @property
    def feasible(self) -> bool:
        """True where the trial was evaluated and every limit is met."""
        if self.failure is not None:
            return False
        return not self.violations or all(v <= 0 for v in self.violations.values())

    def changes(self, default: Mapping[str, Value]) -> int:
        """Number of knobs whose value is not the default."""
        return sum(default.get(name) != value for name, value in self.configuration.items_)


def is_reference(trial: TrialRecord) -> bool:
    """True for an evaluation of the baseline that costs are taken against."""
    return trial.origin in REFERENCE_ORIGINS


def is_repeat(trial: TrialRecord) -> bool:
    """True for a further evaluation of a configuration that was evaluated before."""
    return trial.origin in (REFERENCE, FINALIST, CONFIRMATION)


def is_polish(trial: TrialRecord) -> bool:
    """True for a configuration that takes back changes of the best."""
    return trial.origin.startswith(POLISH)
