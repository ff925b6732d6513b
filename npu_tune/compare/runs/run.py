"""One run of a comparison: a sampler with a seed on a problem, alone in a process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
from optuna.trial import FrozenTrial

from npu_tune.compare.file.config import ComparedObjective, ComparedSampler
from npu_tune.compare.runs.recording import (
    ProblemName,
    ProblemRecord,
    Recording,
    RunName,
    RunRecord,
)
from npu_tune.compare.runs.starts import sampler_starts
from npu_tune.errors import EvaluationError, UsageError
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.evaluation.pool import Finished, Watch
from npu_tune.evaluation.pool.attempts import LOSSES
from npu_tune.evaluation.pooled import EvaluationTask
from npu_tune.evaluation.store import Store
from npu_tune.evaluation.stored import StoredEvaluator
from npu_tune.targets import Problem, Start
from npu_tune.tuning.attributes import trial_metrics
from npu_tune.tuning.budget import Budget
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.runner import Runner
from npu_tune.tuning.search import new_search, problem_starts
from npu_tune.tuning.signals import StopRequest


@dataclass(frozen=True)
class RunOrder:
    """Everything that is asked of a run, as a picklable value.

    Args:
        name: by labels and seed.
        digest: of what follows; a run that was recorded under it need not be repeated.
        sampler: with its options.
        objective: what is optimised.
        evaluations: the budget.
        duplicates_in_a_row: end the run.
        starts: whether the target's own proposals come first; else those samplers get them alone
            that ask for them.
        replay: whether only stored evaluations may be used.
    """

    name: RunName
    digest: str
    sampler: ComparedSampler
    objective: ComparedObjective
    evaluations: int
    duplicates_in_a_row: int
    starts: bool = False
    replay: bool = False


def perform_run(
    order: RunOrder,
    problem: Problem,
    store: Store | None,
    *,
    verdicts: Mapping[str, EvaluationError],
    watch: Watch,
) -> Recording:
    """Performs one run and returns it with its problem.

    Args:
        order: what is asked.
        problem: what is searched.
        store: is looked up first, and added to; None to evaluate everything anew.
        verdicts: by key, what evaluations failed with that cannot be tried again.
        watch: is told the key of every evaluation before it begins, and None after it.

    Raises:
        UsageError: if the sampler refuses its options, or a replay asks for what is not stored.
        EvaluationError: if the default configuration cannot be evaluated.
    """
    started = time.perf_counter()
    objective = Objective.of(order.objective, order.objective.limits, problem.metrics)
    direct = _DirectEvaluator(order, problem, verdicts=verdicts, watch=watch)
    default = problem.space.default
    stored = None if store is None else StoredEvaluator(direct, store, default=default)
    history = _History(objective.asked, stored)
    meter = ProgressMeter(objective, evaluations=order.evaluations, wall_time_s=None)
    search = new_search(
        order.sampler,
        seed=order.name.seed,
        problem=problem,
        objective=objective,
        evaluations=order.evaluations,
    )

    def starts() -> Iterable[Start | None]:
        if order.starts:
            return problem_starts(problem)
        sampler = search.study.sampler
        return sampler_starts(problem, sampler, meter, evaluations=order.evaluations)

    runner = Runner(
        problem,
        objective,
        search=search,
        ledger=history,
        evaluator=stored or direct,
        budget=Budget(order.evaluations, order.duplicates_in_a_row),
        meter=meter,
        stop=StopRequest(),
        starts=starts,
    )
    with stored or direct:
        stopped = runner.run()
    rows = history.rows()
    run = RunRecord(
        name=order.name,
        digest=order.digest,
        sampler={"name": order.sampler.name, "options": order.sampler.options},
        budget=order.evaluations,
        stopped=stopped,
        duplicates=history.duplicates,
        seconds=round(time.perf_counter() - started, 3),
        evaluating_s=round(direct.seconds, 3),
        rows=rows,
    )
    return Recording((_problem_record(order.name.problem, problem, objective, rows),), (run,))


def _problem_record(
    name: ProblemName, problem: Problem, objective: Objective, rows: pd.DataFrame
) -> ProblemRecord:
    by_name = {metric.name: metric for metric in problem.metrics}
    identity = problem.identity
    return ProblemRecord(
        name=name,
        model_sha256=identity.model_sha256,
        target_name=identity.target,
        fingerprint=dict(identity.fingerprint),
        metrics=tuple(by_name[metric] for metric in objective.asked),
        objective=objective,
        # The runner evaluates the default first, and does not go on without it.
        baseline={metric: float(rows[metric].iloc[0]) for metric in objective.asked},
        schema_version=identity.schema_version,
    )


class _DirectEvaluator(Evaluator):
    """Evaluates in this process, one request at a time."""

    capacity = 1

    def __init__(
        self,
        order: RunOrder,
        problem: Problem,
        *,
        verdicts: Mapping[str, EvaluationError],
        watch: Watch,
    ) -> None:
        self._order = order
        self._problem = problem
        self._verdicts = verdicts
        self._watch = watch
        self._waiting: tuple[int, Request] | None = None
        self.seconds = 0.0

    @property
    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, ticket: int, request: Request) -> None:
        if self._order.replay:
            raise UsageError(
                f"The run of {self._order.name} asks for a configuration that was not recorded.",
                remedy="Run the comparison without a replay, which evaluates it.",
            )
        self._waiting = (ticket, request)

    def wait(self, timeout_s: float) -> Finished[Outcome] | None:  # noqa: ARG002 - nobody to wait for
        if self._waiting is None:
            return None
        (ticket, request), self._waiting = self._waiting, None
        outcome = self._evaluate(request)
        self.seconds += outcome.seconds
        return Finished(ticket, outcome)

    def close(self) -> None:
        self._waiting = None

    def _evaluate(self, request: Request) -> Outcome:
        verdict = self._verdicts.get(request.key)
        if verdict is not None:
            return Outcome.failed(verdict)
        task = EvaluationTask((request,))
        for _ in range(LOSSES):
            answer = task.run(self._problem, self._watch)
            if not task.is_lost(answer):
                break
        return answer[0]


class _History:
    """Takes the place of a ledger: keeps a row per evaluation in memory."""

    def __init__(self, metrics: tuple[str, ...], stored: StoredEvaluator | None) -> None:
        self._metrics = metrics
        self._stored = stored
        self._hits = 0
        self._rows: list[tuple[float | str | bool, ...]] = []
        self.duplicates = 0

    def append(self, trial: FrozenTrial) -> int:
        attributes = trial.user_attrs
        if "duplicate_of" in attributes:
            self.duplicates += 1
            return trial.number
        metrics = trial_metrics(attributes)
        values = (metrics.get(name, float("nan")) for name in self._metrics)
        hits = 0 if self._stored is None else self._stored.hits
        self._rows.append((*values, attributes.get("failure", ""), hits > self._hits))
        self._hits = hits
        return trial.number

    def tick(self) -> None:
        """Memory needs no looking after."""

    def rows(self) -> pd.DataFrame:
        """One row per evaluation, in order."""
        frame = pd.DataFrame(self._rows, columns=[*self._metrics, "failure", "cached"])
        kinds = dict.fromkeys(self._metrics, "float64") | {"failure": "str", "cached": "bool"}
        return frame.astype(kinds)
