"""The loop of a study: propose, evaluate, record, until the budget is used up."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from npu_tune._optuna_compat import SearchStudy
from npu_tune.errors import EvaluationError, NpuTuneWarning
from npu_tune.space import Configuration, SearchSpace, from_params, to_params
from npu_tune.targets import Start
from npu_tune.tuning.cache import EvaluationKeys, KnownTrials
from npu_tune.tuning.executors import Executor, Outcome
from npu_tune.tuning.objective import Objective, relative_difference
from npu_tune.tuning.progress import Listener, ProgressMeter
from npu_tune.tuning.recorder import Proposal, Recorder, TrialWriter
from npu_tune.tuning.records import TrialRecord
from npu_tune.tuning.signals import StopRequest

TICK_S = 0.5
"""How long the loop sleeps at most before it looks at the clock and at Ctrl-C."""

BASELINE = "baseline"
SAMPLER = "sampler"
_ALONE = -1


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Args:
        space: the knobs.
        objective: what is optimised.
        keys: tell which configurations are the same.
        starts: finds configurations to evaluate before the search; asked only when needed.
    """

    space: SearchSpace
    objective: Objective
    keys: EvaluationKeys
    starts: Callable[[], tuple[Start, ...]]


@dataclass(frozen=True)
class Budget:
    """When a study ends.

    Args:
        evaluations: configurations evaluated, in all runs of the study; None for any number.
            Failed ones count, even those refused without a compilation: otherwise a study whose
            every proposal is illegal would never end.
        duplicates_in_a_row: proposals without a new configuration among them.
    """

    evaluations: int | None
    duplicates_in_a_row: int


