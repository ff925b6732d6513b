"""A searcher for Ray Tune upon the samplers of this package and of Optuna.

Ray Tune's own ``OptunaSearch`` hands a sampler one number per trial: limits and profiles never
reach it, a proposal that is known goes out again, and a trial that reports no number is taken for
running for ever.
"""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler
from ray import cloudpickle
from ray.tune.result import AUTO_RESULT_KEYS, DEFAULT_METRIC
from ray.tune.search import Searcher

from npu_tune.evaluation import quiet
from npu_tune.evaluation.pool import Binding, BoundProblem
from npu_tune.raytune.asked import modes_of, objective_of
from npu_tune.raytune.narrowed import narrowed
from npu_tune.raytune.proposals import Pause, Proposals
from npu_tune.raytune.reported import PROFILE, LayerTable
from npu_tune.space import Configuration, Value, from_ray_config, to_ray_config
from npu_tune.targets import Problem
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.search import new_search, problem_starts
from npu_tune.tuning.sections import SamplerSection

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from ray.tune import Result


@dataclass(frozen=True)
class SearchRequest:
    """What is searched for, and how.

    Args:
        objective: what is optimised, each metric by itself.
        sampler: by name or as it is; what suits the problem if None.
        seed: of a sampler that is made here.
        evaluations: the budget, for samplers that plan ahead.
        points: what is proposed after the default, as changes; the target's plans if None.
    """

    objective: Objective
    sampler: str | BaseSampler | None = None
    seed: int = 0
    evaluations: int | None = None
    points: tuple[Mapping[str, Value], ...] | None = None


class ConfigurationSearch(Searcher):
    """Proposes configurations of a problem to Ray Tune; see :func:`.search_algorithm`.

    The problem is bound as long as the searcher is there.

    Args:
        binding: of the problem.
        request: what is searched for.
    """

    def __init__(self, binding: Binding, request: SearchRequest) -> None:
        names, modes = list(request.objective.weights), modes_of(request.objective)
        one = len(names) == 1
        asked: Any = (names[0], modes[0]) if one else (names, modes)
        super().__init__(*asked)
        self._binding = binding
        self._request = request
        self._narrowed: dict[str, BaseDistribution] | None = None
        self._earlier: dict[str, Any] | None = None
        self._proposals: Proposals | None = None
        self._open()
        for point in request.points or ():
            self._problem.space.configuration(point)
        self._at_hand()  # so that a wrong sampler shows now

    @property
    def study(self) -> Study:
        """The Optuna study that the sampler sees, duplicates among its trials."""
        return self._at_hand().search.study

    def set_search_properties(
        self,
        metric: str | None,
        mode: str | None,
        config: dict[str, Any],
        **spec: Any,  # noqa: ARG002 - what Ray Tune says of the experiment
    ) -> bool:
        """Takes what a Tuner says: checks its metric, and narrows the space to ``param_space``.

        Raises:
            UsageError: if the metric is unknown or asked for the wrong way round, or the
                ``param_space`` leaves a choice that this searcher cannot make.
            StudyMismatchError: if it names a knob that the problem has not.
        """
        if metric is not None and metric not in (*AUTO_RESULT_KEYS, DEFAULT_METRIC):
            objective_of(self._problem.target.metrics, metric=metric, mode=mode)
        self._narrowed = narrowed(self._problem.space, config)
        self._proposals = None
        return True

    def suggest(self, trial_id: str) -> Any:
        """The config of a new trial; None to wait, FINISHED where nothing is left to try."""
        proposal = self._at_hand().propose(trial_id)
        if isinstance(proposal, Pause):
            return self.FINISHED if proposal is Pause.EXHAUSTED else None
        return to_ray_config(self._problem.space, proposal)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tells the sampler what came of a trial, its profile and limits included."""
        if result:
            table = result.get(PROFILE)
            packed = table.packed() if isinstance(table, LayerTable) else None
            self._at_hand().finish(trial_id, result, packed)
        elif error:
            self._at_hand().finish(trial_id, {})
        else:
            self._at_hand().drop(trial_id)

    def add_results(self, results: Iterable[Result]) -> None:
        """Takes over what an earlier experiment of the same problem found.

        Args:
            results: of a Tuner; those with errors are passed over.
        """
        for result in results:
            if result.error is None and result.metrics and result.config:
                table = result.metrics.get(PROFILE)
                self._at_hand().learn(
                    from_ray_config(self._problem.space, result.config),
                    result.metrics,
                    table.packed() if isinstance(table, LayerTable) else None,
                )

    def save(self, checkpoint_path: str) -> None:
        """Writes what :meth:`restore` needs, as Ray Tune asks for now and then."""
        state: bytes = cloudpickle.dumps(self._state())  # type: ignore[no-untyped-call]
        Path(checkpoint_path).write_bytes(state)

    def restore(self, checkpoint_path: str) -> None:
        """Goes on where :meth:`save` was called."""
        self._earlier = pickle.loads(Path(checkpoint_path).read_bytes())  # noqa: S301 - our own
        self._narrowed = self._earlier["narrowed"]
        self._proposals = None

    def __getstate__(self) -> dict[str, Any]:
        digest, payload = self._binding.digest, self._binding.payload
        return {
            "binding": (digest, payload),
            "request": self._request,
            "metric": (self._metric, self._mode),
            "earlier": self._state(),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        digest, payload = state["binding"]
        self._metric, self._mode = state["metric"]
        self._binding, self._request = Binding(digest, payload=payload), state["request"]
        self._earlier = dict(state["earlier"])
        self._narrowed = self._earlier["narrowed"]
        self._proposals = None
        self._open()

    def _open(self) -> None:
        bound = BoundProblem()
        weakref.finalize(self, bound.close)
        with quiet():
            self._problem: Problem = bound.get(self._binding)

    def _at_hand(self) -> Proposals:
        if self._proposals is None:
            self._proposals = self._make_proposals()
        return self._proposals

    def _make_proposals(self) -> Proposals:
        request, problem, earlier = self._request, self._problem, self._earlier or {}
        given = request.sampler if isinstance(request.sampler, BaseSampler) else None
        search = new_search(
            SamplerSection(name=request.sampler if isinstance(request.sampler, str) else None),
            seed=request.seed,
            problem=problem,
            objective=request.objective,
            evaluations=request.evaluations,
            sampler=earlier.get("sampler") or given,
            distributions=self._narrowed,
        )
        made = Proposals(problem, request.objective, search, _first(problem, request))
        if earlier:
            made.restore(earlier)
        return made

    def _state(self) -> dict[str, Any]:
        at_hand = self._at_hand()
        is_given = isinstance(self._request.sampler, BaseSampler)
        own = {"sampler": at_hand.search.study.sampler} if is_given else {}
        return {**at_hand.state(), **own, "narrowed": self._narrowed}


def _first(problem: Problem, request: SearchRequest) -> Iterator[Configuration]:
    """What is proposed before the sampler is asked."""
    space = problem.space
    yield space.default
    if request.points is None:
        yield from (start.configuration for start in problem_starts(problem))
    else:
        yield from map(space.configuration, request.points)
