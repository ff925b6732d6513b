"""Whether a study may have several drivers, and what a further one must have in common with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from optuna.samplers import BaseSampler

from npu_tune.errors import StorageError, StudyMismatchError
from npu_tune.samplers import LayeredSampler
from npu_tune.targets import Problem
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.ledger import Ledger
from npu_tune.tuning.ledger.shared import JOIN_WAIT_S, OtherWriterError
from npu_tune.tuning.reading import PLANNED
from npu_tune.tuning.sharing.runner import SharedRunner
from npu_tune.tuning.stretches import Stretch, stretches
from npu_tune.validation import key_name

_SOURCE = "importing"
"""The study attribute that names the study of plain Optuna which is taken over now."""


def is_shared(ledger: Ledger) -> bool:
    """Whether other drivers may write a study as well."""
    return ledger.place is not None and ledger.place.is_shared


def are_others_at_work(ledger: Ledger) -> bool:
    """Whether a study is shared with drivers that are alive, as far as can be told."""
    return ledger.place is not None and ledger.place.is_shared and ledger.place.heir_of is None


def reason_for_one(
    study: StudyFile, problem: Problem, sampler: BaseSampler | None, polish: int | None
) -> str:
    """Why a study can have one driver only; empty where it may have several.

    Args:
        study: that is run.
        problem: that is searched.
        sampler: that was made in Python; None for the one that the study names.
        polish: not None where nothing but polishing is done.
    """
    if not problem.deterministic:
        return (
            "It cannot have several drivers: its evaluations differ from one another, and are "
            "told apart by the order in which one machine makes them."
        )
    kind = study.storage.partition("://")[0].partition("+")[0]
    if kind == "sqlite":
        return (
            "It cannot have several drivers, as it is kept in SQLite, which is not fit for files "
            "on a shared disk; a journal or PostgreSQL is."
        )
    if kind in {"mysql", "mariadb", "redis", "rediss"}:
        return (
            "It cannot have several drivers where it is kept, as they agree with one another in a "
            "journal's folder or in PostgreSQL alone."
        )
    if polish is not None:
        return "A study that is only polished has one driver."
    if sampler is not None and not isinstance(sampler, LayeredSampler):
        return (
            "It cannot have several drivers with a sampler that was made in Python: whether two "
            "of them propose different configurations is not known."
        )
    return ""


@contextlib.contextmanager
def one_driver(
    study: StudyFile, problem: Problem, sampler: BaseSampler | None, polish: int | None
) -> Iterator[float]:
    """Gives how long a driver may wait to be let in by others; 0 where it must be alone.

    Raises:
        OtherWriterError: of the block, with the reason.
    """
    reason = reason_for_one(study, problem, sampler, polish)
    try:
        yield 0.0 if reason else JOIN_WAIT_S
    except OtherWriterError as error:
        reason = reason or f"It has let nobody in for {JOIN_WAIT_S:g} s."
        raise OtherWriterError(
            f"{error.message} {reason}", remedy=error.remedy, **error.data
        ) from error


def note_source(ledger: Ledger, source: str | None) -> None:
    """Says which study of plain Optuna is taken over from now on; None where it is searched."""
    if ledger.attributes().get(_SOURCE) != source:
        ledger.set_attribute(_SOURCE, source)


def require_same_search(
    ledger: Ledger, own: Stretch, *, budget: int | None, source: str | None
) -> None:
    """Checks that a driver joins others to do what they do.

    Args:
        ledger: of the study.
        own: what this driver is about to do.
        budget: the number of evaluations, where it has one.
        source: the study of plain Optuna that it takes over; None where it searches.

    Raises:
        StudyMismatchError: if it has another sampler, seed or budget, or takes another study over.
    """
    attributes = ledger.attributes()
    if (theirs := attributes.get(_SOURCE)) != source:
        done = "searches" if theirs is None else f"takes the study {theirs!r} over"
        raise StudyMismatchError(
            f"Another driver of the study {ledger.name!r} {done}, which this one would not.",
            remedy="Wait until it has ended, then run the same command again, or help it with the "
            "command that it was started with.",
        )
    differences = [
        f"its {what} is {was}, not {now}"
        for what, was, now in _common(attributes.get(PLANNED), budget, own, ledger)
        if was != now
    ]
    if differences:
        raise StudyMismatchError(
            f"Another driver runs the study {ledger.name!r} otherwise: {'; '.join(differences)}.",
            remedy=f"Give every driver the same {key_name('study.evaluations')}, sampler and "
            "seed, or wait until it has ended.",
        )


def _common(
    planned: object, budget: int | None, own: Stretch, ledger: Ledger
) -> Iterator[tuple[str, object, object]]:
    yield "number of evaluations", planned, budget
    known = stretches(ledger.attributes())
    if known:
        theirs, ours = known[-1].search, own.search
        yield "sampler", theirs.sampler, ours.sampler
        yield "seed", theirs.seed, ours.seed
        yield "table of the sampler's options", dict(theirs.options), dict(ours.options)


@contextlib.contextmanager
def giving_back(runner: SharedRunner) -> Iterator[None]:
    """Gives back what a driver has reserved if the block fails, as far as that is possible."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(StorageError):
            runner.leave("interrupted")
        raise
