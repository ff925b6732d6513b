"""Looks into a cache of evaluations: what is in it, and whether it is right."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from npu_tune.errors import NpuTuneError
from npu_tune.evaluation import Outcome, quiet
from npu_tune.evaluation import evaluate as evaluate_one
from npu_tune.evaluation.cache import Cache, CachedFile, remove_file
from npu_tune.evaluation.store import Store
from npu_tune.evaluation.stored_outcome import StoredOutcome
from npu_tune.files import is_file
from npu_tune.targets import Identity, Problem, load_target
from npu_tune.tuning.problems import open_problem
from npu_tune.tuning.sections import ModelSection, TargetSection


@dataclass(frozen=True)
class CachedProblem:
    """What a cache has of one problem.

    Args:
        file: where it is.
        evaluations: that are kept; 0 of a file that was set aside.
        about: what the problem is, as :func:`.caching.describe_problem` tells it; empty where the
            file does not say.
        trouble: why it cannot be read; "" where it can.
    """

    file: CachedFile
    evaluations: int
    about: Mapping[str, Any]
    trouble: str = ""

    @property
    def target(self) -> str:
        """The target's name; that in the name of the file where nothing else says it."""
        named = self.about.get("target", {}).get("name")
        return str(named or self.file.path.name.rpartition("-")[0])

    @property
    def model(self) -> str:
        """Name of the network; "" where it is not known."""
        return str(self.about.get("model", {}).get("name", ""))


@dataclass(frozen=True)
class Difference:
    """A row that says something else than an evaluation of the same configuration.

    Args:
        key: of the row.
        changes: of its configuration against the default.
        kept: what it says, in words.
        found: what was found now, in words.
    """

    key: str
    changes: Mapping[str, Any]
    kept: str
    found: str


@dataclass(frozen=True)
class Verified:
    """What came of verifying one problem.

    Args:
        problem: of the cache.
        checked: rows that were evaluated again.
        differences: of those, the ones that differ; they are dropped.
        skipped: why nothing was checked; "" where something was.
    """

    problem: CachedProblem
    checked: int = 0
    differences: tuple[Difference, ...] = ()
    skipped: str = ""


def cached_problems(cache: Cache, *, target: str | None = None) -> list[CachedProblem]:
    """What a cache holds, by the time of its last use, the latest first.

    Args:
        cache: to look into.
        target: to take only problems of this target.
    """
    found = [_problem(each) for each in cache.files()]
    return [each for each in found if target is None or each.target == target]


def verify_cache(
    cache: Cache,
    *,
    sample: int,
    seed: int,
    target: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Verified]:
    """Evaluates a random sample of each problem again, and drops what differs.

    Args:
        cache: whose rows are checked.
        sample: how many rows of each problem at most.
        seed: of the drawing.
        target: to check only problems of this target.
        tell: is told what is checked next.
    """
    for problem in cached_problems(cache, target=target):
        if problem.file.is_damaged:
            continue
        tell(f"{problem.model or problem.file.path.name} on {problem.target}")
        yield _verify(problem, sample=sample, seed=seed)


def clear_cache(
    cache: Cache, *, target: str | None = None, before: float | None = None
) -> tuple[int, int]:
    """Removes evaluations; returns how many, and how many bytes less the cache takes.

    Args:
        cache: to be cleared.
        target: to remove only those of this target.
        before: only those that were last used before, in seconds since the epoch.
    """
    size = sum(each.size_bytes for each in cache.files())
    removed = 0
    for problem in cached_problems(cache, target=target):
        path = problem.file.path
        if problem.file.is_damaged or problem.trouble:
            if before is None or problem.file.used < before:
                remove_file(path)
            continue
        with Store(path) as store:
            removed += store.forget(before=before)
            left = store.count()
        if not left:
            remove_file(path)
    return removed, max(size - sum(each.size_bytes for each in cache.files()), 0)


def _problem(file: CachedFile) -> CachedProblem:
    if file.is_damaged:
        return CachedProblem(file, 0, {}, "it was damaged, and set aside")
    try:
        with Store(file.path) as store:
            return CachedProblem(file, store.count(), store.about())
    except NpuTuneError as error:
        return CachedProblem(file, 0, {}, error.message)


def _verify(problem: CachedProblem, *, sample: int, seed: int) -> Verified:
    about = problem.about
    if problem.trouble or not about:
        return Verified(
            problem, skipped=problem.trouble or "the file does not say what it is about"
        )
    if not about["deterministic"]:
        return Verified(problem, skipped="its target measures, and no two measurements are equal")
    with ExitStack() as stack:
        bound = _bound(about, stack)
        if isinstance(bound, str):
            return Verified(problem, skipped=bound)
        store = stack.enter_context(Store(problem.file.path))
        rows = store.draw(sample, seed=seed)
        differences = tuple(d for row in rows if (d := _difference(row, bound)) is not None)
        for each in differences:
            store.drop(each.key)
        return Verified(problem, len(rows), differences)


def _bound(about: Mapping[str, Any], stack: ExitStack) -> Problem | str:
    """The problem, open within the stack; or why it cannot be had."""
    model = ModelSection.model_validate(
        {k: v for k, v in about["model"].items() if k != "name" and v is not None}
    )
    target = TargetSection.model_validate(about["target"])
    identity = Identity.from_dict(about["identity"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were told when it was tuned
            made = load_target(target.name, target.options)
            problem = stack.enter_context(open_problem(model, made))
    except NpuTuneError as error:
        is_gone = "/" in model.path and not is_file(model.path)
        return f"its model {model.path} is gone" if is_gone else error.message
    differences = [label for label, _, _ in problem.identity.differences(identity.to_dict())]
    if differences:
        return f"{', '.join(differences)}: no longer what it was"
    return problem


def _difference(row: StoredOutcome, problem: Problem) -> Difference | None:
    try:
        configuration = problem.space.effective(problem.space.configuration(row.changes))
    except NpuTuneError as error:
        return Difference(row.key, row.changes, _words(row.outcome), error.message)
    if problem.keys.key_of_effective(configuration) != row.key:
        return Difference(row.key, row.changes, "this key", "another key")
    kept = row.outcome
    metrics = None if kept.evaluation is None else tuple(kept.evaluation.metrics)
    with quiet():
        found = evaluate_one(problem, configuration, metrics)
    if _is_equal(kept, found):
        return None
    return Difference(row.key, row.changes, _words(kept), _words(found))


def _is_equal(kept: Outcome, found: Outcome) -> bool:
    if kept.evaluation is None or found.evaluation is None:
        both = kept.error, found.error
        return None not in both and type(both[0]) is type(both[1])
    ours, theirs = kept.evaluation, found.evaluation
    return (
        all(
            _same(value, theirs.metrics.get(name, math.nan))
            for name, value in ours.metrics.items()
        )
        and ours.profile == theirs.profile
    )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _words(outcome: Outcome) -> str:
    if outcome.evaluation is None:
        return "no answer" if outcome.error is None else outcome.error.message
    return ", ".join(f"{name} {value!r}" for name, value in outcome.evaluation.metrics.items())
