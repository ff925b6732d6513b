"""One run of a study: everything that is made once and then handed to the runner."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from npu_tune._optuna_compat import Callback, SearchStudy
from npu_tune.evaluation.cache import Cache
from npu_tune.evaluation.evaluator import Evaluator
from npu_tune.targets import Problem
from npu_tune.tuning.attributes import (
    ELAPSED,
    own_trials,
    study_attributes,
)
from npu_tune.tuning.budget import Budget
from npu_tune.tuning.conclusion import conclude
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.dashboard import KNOB_VALUES, knob_values, write_note
from npu_tune.tuning.evaluators import make_evaluator
from npu_tune.tuning.folder import (
    is_study_folder,
    write_study_folder,
)
from npu_tune.tuning.foreign.starts import (
    ALL_IMPORTED,
    kept_imports,
    require_same_source,
    starts_alone,
    starts_of_imports,
    take_trials,
)
from npu_tune.tuning.foreign.study import ForeignStudy
from npu_tune.tuning.identity import STUDY, require_same_study, study_identity
from npu_tune.tuning.ledger import Ledger, PatientLedger
from npu_tune.tuning.notices import explain_sampler, explain_sources, is_done
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.opening import open_study_ledger
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.polish import PolishSettings, settings_of
from npu_tune.tuning.progress import Listener, ProgressMeter, tell_phase
from npu_tune.tuning.reading import AGAIN, PLANNED, STOPPED, result_of
from npu_tune.tuning.recorded import trial_records
from npu_tune.tuning.records import StudyResult
from npu_tune.tuning.rescue import rescuing
from npu_tune.tuning.samplers import require_layers
from npu_tune.tuning.search import new_search, problem_references
from npu_tune.tuning.settings import kept_settings, stated_sampler
from npu_tune.tuning.sharing.joining import (
    are_others_at_work,
    giving_back,
    is_shared,
    note_source,
    one_driver,
    require_same_search,
)
from npu_tune.tuning.sharing.runner import SharedRunner
from npu_tune.tuning.signals import StopRequest
from npu_tune.tuning.stretch_record import new_stretch, stretch
from npu_tune.tuning.stretches import Stretch
from npu_tune.tuning.warm import begin

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_CALLBACK = "callback"
"""What the runner says where anything has stopped the sampler's study."""


