"""The sampler's side of a study: an Optuna study in memory over a problem's space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler

from npu_tune._optuna_compat import Callback, SearchStudy
from npu_tune.errors import EvaluationError, NpuTuneWarning
from npu_tune.evaluation import quiet
from npu_tune.space import to_distributions, to_params
from npu_tune.targets import Problem, Start
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.samplers import SamplerContext, make_sampler
from npu_tune.tuning.sections import SamplerSection
from npu_tune.tuning.settings import default_sampler


def new_search(
    section: SamplerSection,
    *,
    seed: int,
    problem: Problem,
    objective: Objective,
    evaluations: int | None = None,
    sampler: BaseSampler | None = None,
    name: str = "search",
    callbacks: Iterable[Callback] = (),
    distributions: Mapping[str, BaseDistribution] | None = None,
) -> SearchStudy:
    """An Optuna study in memory with the sampler that a section asks for.

    Args:
        section: names the sampler; where it does not, the problem decides.
        seed: the study's.
        problem: what is searched.
        objective: what is optimised.
        evaluations: the budget, for samplers that plan ahead; None where there is none.
        sampler: instead of the one that the section names, as it is.
        name: of the study, for callbacks.
        callbacks: Optuna's, called with every trial that finishes.
        distributions: of every knob, where less may be chosen than the space offers.

    Raises:
        UsageError: if the sampler is unknown or refuses its options.
        MissingExtraError: if the sampler needs an extra that is not installed.
    """
    space = problem.space
    directions = objective.study_directions
    distributions = distributions or to_distributions(space)
    # What has one value only cannot be changed, so trials beside the baseline must not try to.
    default = to_params(space, space.default).items()
    baseline = {name: value for name, value in default if _leaves(distributions[name], value)}
    context = SamplerContext(
        seed,
        space.layers,
        baseline,
        evaluations=evaluations,
        noise=expected_noise(problem, objective),
        objectives=len(directions),
        profile_cost=problem.profile.cost,
        profile_group=problem.profile.group,
    )
    made = make_sampler(
        sampler or section.name or default_sampler(problem), section.options, context=context
    )
    return SearchStudy(
        made,
        directions,
        distributions,
        name=name,
        metric_names=objective.study_metrics,
        callbacks=callbacks,
    )


def _leaves(distribution: BaseDistribution, default: Any) -> bool:
    """Whether there is a choice with the default in it."""
    if isinstance(distribution, CategoricalDistribution):
        offers = default in distribution.choices
    else:
        offers = isinstance(distribution, IntDistribution) and (
            distribution.low <= default <= distribution.high
        )
    return offers and not distribution.single()


def expected_noise(problem: Problem, objective: Objective) -> float:
    """Relative standard deviation of one evaluation that samplers are told of.

    It is what the target expects, not what was measured so far, so that an interrupted search
    goes on as if nothing had happened.
    """
    if problem.deterministic:
        return 0.0
    spreads = [m.spread for m in problem.metrics if m.name in objective.weights]
    return max(spreads, default=0.0) or UNKNOWN_NOISE


UNKNOWN_NOISE = 0.03
"""Of a target that measures and does not say how well: what a loaded machine does to a time."""


def problem_starts(problem: Problem) -> Iterator[Start]:
    """The target's own proposals; no more of them, with a warning, where it cannot make any."""
    try:
        with quiet():
            starts = iter(problem.starts())
        while True:
            with quiet():
                start = next(starts, None)
            if start is None:
                return
            yield start
    except EvaluationError as error:
        warnings.warn(
            f"The search goes on without the target's proposals: {error}",
            NpuTuneWarning,
            stacklevel=2,
        )


def problem_references(problem: Problem) -> dict[str, dict[str, float]]:
    """The target's references; none, with a warning, where it cannot make any."""
    try:
        with quiet():
            rows = problem.references()
    except EvaluationError as error:
        warnings.warn(
            f"The target's reference metrics are missing: {error}", NpuTuneWarning, stacklevel=2
        )
        return {}
    return _plain(rows)


def problem_rivals(
    problem: Problem, objective: Objective, baseline: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """The target's rivals; none, with a warning, where it cannot make any."""

    def cost(metrics: Mapping[str, float]) -> float:
        missed = max(objective.violations(metrics).values(), default=0.0) > 0
        return math.inf if missed else objective.cost(metrics, baseline)

    try:
        with quiet():
            rows = problem.rivals(cost)
    except EvaluationError as error:
        warnings.warn(
            f"The vendor's other results are missing: {error}", NpuTuneWarning, stacklevel=2
        )
        return {}
    return _plain(rows)


def _plain(rows: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {label: {name: float(v) for name, v in row.items()} for label, row in rows.items()}