class Runner:
    """Runs one study. All its state is rebuilt from the ledger's trials.

    Args:
        problem: what is searched.
        search: the sampler's study, with the ledger's trials in it.
        earlier: the ledger's trials as records.
        known: the answers among them.
        ledger: gets every finished trial, each in one write.
        executor: evaluates.
        budget: when to end.
        meter: keeps count, with the earlier trials in it.
        stop: whether somebody asked to stop.
        listener: is told of the progress.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        search: SearchStudy,
        earlier: list[TrialRecord],
        known: KnownTrials,
        ledger: TrialWriter,
        executor: Executor,
        budget: Budget,
        meter: ProgressMeter,
        stop: StopRequest,
        listener: Listener | None = None,
    ) -> None:
        self._problem = problem
        self._search = search
        self._recorder = Recorder(
            search, ledger, meter, objective=problem.objective, default=problem.space.default
        )
        self._executor = executor
        self._budget = budget
        self._meter = meter
        self._stop = stop
        self._listener = listener
        self._known = known
        self._origins = {record.origin for record in earlier}
        self._recorder.baseline = next(
            (record.metrics for record in earlier if record.origin == BASELINE), None
        )
        self._running: dict[int, Proposal] = {}
        self._followers: defaultdict[str, list[Proposal]] = defaultdict(list)
        self._duplicates_in_a_row = _trailing_duplicates(earlier)
        self._tickets = 0

    def run(self) -> str:
        """Runs until the budget is used up; returns why it ended.

        Raises:
            EvaluationError: if the baseline itself cannot be evaluated.
            StorageError: if a trial cannot be written; what was written before is kept.
            ExecutorError: if no worker is left.
        """
        self._report()
        if self._recorder.baseline is None:
            self._evaluate_baseline()
        starts = self._starts()
        while True:
            self._fill(starts)
            reason = self._reason()
            if reason is not None and not self._running:
                return reason
            # With nothing running, all workers are lost just now, and new ones on their way.
            outcome = self._executor.wait(TICK_S)
            if outcome is not None:
                self._finish(outcome)
            self._report()

    def evaluate_baseline_again(self) -> Mapping[str, float] | None:
        """Evaluates the default once more and warns where the figures have moved.

        Returns:
            Its metrics, or None if it failed or the study was asked to stop.
        """
        outcome = self._evaluate_now(self._problem.space.default)
        if outcome is None:
            return None
        if outcome.evaluation is None:
            warnings.warn(
                f"The baseline could not be evaluated again: {outcome.error}",
                NpuTuneWarning,
                stacklevel=2,
            )
            return None
        moved = relative_difference(outcome.evaluation.metrics, self._recorder.baseline or {})
        if moved:
            name = max(moved, key=lambda n: moved[n])
            warnings.warn(
                f"The baseline evaluated again differs from the first time, most in {name!r} by "
                f"{moved[name]:.2%}: the figures of this study are not exact to that extent.",
                NpuTuneWarning,
                stacklevel=2,
            )
        return outcome.evaluation.metrics

    def _evaluate_baseline(self) -> None:
        default = self._problem.space.default
        outcome = self._evaluate_now(default)
        if outcome is None:
            return
        if outcome.error is not None or outcome.evaluation is None:
            error = outcome.error or EvaluationError("no answer")
            message = f"The default configuration cannot be evaluated: {error.message}"
            raise type(error)(message, remedy=error.remedy, **error.data) from error
        metrics = outcome.evaluation.metrics
        self._problem.objective.require_baseline(metrics)
        self._recorder.baseline = metrics
        self._record(self._enqueued(default, BASELINE), outcome)

    def _evaluate_now(self, configuration: Configuration) -> Outcome | None:
        """Evaluates one configuration alone; None where the study was asked to stop first."""
        submitted = False
        while not self._stop.requested:
            if not submitted and self._executor.free > 0:
                self._executor.submit(_ALONE, configuration)
                submitted = True
            outcome = self._executor.wait(TICK_S)
            if outcome is not None:
                return outcome
            self._report()
        return None

    def _starts(self) -> Iterator[tuple[Configuration, str]]:
        for start in self._problem.starts():
            origin = f"start: {start.label}"
            if origin not in self._origins:
                yield start.configuration, origin

    def _fill(self, starts: Iterator[tuple[Configuration, str]]) -> None:
        """Gives every free worker something new to do, as far as there is something."""
        while (
            self._reason() is None
            and self._executor.free > 0
            and sum(map(len, self._followers.values())) < self._executor.capacity
        ):
            start = next(starts, None)
            self._start(self._enqueued(*start) if start else self._asked())
            self._report()

    def _start(self, proposal: Proposal) -> None:
        known = self._known.find(proposal.key)
        is_running = any(proposal.key == other.key for other in self._running.values())
        if known is None and not is_running:
            self._duplicates_in_a_row = 0
            self._evaluate(proposal)
            return
        self._duplicates_in_a_row += 1
        if known is not None:
            self._recorder.repeat(proposal, known)
        else:
            self._followers[proposal.key].append(proposal)

    def _evaluate(self, proposal: Proposal) -> None:
        try:
            self._problem.space.check(proposal.configuration)
        except EvaluationError as error:
            self._record(proposal, Outcome(_ALONE, None, error, 0.0))
            return
        self._running[self._tickets] = proposal
        self._executor.submit(self._tickets, proposal.configuration)
        self._tickets += 1

    def _finish(self, outcome: Outcome) -> None:
        proposal = self._running.pop(outcome.ticket)
        record = self._record(proposal, outcome)
        for follower in self._followers.pop(proposal.key, []):
            self._recorder.repeat(follower, record)

    def _record(self, proposal: Proposal, outcome: Outcome) -> TrialRecord:
        record = self._recorder.record(proposal, outcome)
        self._known.learn(proposal.key, record)
        return record

    def _enqueued(self, configuration: Configuration, origin: str) -> Proposal:
        self._search.enqueue(to_params(self._problem.space, configuration))
        return self._proposal(self._search.ask(), origin)

    def _asked(self) -> Proposal:
        return self._proposal(self._search.ask(), SAMPLER)

    def _proposal(self, trial: FrozenTrial, origin: str) -> Proposal:
        # What is compiled, without values that make no difference, which would only puzzle.
        space = self._problem.space
        configuration = space.effective(from_params(space, trial.params))
        return Proposal(trial, configuration, self._problem.keys.key(configuration), origin)

    def _reason(self) -> str | None:
        """Why nothing more may be started; None while something may."""
        planned = self._budget.evaluations
        if self._stop.requested:
            return "interrupted"
        if planned is not None and self._meter.evaluations + len(self._running) >= planned:
            return "evaluations"
        if self._meter.out_of_time:
            return "wall time"
        if self._duplicates_in_a_row >= self._budget.duplicates_in_a_row:
            return "search space exhausted"
        return None

    def _report(self) -> None:
        if self._listener is not None:
            self._listener(
                self._meter.progress(running=len(self._running), stopping=self._stop.requested)
            )


def _trailing_duplicates(records: list[TrialRecord]) -> int:
    count = 0
    for record in reversed(records):
        if record.duplicate_of is None:
            break
        count += 1
    return count