class StudySession:
    """One run of a study.

    Args:
        study: what to do.
        problem: that is searched.
        stop: whether somebody asked to stop.
        sampler: instead of the one the study names, as it is.
        listener: is told of the progress.
        polish: with at most so many further evaluations, to do nothing but polish the best.
        command: the command line, which the study keeps.
        cache: of evaluations; None to evaluate everything anew.
        foreign: to evaluate what this study of plain Optuna holds, and nothing else.
    """

    def __init__(
        self,
        study: StudyFile,
        problem: Problem,
        stop: StopRequest,
        sampler: BaseSampler | None,
        *,
        listener: Listener | None,
        polish: int | None,
        command: str,
        cache: Cache | None,
        foreign: ForeignStudy | None,
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
        self._command = command
        self._cache = cache
        self._objective = Objective.of(study.objective, study.limits, problem.metrics)
        self._alone = polish
        self._imported, self._source = None, None if foreign is None else foreign.name
        self._polish = settings_of(
            polish or study.study.polish,
            deterministic=problem.deterministic,
            objectives=len(self._objective.study_directions),
        )
        if foreign is not None:
            self._imported = take_trials(foreign, problem, budget=study.study.budget)
            self._polish = None

    def run(self, callbacks: Iterable[Callback]) -> StudyResult:
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
                name=study.name,
                callbacks=callbacks,
            )
        )

    def _run(self, search: SearchStudy) -> StudyResult:
        study, network = self._study, self._problem.network
        with self._open_ledger() as ledger:
            identity = study_identity(self._problem, self._objective)
            is_begun = require_same_study(ledger, identity)
            trials = own_trials(ledger.trials())
            is_search = self._alone is None and self._imported is None
            if is_begun and is_search and is_done(ledger, trials, study.study.budget):
                return result_of(ledger)
            if self._sampler is None:
                explain_sampler(self._sampler_name, self._objective)
            if is_begun:
                explain_sources(study)
            warm = begin.warm_beginning(
                study, self._problem, self._objective, self._cache, is_begun=is_begun
            )
            own = self._stretch(trials)
            if are_others_at_work(ledger):
                require_same_search(ledger, own, budget=study.study.budget, source=self._source)
            else:
                self._claim(ledger, None if is_begun else identity, warm)
            if self._imported is not None:
                require_same_source(ledger.attributes(), self._imported)
                ledger.set_attribute(self._imported.key, self._imported.to_json())
            if self._alone is None:
                write_study_folder(study, network)
            ledger.watch_folder(study.folder)
            with rescuing(ledger, study, network, self._objective):
                with (
                    stretch(ledger, own, kept=self._kept) as running,
                    contextlib.ExitStack() as stack,
                ):
                    evaluator = make_evaluator(
                        study, self._problem, stack, self._listener, cache=self._cache
                    )
                    reason = self._search(ledger, trials, search, evaluator)
                    running.stopped = reason
                del search, trials  # before the trials are there once more
                result = result_of(ledger)
                if is_shared(ledger):
                    # The others still work on it, and the last of them says how it ended.
                    return dataclasses.replace(result, stopped=reason)
                write_note(ledger, study, result)
                return result

    def _open_ledger(self) -> PatientLedger:
        with one_driver(self._study, self._problem, self._sampler, self._alone) as wait_s:
            return open_study_ledger(self._study, self._objective, join_wait_s=wait_s)

    def _stretch(self, trials: list[FrozenTrial]) -> Stretch:
        return new_stretch(
            self._study,
            self._problem,
            first_trial=trials[-1].number + 1 if trials else 0,
            began_s=_elapsed_s(trials),
            command=self._command,
        )

    def _claim(
        self, ledger: Ledger, identity: dict[str, Any] | None, warm: begin.WarmBeginning | None
    ) -> None:
        """Makes the ledger this study's; with its identity where it is not yet."""
        note_source(ledger, self._source)
        if identity is not None:
            begin.keep_beginning(ledger, warm)  # first: what has an identity takes in no more
            tell_phase(self._listener, Phase.REFERENCES, planned=self._study.study.budget)
            references = problem_references(self._problem)
            about = study_attributes(self._problem, references=references)
            ledger.set_attribute(STUDY, identity | about)
            write_note(ledger, self._study)
        if KNOB_VALUES not in ledger.attributes():
            ledger.set_attribute(KNOB_VALUES, knob_values(self._problem.space))
        if self._alone is None:
            ledger.set_attribute(PLANNED, self._study.study.budget)
        ledger.set_attribute(STOPPED, None)

    def _search(
        self,
        ledger: PatientLedger,
        trials: list[FrozenTrial],
        search: SearchStudy,
        evaluator: Evaluator,
    ) -> str:
        """Searches until the budget is used up; returns why it ended."""
        section = self._study.study
        problem, objective = self._problem, self._objective
        earlier = trial_records(
            trials,
            default=problem.space.default,
            objective=objective,
            deterministic=problem.deterministic,
        )
        search.add(trials)
        attributes, imported = ledger.attributes(), self._imported
        warm = begin.kept_beginning(attributes)
        first = starts_of_imports(kept_imports(attributes), problem.space)
        evaluations, wall_time, polish = section.budget, section.wall_time, self._polish
        if self._alone is not None:
            done = sum(record.duplicate_of is None for record in earlier)
            evaluations, wall_time = done + self._alone, None
            polish = PolishSettings(most=self._alone, alone=True)
        if imported is not None:
            first = starts_alone(imported, search, problem.space, {r.origin for r in earlier})
        meter = ProgressMeter(
            objective,
            evaluations=evaluations if imported is None else imported.most(evaluations),
            wall_time_s=wall_time,
            elapsed_s=_elapsed_s(trials),
        )
        for record in earlier:
            meter.count(record, earlier=True)
        runner = SharedRunner(
            problem,
            objective,
            search=search,
            earlier=earlier,
            shared=ledger,
            evaluator=evaluator,
            budget=Budget(evaluations, section.duplicates_in_a_row),
            meter=meter,
            stop=self._stop,
            starts=lambda: (
                chain(first, begin.starts_of(problem, warm, lambda: runner.trials))
                if imported is None
                else first
            ),
            polish=polish,
            listener=self._listener,
        )
        evaluations_before = meter.evaluations
        with giving_back(runner):
            reason = runner.run()
            if imported is not None and reason == _CALLBACK:
                reason = ALL_IMPORTED
            if not runner.leave(reason):
                return reason
            # Of several drivers, the last one may have left the last start to another.
            if imported is not None and reason == "evaluations":
                origins = {record.origin for record in runner.trials}
                reason = ALL_IMPORTED if imported.is_evaluated(origins) else reason
        is_new = meter.evaluations > evaluations_before or not ledger.attributes().get(AGAIN)
        if reason != "interrupted":
            conclude(ledger, runner, problem, objective, again=is_new)
        ledger.set_attribute(STOPPED, reason)
        planned = ledger.attributes().get(PLANNED)
        if planned is not None and meter.evaluations > planned:
            ledger.set_attribute(PLANNED, meter.evaluations)
        return reason


def _elapsed_s(trials: Iterable[FrozenTrial]) -> float:
    """How long a study has run, by its trials."""
    return max((trial.user_attrs.get(ELAPSED, 0.0) for trial in trials), default=0.0)
