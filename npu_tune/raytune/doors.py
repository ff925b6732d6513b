"""What is handed to Ray Tune: the trainable and the searcher."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.errors import UsageError
from npu_tune.evaluation.pool import Binding
from npu_tune.network import Network
from npu_tune.raytune.asked import LimitsGiven, objective_of
from npu_tune.raytune.reported import SAMPLES, report_of
from npu_tune.raytune.worker import binding_of, process_bench
from npu_tune.space import Value
from npu_tune.targets import Evaluation, Target
from npu_tune.validation import known_remedy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from npu_tune.raytune.searcher import ConfigurationSearch


def trainable(
    target: Target,
    network: Network,
    *,
    metrics: Sequence[str] | None = None,
    samples: int = 1,
    cache: Path | str | None = None,
) -> type[Any]:
    """A trainable that compiles and costs one configuration.

    Ray's tables, folders and actors call it by network and target. It reports the metrics of the
    target, and the profile as a :class:`.LayerTable`. Where a configuration cannot be evaluated it
    raises the target's EvaluationError, so that the trial ends as an error with its class and
    message.

    A configuration that any process of the machine has evaluated in the same experiment is not
    evaluated again: its outcome is known. Of an open problem,
    ``trainable(problem.target, problem.network)`` is one.

    Args:
        target: what to compile for.
        network: what to compile; goes to the workers once, through Ray's object store.
        metrics: those that are needed; others may be left out where they take long. All of them
            if None.
        samples: of a target that measures, how many evaluations a trial makes. It reports after
            each, the means of all so far, so that a scheduler such as ASHA may stop it between.
        cache: folder of known outcomes, to share them between experiments; in the experiment's
            folder if None.

    Raises:
        UsageError: if a metric is unknown, or ``samples`` is no positive number.
    """
    from ray import tune  # noqa: PLC0415 -- takes seconds, and most of this package does without
    from ray.tune.trainable import wrap_function  # noqa: PLC0415

    known = [metric.name for metric in target.metrics]
    for name in metrics or ():
        if name not in known:
            raise UsageError(
                f"The argument `metrics` names {name!r}, which {target.name} does not report.",
                remedy=known_remedy(name, known),
                value=name,
            )
    if not isinstance(samples, int) or samples < 1:
        raise UsageError(
            f"The argument `samples` is {samples!r}.", remedy="Give a number of evaluations."
        )
    binding = binding_of(target, network)
    made: type[Any] = wrap_function(
        tune.with_parameters(
            _run_trial,
            binding=(binding.digest, binding.payload),
            options={"metrics": metrics, "cache": None if cache is None else str(cache)},
            samples=samples,
        ),
        name=binding.title,
    )
    # What Ray's lists of actors and tasks show.
    made.__name__ = made.__qualname__ = binding.title
    return made


def search_algorithm(
    target: Target,
    network: Network,
    *,
    metric: str | Sequence[str],
    mode: str | Sequence[str] | None = None,
    limits: LimitsGiven = (),
    sampler: str | BaseSampler | None = None,
    seed: int = 0,
    evaluations: int | None = None,
    points_to_evaluate: Iterable[Mapping[str, Value]] | None = None,
) -> ConfigurationSearch:
    """A searcher for Ray Tune over all that may be chosen for a network on a target.

    It proposes the target's default first, then what the target itself has planned, then what the
    sampler makes of all that came back, profiles and limits included; never the same configuration
    twice. A ``param_space`` beside it may leave less to choose.

    Args:
        target: what to compile for.
        network: what to compile.
        metric: one of the target's metrics, or several for a search for their front.
        mode: ``min`` or ``max``, one for all metrics or one for each; what the target says if
            None.
        limits: bounds of metrics, such as ``{"sram_bytes": 262144}`` or
            ``"sram_bytes<=256 KiB"``.
        sampler: any Optuna sampler, or the name of one of :func:`npu_tune.tuning.sampler_names`;
            as in a study if None: ``profile`` where the target reports profiles.
        seed: of a sampler that is made here.
        evaluations: the budget, for samplers that plan ahead.
        points_to_evaluate: what is proposed after the default instead of the target's plans, as
            changes of the default by full knob name.

    Raises:
        UsageError: if a metric, its mode, a limit or the sampler makes no sense.
        ModelError: if the network is not fit for the target.
        IllegalConfigurationError: if there is no such point to evaluate.
    """
    objective = objective_of(target.metrics, metric=metric, mode=mode, limits=limits)
    from npu_tune.raytune.searcher import ConfigurationSearch, SearchRequest  # noqa: PLC0415

    points = None if points_to_evaluate is None else tuple(map(dict, points_to_evaluate))
    request = SearchRequest(objective, sampler, seed, evaluations, points)
    return ConfigurationSearch(binding_of(target, network), request)


def _run_trial(
    config: dict[str, Any],
    *,
    binding: tuple[str, bytes],
    options: Mapping[str, Any],
    samples: int,
) -> None:
    from ray import tune  # noqa: PLC0415

    digest, payload = binding
    bound, bench = Binding(digest, payload=payload), process_bench()
    evaluations: list[Evaluation] = []
    is_measured = not bench.problem(bound).deterministic
    for number in range(1, (samples if is_measured else 1) + 1):
        evaluations.append(bench.evaluate(bound, config, **options))
        report = report_of(evaluations)
        tune.report(report | {SAMPLES: number} if is_measured else report)
