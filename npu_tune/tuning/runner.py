"""The loop of a study: propose, evaluate, record, until the budget is used up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import EvaluationError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.space import Configuration, from_params, to_params
from npu_tune.targets import Problem, Start
from npu_tune.tuning.agenda import Agenda
from npu_tune.tuning.alone import TICK_S, all_metrics, evaluate_alone, require_evaluation
from npu_tune.tuning.budget import Budget
from npu_tune.tuning.known import KnownTrials, new_starts, trailing_duplicates
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.phase import Phase, phase_of
from npu_tune.tuning.polish import Polish, PolishSettings
from npu_tune.tuning.progress import Listener, ProgressMeter
from npu_tune.tuning.recorder import Proposal, Recorder, TrialWriter
from npu_tune.tuning.reverts import Revert
from npu_tune.tuning.signals import StopRequest
from npu_tune.tuning.trial import BASELINE, SAMPLER, TrialRecord
from npu_tune.tuning.under_way import UnderWay

EXHAUSTED = "search space exhausted"
POLISHED = "polished"


class Runner:
    """Runs one study. All its state is rebuilt from the ledger's trials.

    Args:
        problem: what is searched.
        objective: what is optimised.
        search: the sampler's study, with the ledger's trials in it.
        earlier: the ledger's trials as records.
        ledger: gets every finished trial, each in one write.
        evaluator: evaluates.
        budget: when to end.
        meter: keeps count, with the earlier trials in it.
        stop: whether somebody asked to stop.
        starts: finds what to evaluate first, when needed; None lets the sampler propose between.
        polish: how the best is polished; None to leave it as it is.
        listener: is told of the progress.
    """

    def __init__(
        self,
        problem: Problem,
        objective: Objective,
        *,
        search: SearchStudy,
        earlier: Iterable[TrialRecord] = (),
        ledger: TrialWriter,
        evaluator: Evaluator,
        budget: Budget,
        meter: ProgressMeter,
        stop: StopRequest,
        starts: Callable[[], Iterable[Start | None]] = tuple,
        polish: PolishSettings | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._problem = problem
        self._objective = objective
        self._search = search
        self._recorder = Recorder(
            search,
            ledger,
            meter,
            objective=objective,
            default=problem.space.default,
            deterministic=problem.deterministic,
        )
        self._ledger = ledger
        self._evaluator = evaluator
        self._budget = budget
        self._meter = meter
        self._stop = stop
        self._starts = starts
        self._listener = listener
        self._trials = list(earlier)
        # Trials record effective configurations.
        key = problem.keys.key_of_effective
        self._known = KnownTrials((key(t.configuration), t) for t in self._trials)
        for record in self._trials:
            self._recorder.learn(record)
        self._running = UnderWay()
        self._followers: defaultdict[str, list[Proposal]] = defaultdict(list)
        self._duplicates_in_a_row = trailing_duplicates(self._trials)
        self._all_metrics = all_metrics(problem, objective)
        self._tickets = 0
        self._agenda = Agenda(
            self._trials,
            objective,
            default=problem.space.default,
            deterministic=problem.deterministic,
            evaluations=budget.evaluations,
        )
        self._polish = Polish(self._trials, problem.space, polish, evaluations=budget.evaluations)
        self._ended: str | None = None
        self._phase = Phase.BASELINE

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """Those of the study, in order."""
        return self._trials

    @property
    def baseline(self) -> Mapping[str, float] | None:
        """The metrics that all others are weighed against, as soon as they are known."""
        return self._recorder.baseline

    def run(self) -> str:
        """Runs until the budget is used up; returns why it ended.

        Raises:
            EvaluationError: if the baseline itself cannot be evaluated.
            StorageError: if the ledger fails for good; what was written before is kept.
            ExecutorError: if no worker is left.
        """
        if self._recorder.baseline is None:
            self.enter(Phase.BASELINE)
            self._evaluate_baseline()
        self.enter(Phase.STARTS)
        starts = new_starts(self._starts, self._trials)
        while True:
            if self._stop.requested:
                self._running.drop(self._evaluator.withdraw())
            self._fill(starts)
            reason = None if self._is_busy() or self._polishing()[0] else self._reason()
            if reason is not None:
                if reason == "interrupted":
                    return reason
                self._ended = reason
                if not self._agenda.end_search(self._left()):
                    self._report()
                    return reason
                if self._evaluator.free > 0:
                    continue
            # With nothing running, all workers are lost just now, and new ones on their way.
            if (finished := self._evaluator.wait(TICK_S)) is not None:
                self._record(self._running.end(finished.ticket), finished.answer)
            self._tick()

    def _evaluate_baseline(self) -> None:
        default = self._problem.space.default
        if (outcome := self.evaluate_now(default, self._all_metrics)) is not None:
            self._objective.require_baseline(require_evaluation(outcome).metrics)
            self._record(self._enqueued(default, BASELINE), outcome)

    def evaluate_now(
        self, configuration: Configuration, metrics: tuple[str, ...], *, fresh: bool = False
    ) -> Outcome | None:
        """Evaluates one configuration alone; None where the study was asked to stop first."""
        key = self._problem.key(configuration)
        request = Request(configuration, key, self._known.samples(key), fresh, metrics)
        return evaluate_alone(self._evaluator, request, stop=self._stop, tick=self._tick)

    def _fill(self, starts: Iterator[tuple[Configuration, str] | None]) -> None:
        """Gives every free worker something new to do, as far as there is something."""
        while self._evaluator.free > 0 and not self._is_waiting():
            proposal = self._next(starts)
            if proposal is None:
                return
            self._start(proposal)
            self._report()

    def _is_waiting(self) -> bool:
        """Whether so many wait for what runs that one more would wait, too."""
        return sum(map(len, self._followers.values())) >= self._evaluator.capacity

    def _next(self, starts: Iterator[tuple[Configuration, str] | None]) -> Proposal | None:
        """What to evaluate next; None where nothing may be started now."""
        if self._stop.requested or self._left() == 0:
            return None
        repeat = self._agenda.repeat(p.origin for p in self._running)
        if repeat is not None:
            return self._enqueued(*repeat, is_repeat=True)
        is_polishing, revert = self._polishing()
        if is_polishing:
            return self._enqueued(revert.configuration, revert.origin) if revert else None
        if self._reason() is not None:
            return None
        start = next(starts, None)
        return self._enqueued(*start) if start else self._proposal(self._search.ask(), SAMPLER)

    def _start(self, proposal: Proposal) -> None:
        self._phase = phase_of(proposal.origin, self._phase)
        if proposal.sample:
            self._evaluate(proposal)
            return
        known = self._known.find(proposal.key)
        if known is None and not self._running.has(proposal.key):
            self._duplicates_in_a_row = 0
            self._evaluate(proposal)
            return
        self._duplicates_in_a_row += 1
        if known is not None:
            self._repeat(proposal, known)
        else:
            self._followers[proposal.key].append(proposal)

    def _evaluate(self, proposal: Proposal) -> None:
        try:
            self._problem.space.check(proposal.configuration)
        except EvaluationError as error:
            self._record(proposal, Outcome.failed(error))
            return
        self._running.begin(self._tickets, proposal)
        needed = self._objective.asked
        request = Request(proposal.configuration, proposal.key, proposal.sample, metrics=needed)
        self._evaluator.submit(self._tickets, request)
        self._tickets += 1

    def _record(self, proposal: Proposal, outcome: Outcome) -> None:
        self._learn(proposal.key, self._recorder.record(proposal, outcome))

    def _learn(self, key: str, record: TrialRecord) -> None:
        self._known.learn(key, record)
        self._trials.append(record)
        for follower in self._followers.pop(key, []):
            self._repeat(follower, record)

    def _repeat(self, proposal: Proposal, original: TrialRecord) -> None:
        self._trials.append(self._recorder.repeat(proposal, original))

    def _enqueued(
        self, configuration: Configuration, origin: str, *, is_repeat: bool = False
    ) -> Proposal:
        self._search.enqueue(to_params(self._problem.space, configuration))
        return self._proposal(self._search.ask(), origin, is_repeat=is_repeat)

    def _proposal(self, trial: FrozenTrial, origin: str, *, is_repeat: bool = False) -> Proposal:
        # What is compiled, without values that make no difference, which would only puzzle.
        space = self._problem.space
        configuration = space.effective(from_params(space, trial.params))
        key = self._problem.keys.key_of_effective(configuration)
        sample = self._known.take_sample(key) if is_repeat else 0
        return Proposal(trial, configuration, key, origin, sample)

    def _is_busy(self) -> bool:
        return len(self._running) > 0

    def _under_way(self) -> tuple[list[Configuration], bool]:
        """The reverts that are evaluated now, and whether anything else is."""
        return self._running.reverts, self._running.is_searching

    def _left(self) -> int | None:
        """Evaluations that may still be started; None for any number."""
        return self._budget.left(self._meter.evaluations + len(self._running))

    def _polishing(self) -> tuple[bool, Revert | None]:
        """Whether changes of the best are to be taken back now, and which, if not to wait."""
        reason = self._reason()
        if reason not in {None, EXHAUSTED, POLISHED}:
            self._polish.is_on = False
            return False, None
        return self._polish.turn(
            self._under_way(),
            left=self._left(),
            time_used=self._meter.time_used,
            is_last=reason is not None,
        )

    def _reason(self) -> str | None:
        """Why the search may start nothing more; None while it may."""
        left = self._left()
        if self._stop.requested:
            return "interrupted"
        if self._ended is not None:
            return self._ended
        if self._search.is_stopped:
            return "callback"
        if left is not None and left <= self._agenda.reserve:
            return "evaluations"
        if self._meter.out_of_time:
            return "wall time"
        if self._duplicates_in_a_row >= self._budget.duplicates_in_a_row:
            return EXHAUSTED
        return POLISHED if self._polish.alone else None

    def _tick(self) -> None:
        self._ledger.tick()
        self._report()

    def enter(self, phase: Phase) -> None:
        """Tells that a phase begins."""
        self._phase = phase
        self._report()

    def _report(self) -> None:
        if self._listener is not None:
            running, stopping = len(self._running), self._stop.requested
            progress = self._meter.progress(running=running, stopping=stopping, phase=self._phase)
            self._listener(progress)
