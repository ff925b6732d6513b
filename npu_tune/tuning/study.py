"""Studies from end to end: run or resume one."""

from __future__ import annotations

import contextlib
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import NpuTuneWarning
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Evaluator, PooledEvaluator, StoredEvaluator
from npu_tune.evaluation.pool import Pool, make_pool
from npu_tune.evaluation.store import Store, store_path
from npu_tune.network import Network
from npu_tune.targets import Problem, Target, load_target
from npu_tune.tuning.attributes import (
    ELAPSED,
    own_trials,
    study_attributes,
    trial_records,
)
from npu_tune.tuning.budget import Budget
from npu_tune.tuning.conclusion import conclude
from npu_tune.tuning.config import SamplerSection, StudyFile
from npu_tune.tuning.folder import (
    is_study_folder,
    make_study_folder,
    no_empty_folder,
    require_same_storage,
    write_study_folder,
)
from npu_tune.tuning.identity import STUDY, require_same_study, study_identity
from npu_tune.tuning.ledger import Ledger, PatientLedger, open_ledger
from npu_tune.tuning.ledger.address import check_place
from npu_tune.tuning.notices import explain_sampler, is_done
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.polish import PolishSettings, settings_of
from npu_tune.tuning.problems import open_problem
from npu_tune.tuning.progress import Listener, ProgressMeter, tell_phase
from npu_tune.tuning.reading import AGAIN, PLANNED, STOPPED, result_of
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.rescue import rescuing
from npu_tune.tuning.runner import Runner
from npu_tune.tuning.samplers import require_layers
from npu_tune.tuning.search import new_search, problem_references, problem_starts
from npu_tune.tuning.settings import SearchSettings, kept_settings, record_settings, stated_sampler
from npu_tune.tuning.signals import StopRequest, stop_on_signals
from npu_tune.validation import key_name

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial


