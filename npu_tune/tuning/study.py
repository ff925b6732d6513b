"""Studies from end to end: run or resume one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from npu_tune._optuna_compat import Callback
from npu_tune.network import Network
from npu_tune.targets import Target, load_target
from npu_tune.tuning.caching import study_cache
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import (
    no_empty_folder,
    require_same_storage,
)
from npu_tune.tuning.foreign.study import ForeignStudy
from npu_tune.tuning.ledger.address import check_place
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.problems import open_problem
from npu_tune.tuning.progress import Listener, tell_phase
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.sections import SamplerSection
from npu_tune.tuning.session import StudySession
from npu_tune.tuning.signals import stop_on_signals
from npu_tune.tuning.stretch_record import PYTHON

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def run_study(
    study: StudyFile,
    *,
    network: Network | None = None,
    target: Target | None = None,
    sampler: BaseSampler | None = None,
    polish: int | None = None,
    listener: Listener | None = None,
    callbacks: Iterable[Callback] = (),
    command: str = PYTHON,
    foreign: ForeignStudy | None = None,
) -> StudyResult:
    """Runs a study, or resumes it where its ledger has trials already.

    The first SIGINT or SIGTERM lets what is running finish and ends the study; a second one
    raises KeyboardInterrupt. Everything that finished is kept either way.

    Args:
        study: what to do.
        network: instead of the one the study names.
        target: instead of the one the study names.
        sampler: instead of the one the study names, as it is.
        polish: with at most so many further evaluations, to do nothing but polish the best.
        listener: is told of the progress.
        callbacks: Optuna's, called with the study in memory and every trial that finishes.
        command: the command line, which the study keeps.
        foreign: to evaluate what this study of plain Optuna holds, and nothing else.

    Raises:
        UsageError: if the study asks for what target or sampler do not have, or for a storage
            that cannot be made.
        ModelError: if the model is not fit for the target.
        TargetError: if the target or one of its options is unknown.
        StudyMismatchError: if the ledger belongs to another model, target or objective.
        EvaluationError: if the default configuration cannot be evaluated.
        StorageError: if the ledger cannot be written.
        ExecutorError: if the workers cannot be started, or are all lost.
    """
    cache = study_cache(study, by_name=target is None)
    target = target or load_target(study.target.name, study.target.options)
    if sampler is not None:
        # A sampler that was made in Python cannot be made again from a file, which says so.
        made = SamplerSection(name=type(sampler).__name__)
        study = study.model_copy(update={"sampler": made})
    check_place(study.storage, folder=study.folder)
    require_same_storage(study)

    def tell(phase: Phase) -> None:
        tell_phase(listener, phase, planned=study.study.budget)

    with (
        open_problem(study.model, target, network=network, tell=tell) as problem,
        stop_on_signals() as stop,
        no_empty_folder(study.folder),
    ):
        session = StudySession(
            study,
            problem,
            stop,
            sampler,
            listener=listener,
            polish=polish,
            command=command,
            cache=cache,
            foreign=foreign,
        )
        return session.run(callbacks)
