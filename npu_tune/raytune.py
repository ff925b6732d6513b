"""For people who live in Ray Tune: a trainable, a ``param_space`` and our sampler as a searcher.

A study of this package runs faster by itself (``npu_tune.tuning``), keeps per-layer profiles and
never repeats a configuration. Take this adapter where a search is part of something larger that
Ray Tune already drives::

    with target.bind(network) as problem:
        search = search_algorithm(problem.space, metric="latency_ms", mode="min")
    tuner = tune.Tuner(
        trainable(target, network),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=200, reuse_actors=True),
    )

``reuse_actors`` saves starting a process, and binding the network, for every trial.
"""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from npu_tune.errors import CompilerError
from npu_tune.evaluation.pool import Binding, BoundProblem
from npu_tune.network import Network
from npu_tune.space import SearchSpace, from_ray_config, to_distributions, to_params
from npu_tune.space import to_param_space as param_space
from npu_tune.targets import Identity, Target

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from ray.tune.search.optuna import OptunaSearch

__all__ = ["param_space", "search_algorithm", "trainable"]


def trainable(target: Target, network: Network) -> Callable[[dict[str, Any]], None]:
    """A function trainable that compiles and costs one configuration.

    It reports every metric of the target. Where a configuration cannot be evaluated it raises the
    target's EvaluationError, so that the trial ends as an error; Ray Tune's ``OptunaSearch`` would
    keep a trial that reports NaN, or nothing, running for ever.

    Of an open problem, ``trainable(problem.target, problem.network)`` is one. A process that runs
    several trials binds the network once.

    Args:
        target: what to compile for.
        network: what to compile; goes to the workers once, through Ray's object store.
    """
    from ray import tune  # noqa: PLC0415 -- takes seconds, and most of this package does without

    identity = Identity(network.digest, target.name, dict(target.fingerprint()))
    wrapped: Callable[[dict[str, Any]], None] = tune.with_parameters(
        _evaluate, digest=identity.digest, target=target, network=network
    )
    return wrapped


def search_algorithm(
    space: SearchSpace,
    *,
    metric: str | Sequence[str],
    mode: str | Sequence[str] = "min",
    sampler: BaseSampler | None = None,
    seed: int | None = None,
) -> OptunaSearch:
    """Ray Tune's ``OptunaSearch`` over ``space``, starting from the default configuration.

    The space is in the searcher; ``Tuner`` is given no ``param_space`` beside it.

    Args:
        space: what may be chosen.
        metric: one of the target's metrics, or several for a search for their front.
        mode: ``min`` or ``max``, one for all metrics or one for each.
        sampler: any Optuna sampler; our ``LayerwiseSampler`` if absent.
        seed: of the sampler that is made where none is given.
    """
    from ray.tune.search.optuna import OptunaSearch  # noqa: PLC0415

    default = to_params(space, space.default)
    if isinstance(mode, str) and not isinstance(metric, str):
        mode = [mode] * len(metric)
    return OptunaSearch(
        space=to_distributions(space),
        metric=metric if isinstance(metric, str) else list(metric),
        mode=mode if isinstance(mode, str) else list(mode),
        sampler=sampler or _layerwise_sampler(space, default, seed=seed),
        points_to_evaluate=[default],
    )


def _evaluate(config: dict[str, Any], *, digest: str, target: Target, network: Network) -> None:
    from ray import tune  # noqa: PLC0415

    problem = _bound_problem().get(Binding(digest, parts=(target, network)))
    metrics = problem.evaluate(from_ray_config(problem.space, config)).metrics
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise CompilerError(f"The metric {name!r} came out as {value}.", metric=name)
    tune.report(dict(metrics))


@cache
def _bound_problem() -> BoundProblem:
    """The problem of this process, closed at its end.

    Ray Tune keeps nothing from one trial of a function to the next but the process itself.
    """
    bound = BoundProblem()
    atexit.register(bound.close)
    return bound


def _layerwise_sampler(
    space: SearchSpace, default: dict[str, Any], *, seed: int | None
) -> BaseSampler:
    from npu_tune.samplers import LayerwiseSampler  # noqa: PLC0415

    return LayerwiseSampler(layer_order=space.layers, baseline=default, seed=seed)
