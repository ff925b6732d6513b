"""One run of a comparison: a sampler with a seed on a problem, alone in a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd
from optuna.trial import FrozenTrial

from npu_tune.compare.file.config import ComparedObjective, ComparedSampler
from npu_tune.compare.runs.answers import SharedAnswers
from npu_tune.compare.runs.recording import (
    ProblemName,
    ProblemRecord,
    Recording,
    RunName,
    RunRecord,
)
from npu_tune.errors import EvaluationError, UsageError
from npu_tune.network import Network
from npu_tune.space import Configuration
from npu_tune.targets import Evaluation, Target
from npu_tune.tuning.cache import EvaluationKeys, KnownTrials
from npu_tune.tuning.executors import Outcome
from npu_tune.tuning.executors.evaluate import evaluate
from npu_tune.tuning.executors.inline import InlineExecutor
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.runner import Budget, Problem, Runner
from npu_tune.tuning.signals import StopRequest
from npu_tune.tuning.study import new_search, target_starts


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
        starts: whether the target's own proposals come first.
        replay: whether only known answers may be used.
    """

    name: RunName
    digest: str
    sampler: ComparedSampler
    objective: ComparedObjective
    evaluations: int
    duplicates_in_a_row: int
    starts: bool = False
    replay: bool = False


@dataclass(frozen=True)
class KeptKeys(EvaluationKeys):
    """Remembers the last key: making one costs as much as a fast target's evaluation."""

    kept: dict[Configuration, str] = field(default_factory=dict, repr=False, compare=False)

    def key(self, configuration: Configuration) -> str:
        known = self.kept.get(configuration)
        if known is None:
            self.kept.clear()
            known = self.kept[configuration] = super().key(configuration)
        return known


def perform(
    order: RunOrder,
    target: Target,
    network: Network,
    answers: SharedAnswers,
    *,
    watch: Callable[[str | None], None] = lambda _: None,
) -> Recording:
    """Performs one run and returns it with its problem.

    Args:
        order: what is asked.
        target: evaluates.
        network: is compiled.
        answers: are looked up first, and added to.
        watch: is told the key of every evaluation before it begins, and None after it.

    Raises:
        UsageError: if the sampler refuses its options, or a replay asks for what is not recorded.
        EvaluationError: if the default configuration cannot be evaluated.
    """
    started = time.perf_counter()
    space = target.space(network)
    objective = Objective.of(order.objective, order.objective.limits, target.metrics)
    keys = KeptKeys(network.digest, target.name, target.fingerprint(), space)
    executor = _CachedExecutor(order, target, network, keys=keys, answers=answers, watch=watch)
    history = _History([*objective.weights, *objective.limits], executor)
    runner = Runner(
        Problem(
            space,
            objective,
            keys,
            lambda: target_starts(target, network) if order.starts else (),
        ),
        search=new_search(
            order.sampler,
            seed=order.name.seed,
            space=space,
            objective=objective,
            evaluations=order.evaluations,
        ),
        earlier=[],
        known=KnownTrials(),
        ledger=history,
        executor=executor,
        budget=Budget(order.evaluations, order.duplicates_in_a_row),
        meter=ProgressMeter(objective, evaluations=order.evaluations, wall_time_s=None),
        stop=StopRequest(),
    )
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
        evaluating_s=round(executor.seconds, 3),
        rows=rows,
    )
    problem = _problem_record(order.name.problem, target, network, objective, rows)
    return Recording((problem,), (run,))


def _problem_record(
    name: ProblemName,
    target: Target,
    network: Network,
    objective: Objective,
    rows: pd.DataFrame,
) -> ProblemRecord:
    names = dict.fromkeys([*objective.weights, *objective.limits])
    by_name = {metric.name: metric for metric in target.metrics}
    return ProblemRecord(
        name=name,
        model_sha256=network.digest,
        target_name=target.name,
        fingerprint=dict(target.fingerprint()),
        metrics=tuple(by_name[metric] for metric in names),
        objective=objective,
        # The runner evaluates the default first, and does not go on without it.
        baseline={metric: float(rows[metric].iloc[0]) for metric in names},
    )


class _CachedExecutor(InlineExecutor):
    """Answers from what is known, else evaluates in this process, one at a time."""

    def __init__(
        self,
        order: RunOrder,
        target: Target,
        network: Network,
        *,
        keys: EvaluationKeys,
        answers: SharedAnswers,
        watch: Callable[[str | None], None],
    ) -> None:
        super().__init__(target, network)
        self._order = order
        self._keys = keys
        self._answers = answers
        self._watch = watch
        self.seconds = 0.0
        self.was_known = False

    def _answer(self, ticket: int, configuration: Configuration) -> Outcome:
        key = self._keys.key(configuration)
        known = self._answers.find(key)
        self.was_known = known is not None
        if isinstance(known, Evaluation):
            return Outcome(ticket, known, None, 0.0)
        if isinstance(known, EvaluationError):
            return Outcome(ticket, None, known, 0.0)
        if self._order.replay:
            raise UsageError(
                f"The run of {self._order.name} asks for a configuration that was not recorded.",
                remedy="Run the comparison without a replay, which evaluates it.",
            )
        self._watch(key)
        outcome = evaluate(self._target, self._network, ticket, configuration)
        self._watch(None)
        self.seconds += outcome.seconds
        answer = outcome.evaluation or outcome.error
        if answer is not None:
            self._answers.learn(key, answer)
        return outcome


class _History:
    """Takes the place of a ledger: keeps a row per evaluation in memory."""

    def __init__(self, metrics: list[str], executor: _CachedExecutor) -> None:
        self._metrics = list(dict.fromkeys(metrics))
        self._executor = executor
        self._rows: list[tuple[float | str | bool, ...]] = []
        self.duplicates = 0

    def append(self, trial: FrozenTrial) -> int:
        attributes = trial.user_attrs
        if "duplicate_of" in attributes:
            self.duplicates += 1
            return trial.number
        metrics = attributes.get("metrics", {})
        figures = (metrics.get(name, float("nan")) for name in self._metrics)
        self._rows.append((*figures, attributes.get("failure", ""), self._executor.was_known))
        return trial.number

    def rows(self) -> pd.DataFrame:
        """One row per evaluation, in order."""
        frame = pd.DataFrame(self._rows, columns=[*self._metrics, "failure", "cached"])
        kinds = dict.fromkeys(self._metrics, "float64") | {"failure": "str", "cached": "bool"}
        return frame.astype(kinds)
