"""Evaluations in a worker process of Ray Tune's."""

from __future__ import annotations

import atexit
import math
import socket
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from npu_tune.closing import Closing
from npu_tune.errors import CompilerError, EvaluationError
from npu_tune.evaluation import Outcome, quiet
from npu_tune.evaluation import evaluate as evaluate_one
from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.pool import Binding, BoundProblem
from npu_tune.network import Network
from npu_tune.raytune.reported import report_of
from npu_tune.raytune.shared import SharedOutcomes
from npu_tune.space import Configuration, from_ray_config
from npu_tune.targets import Evaluation, Identity, Problem, Target


def evaluate(
    target: Target,
    network: Network,
    config: Mapping[str, Any],
    *,
    metrics: Sequence[str] | None = None,
    cache: Path | str | None = None,
) -> dict[str, Any]:
    """Compiles and costs one configuration in a trainable of your own.

    The network stays bound for the next trial of the process.

    Args:
        target: what to compile for.
        network: what to compile.
        config: the part of the trial's config that holds the knobs, see :func:`.param_space`.
        metrics: those that are needed; others may be left out where they take long.
        cache: folder of known outcomes; see :func:`.trainable`.

    Returns:
        What to hand to ``tune.report``: every metric, and the profile.

    Raises:
        EvaluationError: if the configuration cannot be evaluated; the trial should end with it.
    """
    binding = binding_of(target, network)
    evaluation = process_bench().evaluate(binding, config, metrics=metrics, cache=cache)
    return report_of([evaluation])


def binding_of(target: Target, network: Network) -> Binding:
    """The binding of a target and a network that are not bound yet."""
    identity = Identity(network.digest, target.name, dict(target.fingerprint()))
    return TravellingBinding(identity.digest, parts=(target, network))


class TravellingBinding(Binding):
    """A binding that Ray's own pickling sends: a target may be of the script that is run."""

    def _pickle_parts(self) -> bytes:
        from ray import cloudpickle  # noqa: PLC0415 - takes seconds

        blob: bytes = cloudpickle.dumps(self.parts)  # type: ignore[no-untyped-call]
        return blob


@cache
def process_bench() -> Bench:
    """The bench of this process, closed at its end.

    Ray Tune keeps nothing from one trial of a function to the next but the process itself.
    """
    bench = Bench()
    atexit.register(bench.close)
    return bench


class Bench(Closing):
    """What a worker process keeps from one trial to the next: problem and known outcomes."""

    def __init__(self) -> None:
        self._bound = BoundProblem()
        self._shared: tuple[Path, str, SharedOutcomes] | None = None

    def problem(self, binding: Binding) -> Problem:
        """The bound problem, which stays open until another one is asked for."""
        with quiet():
            return self._bound.get(binding)

    def evaluate(
        self,
        binding: Binding,
        config: Mapping[str, Any],
        *,
        metrics: Sequence[str] | None = None,
        cache: Path | str | None = None,
    ) -> Evaluation:
        """As :func:`evaluate`, for a binding."""
        problem = self.problem(binding)
        configuration = problem.space.effective(from_ray_config(problem.space, config))
        problem.space.check(configuration)
        needed = tuple(m.name for m in problem.metrics) if metrics is None else tuple(metrics)
        outcome = self._outcome(problem, configuration, needed, cache)
        if outcome.evaluation is None:
            raise outcome.error or EvaluationError("The target gave no answer.")
        for name, value in outcome.evaluation.metrics.items():
            if not math.isfinite(value):
                raise CompilerError(f"The metric {name!r} came out as {value}.", metric=name)
        return outcome.evaluation

    def close(self) -> None:
        self._bound.close()
        if self._shared is not None:
            self._shared[2].close()
            self._shared = None

    def _outcome(
        self,
        problem: Problem,
        configuration: Configuration,
        metrics: tuple[str, ...],
        cache: Path | str | None,
    ) -> Outcome:
        def evaluate_here() -> Outcome:
            with quiet():
                return evaluate_one(problem, configuration, metrics)

        folder = experiment_folder() if cache is None else Path(cache)
        if folder is None or not problem.deterministic:
            return evaluate_here()
        key = problem.keys.key_of_effective(configuration)
        shared = self._shared_in(folder, problem.identity)
        return shared.get(Request(configuration, key, metrics=metrics), evaluate_here)

    def _shared_in(self, folder: Path, identity: Identity) -> SharedOutcomes:
        if self._shared is None or self._shared[:2] != (folder, identity.digest):
            if self._shared is not None:
                self._shared[2].close()
                self._shared = None
            self._shared = (folder, identity.digest, SharedOutcomes(folder, identity))
        return self._shared[2]


def experiment_folder() -> Path | None:
    """Where the machine's processes of this experiment keep outcomes; None outside of a trial.

    In the experiment's folder, each machine in one of its own, so that a restored experiment finds
    them; where that folder is in a cloud, in the experiment's temporary one.
    """
    from pyarrow.fs import LocalFileSystem  # noqa: PLC0415 - takes long, and so does the next
    from ray import tune  # noqa: PLC0415
    from ray.train._internal.session import get_session  # noqa: PLC0415

    if get_session() is None:
        return None
    context = tune.get_context()
    storage = context.get_storage()
    if isinstance(storage.storage_filesystem, LocalFileSystem):
        return Path(storage.experiment_fs_path, "outcomes", socket.gethostname())
    return Path(context.get_trial_dir()).parent / "outcomes"
