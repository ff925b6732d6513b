"""Who evaluates for a study: as many workers as are of use, and a cache where there is one."""

from __future__ import annotations

import contextlib
import warnings

from npu_tune.errors import NpuTuneWarning, StorageError
from npu_tune.evaluation.cache import Cache
from npu_tune.evaluation.evaluator import Evaluator
from npu_tune.evaluation.pool import Pool, make_pool
from npu_tune.evaluation.pooled import Outcomes, PooledEvaluator
from npu_tune.evaluation.store import Store
from npu_tune.evaluation.stored import StoredEvaluator, warn_of_no_cache
from npu_tune.targets import Problem
from npu_tune.tuning.caching import describe_problem
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.progress import Listener, tell_phase
from npu_tune.validation import key_name


def make_evaluator(
    study: StudyFile,
    problem: Problem,
    stack: contextlib.ExitStack,
    listener: Listener | None = None,
    *,
    cache: Cache | None = None,
) -> Evaluator:
    """An evaluator that is closed with the stack; its workers start with the first evaluation.

    Args:
        study: says how many workers, and where.
        problem: what is evaluated.
        stack: closes it.
        listener: is told when workers are made.
        cache: of evaluations; None to evaluate everything anew.

    Raises:
        StorageError: if a cache that was named cannot be opened.
    """
    executor, budget = study.executor, study.study.budget
    most = problem.most_workers if executor.kind == "process" else None
    if most is not None and (executor.workers or 0) > most:
        warnings.warn(
            f"{key_name('executor.workers')} is {executor.workers}, and this machine measures "
            f"{most} at a time: the others would only wait, and are not started.",
            NpuTuneWarning,
            stacklevel=2,
        )
    limits = [limit for limit in (budget, most) if limit is not None]
    workers = min([executor.capacity, *limits])
    if workers < executor.capacity:
        executor = executor.model_copy(update={"workers": workers})
    tell_phase(listener, Phase.WORKERS, planned=budget)
    pool: Pool[Outcomes] = make_pool(executor, problem)
    evaluator: Evaluator = stack.enter_context(PooledEvaluator(pool, problem, budget=budget))
    store = None if cache is None else _open_store(cache, study, problem)
    if cache is None or store is None:
        return evaluator
    stack.enter_context(store)
    return stack.enter_context(
        StoredEvaluator(
            evaluator,
            store,
            reuse=problem.deterministic,
            default=problem.space.default,
            optional=not cache.is_named,
        )
    )


def _open_store(cache: Cache, study: StudyFile, problem: Problem) -> Store | None:
    """The store of a problem; None, with a warning, where a cache that nobody named is no good."""
    try:
        return cache.open(problem, describe_problem(study, problem))
    except StorageError as error:
        if cache.is_named:
            raise
        warn_of_no_cache(error)
        return None