def run_study(
    study: StudyFile,
    *,
    network: Network | None = None,
    target: Target | None = None,
    sampler: BaseSampler | None = None,
    polish: int | None = None,
    listener: Listener | None = None,
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
        return _Session(study, problem, stop, sampler, listener=listener, polish=polish).run()


class _Session:
    """One run of a study: everything that is made once and then handed to the runner."""

    def __init__(
        self,
        study: StudyFile,
        problem: Problem,
        stop: StopRequest,
        sampler: BaseSampler | None,
        *,
        listener: Listener | None,
        polish: int | None,
    ) -> None:
        kept = kept_settings(study.folder)
        section = stated_sampler(study.sampler, kept=kept, problem=problem)
        self._is_named = sampler is None and study.sampler.name is not None
        self._study = study.model_copy(update={"sampler": section})
        self._sampler_name = section.name or ""
        self._kept = kept
        self._problem = problem
        self._stop = stop
        self._sampler = sampler
        self._listener = listener
        self._objective = Objective.of(study.objective, study.limits, problem.metrics)
        self._alone = polish
        self._polish = settings_of(
            polish or study.study.polish,
            deterministic=problem.deterministic,
            objectives=len(self._objective.study_directions),
        )

    def run(self) -> StudyResult:
        study, objective = self._study, self._objective
        # What the folder of a study names may have been the default, which copes.
        if self._is_named and not is_study_folder(study.folder):
            require_layers(self._sampler_name, self._problem.space)
        return self._run(
            new_search(
                study.sampler,
                seed=study.study.seed,
                problem=self._problem,
                objective=objective,
                evaluations=study.study.budget,
                sampler=self._sampler,
            )
        )

    def _run(self, search: SearchStudy) -> StudyResult:
        study, network = self._study, self._problem.network
        with self._open_ledger() as ledger:
            identity = study_identity(self._problem, self._objective)
            is_begun = require_same_study(ledger, identity)
            trials = own_trials(ledger.trials())
            if is_begun and self._alone is None and is_done(ledger, trials, study.study.budget):
                return result_of(ledger)
            if self._sampler is None:
                explain_sampler(self._sampler_name, self._objective)
            self._claim(ledger, None if is_begun else identity)
            first = trials[-1].number + 1 if trials else 0
            record_settings(ledger, SearchSettings.of(study, first_trial=first), kept=self._kept)
            if self._alone is None:
                write_study_folder(study, network)
            ledger.watch_folder(study.folder)
            with rescuing(ledger, study, network, self._objective):
                with contextlib.ExitStack() as stack:
                    self._search(ledger, trials, search, self._evaluator(stack))
                del search, trials  # before the trials are there once more
                return result_of(ledger)

    def _open_ledger(self) -> PatientLedger:
        study, objective = self._study, self._objective
        # A folder that holds a study already goes on with that one. In a storage of its own no
        # other one may begin, while studies with folders of their own may share a database.
        is_own = study.study.storage is None or is_study_folder(study.folder)
        make_study_folder(study)
        ledger = open_ledger(
            study.storage,
            name=study.name,
            directions=objective.study_directions,
            metric_names=objective.study_metrics,
            join=not is_own,
        )
        return PatientLedger(ledger, retry_s=study.study.storage_retry)

    def _claim(self, ledger: Ledger, identity: dict[str, Any] | None) -> None:
        """Makes the ledger this study's; with its identity where it is not yet."""
        if identity is not None:
            tell_phase(self._listener, Phase.REFERENCES, planned=self._study.study.budget)
            references = problem_references(self._problem)
            about = study_attributes(self._problem, references=references)
            ledger.set_attribute(STUDY, identity | about)
        if self._alone is None:
            ledger.set_attribute(PLANNED, self._study.study.budget)
        ledger.set_attribute(STOPPED, None)

    def _evaluator(self, stack: contextlib.ExitStack) -> Evaluator:
        """Who evaluates, closed with the stack; its workers start with the first evaluation."""
        executor, budget = self._study.executor, self._study.study.budget
        most = self._problem.most_workers if executor.kind == "process" else None
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
        tell_phase(self._listener, Phase.WORKERS, planned=budget)
        pool: Pool[Outcome] = make_pool(executor, self._problem)
        evaluator: Evaluator = stack.enter_context(PooledEvaluator(pool, self._problem))
        folder = self._study.study.store
        if folder is None:
            return evaluator
        store = stack.enter_context(Store(store_path(folder, self._problem.identity)))
        return StoredEvaluator(evaluator, store, reuse=self._problem.deterministic)

    def _search(
        self,
        ledger: PatientLedger,
        trials: list[FrozenTrial],
        search: SearchStudy,
        evaluator: Evaluator,
    ) -> None:
        section = self._study.study
        problem, objective = self._problem, self._objective
        earlier = trial_records(
            trials,
            default=problem.space.default,
            objective=objective,
            deterministic=problem.deterministic,
        )
        search.add(trials)
        evaluations, wall_time, polish = section.budget, section.wall_time, self._polish
        if self._alone is not None:
            done = sum(record.duplicate_of is None for record in earlier)
            evaluations, wall_time = done + self._alone, None
            polish = PolishSettings(most=self._alone, alone=True)
        meter = ProgressMeter(
            objective,
            evaluations=evaluations,
            wall_time_s=wall_time,
            elapsed_s=max((t.user_attrs.get(ELAPSED, 0.0) for t in trials), default=0.0),
        )
        for record in earlier:
            meter.count(record, earlier=True)
        runner = Runner(
            problem,
            objective,
            search=search,
            earlier=earlier,
            ledger=ledger,
            evaluator=evaluator,
            budget=Budget(evaluations, section.duplicates_in_a_row),
            meter=meter,
            stop=self._stop,
            starts=partial(problem_starts, problem),
            polish=polish,
            listener=self._listener,
        )
        evaluations_before = meter.evaluations
        reason = runner.run()
        is_new = meter.evaluations > evaluations_before or not ledger.attributes().get(AGAIN)
        if reason != "interrupted":
            conclude(ledger, runner, problem, objective, again=is_new)
        ledger.set_attribute(STOPPED, reason)
        planned = ledger.attributes().get(PLANNED)
        if planned is not None and meter.evaluations > planned:
            ledger.set_attribute(PLANNED, meter.evaluations)
