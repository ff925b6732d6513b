"""Studies: searched, resumed, read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.api.problems import Model, require_name_for_options
from npu_tune.errors import UsageError
from npu_tune.network import Network
from npu_tune.targets import Artifact, Target

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from npu_tune.tuning import Listener, StudyResult

    Study = str | os.PathLike[str] | StudyResult
    """A study's folder, or what was read of it already."""

_ARGUMENTS: Mapping[str, str] = {
    "model.path": "model",
    "model.calibration": "calibration",
    "target.name": "target",
    "study.folder": "study",
    "study.storage": "storage",
    "study.cache": "cache",
    "study.from": "sources",
    "study.seed": "seed",
    "study.evaluations": "evaluations",
    "study.wall_time": "wall_time",
    "study.polish": "polish",
    "sampler.name": "sampler",
    "sampler": "sampler_options",
    "objective": "objective",
    "objective.mode": "mode",
    "objective.directions": "maximize",
    "limits": "limits",
    "executor.kind": "executor",
    "executor.address": "address",
    "executor.workers": "workers",
    "executor.timeout_s": "timeout",
    "executor.memory_limit": "memory_limit",
    "executor.start_timeout_s": "start_timeout",
    "executor.num_cpus": "num_cpus",
    "executor.memory": "memory",
    "executor.resources": "resources",
    "executor.runtime_env": "runtime_env",
}
"""By key of a study file, the argument of :func:`tune` that gives it."""


def tune(
    model: Model,
    target: str | Target,
    *,
    study: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    evaluations: int | None = None,
    wall_time: str | float | None = None,
    sampler: str | BaseSampler | None = None,
    sampler_options: Mapping[str, Any] | None = None,
    objective: str | Iterable[str] | Mapping[str, float] | None = None,
    mode: str = "weighted",
    maximize: str | Iterable[str] = (),
    limits: str | Iterable[str] | Mapping[str, str | float] = (),
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
    seed: int = 0,
    polish: bool | int | None = None,
    executor: str = "process",
    workers: int | None = None,
    timeout: str | float | None = None,
    memory_limit: str | int | None = None,
    address: str | None = None,
    start_timeout: str | float | None = None,
    num_cpus: float | None = None,
    memory: str | int | None = None,
    resources: Mapping[str, float] | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    storage: str | None = None,
    cache: str | os.PathLike[str] | bool | None = None,
    sources: Iterable[str | os.PathLike[str]] = (),
    listener: Listener | None = None,
    callbacks: Iterable[Callable[[optuna.Study, FrozenTrial], None]] = (),
) -> StudyResult:
    """Searches for the best way to compile a model; the same call again resumes.

    Args:
        model: what is compiled.
        target: what it is compiled for, by name or as a value; a study of the latter takes the
            same value again to be resumed or exported.
        study: folder that holds everything of the study; ``runs/MODEL-TARGET`` if None.
        options: of a target that is given by name.
        evaluations: how many configurations are evaluated, the baseline and failed ones
            included; 1,500 if neither this nor ``wall_time`` is given.
        wall_time: ends the study after such as ``"15m"``, or seconds.
        sampler: by name, or any Optuna sampler as it is; the default sampler if None.
        sampler_options: of a sampler that is given by name.
        objective: a metric, several, or weights by metric; what the target proposes if None.
        mode: ``weighted`` minimises the weighted sum of metric / baseline metric; ``pareto``
            hands the sampler one objective per metric.
        maximize: metric or metrics of which more is better, where the target does not say.
        limits: such as ``"sram_bytes <= 256 KiB"`` or ``"accuracy >= 0.88"``, one or several; or
            bounds by metric, ``{"sram_bytes": 262144, "accuracy": ">= 0.88"}``.
        calibration: an ``.npz`` with inputs by which a float ONNX model is made int8.
        check: whether such a model is compared with its int8 form.
        seed: of the sampler.
        polish: whether the end of the budget goes into taking back changes of the best that gain
            nothing, or at most how many evaluations; where they repeat exactly if None.
        executor: ``process``, ``inline`` or ``ray``.
        workers: evaluations at a time; the usable processors if None.
        timeout: what one evaluation may take, such as ``"5m"``, or seconds.
        memory_limit: what each process of an evaluation may have, such as ``"4 GiB"``, or bytes;
            any number if None.
        address: of an existing Ray cluster.
        start_timeout: what a Ray cluster may take to have room for the first worker, such as
            ``"10m"``, or seconds; a minute if None. For ``ray`` only, as the next four.
        num_cpus: processors that Ray reserves for each worker; 1 if None.
        memory: main memory that Ray reserves for each worker, such as ``"2 GiB"``, or bytes.
        resources: custom resources of the cluster's nodes that each worker holds, such as
            ``{"board": 1}``.
        runtime_env: the environment that Ray makes for its workers, such as
            ``{"pip": ["npu-tune"]}``.
        storage: a database URL instead of a file in the folder.
        cache: folder of evaluations shared with other studies; the user's if None, and none if
            False. A target that is given as a value has none unless a folder is named.
        sources: folders of studies to begin with what they found, or ``"cache"``.
        listener: is told of the progress.
        callbacks: those of Optuna's ``study.optimize``, called with every trial that finishes;
            ``study.stop()`` ends the search. The study they get is the sampler's, in memory: what
            they set on it is not kept.

    Raises:
        NpuTuneError: what went wrong, with a remedy; :mod:`npu_tune.errors` lists the kinds.
    """
    from npu_tune.tuning import run_study  # noqa: PLC0415 - brings Optuna
    from npu_tune.tuning.config import model_name  # noqa: PLC0415
    from npu_tune.tuning.folder import kept_identity  # noqa: PLC0415
    from npu_tune.tuning.study_file import parse_study, without_none  # noqa: PLC0415
    from npu_tune.validation import keys_called  # noqa: PLC0415

    network = model if isinstance(model, Network) else None
    name = network.name if network else os.fspath(model)  # type: ignore[arg-type]
    made = None if isinstance(target, str) else target
    target_name = target if isinstance(target, str) else target.name
    folder = (
        Path(study) if study is not None else Path("runs") / f"{model_name(name)}-{target_name}"
    )
    metrics, weights = metrics_and_weights(objective)
    require_name_for_options(target, options)
    instance = sampler if sampler is not None and not isinstance(sampler, str) else None
    document = {
        "model": {"path": name, "calibration": calibration, "check": check},
        "target": {"name": target_name, **(options or {})},
        "study": {
            **kept_identity(folder, storage),
            "folder": folder.resolve(),
            "cache": cache if cache is None or isinstance(cache, bool) else Path(cache),
            "from": [os.fspath(each) for each in sources],
            "seed": seed,
            "evaluations": evaluations,
            "wall_time": wall_time,
            "polish": polish,
        },
        "sampler": {
            "name": sampler if isinstance(sampler, str) else None,
            **(sampler_options or {}),
        },
        "objective": {
            "metrics": metrics,
            "weights": weights,
            "mode": mode,
            "directions": dict.fromkeys(_several(maximize), "maximize"),
        },
        "limits": dict(limits) if isinstance(limits, Mapping) else _several(limits),
        "executor": {
            "kind": executor,
            "workers": workers,
            "timeout_s": timeout,
            "memory_limit": memory_limit,
            "address": address,
            "start_timeout_s": start_timeout,
            "num_cpus": num_cpus,
            "memory": memory,
            "resources": None if resources is None else dict(resources),
            "runtime_env": None if runtime_env is None else dict(runtime_env),
        },
    }
    with keys_called({key: f"the argument {name!r}" for key, name in _ARGUMENTS.items()}):
        parsed = parse_study(without_none(document), base=Path.cwd(), source="tune")
        return run_study(
            parsed,
            network=network,
            target=made,
            sampler=instance,
            listener=listener,
            callbacks=callbacks,
        )


def load_study(folder: str | os.PathLike[str]) -> StudyResult:
    """Reads a study from its folder, also while it runs.

    Raises:
        UsageError: if there is no study in the folder.
        StorageError: if it cannot be read, or holds nothing yet.
    """
    from npu_tune.tuning import read_study  # noqa: PLC0415 - brings Optuna

    return read_study(Path(folder))


def study_result(study: Study) -> StudyResult:
    """A study as a value: read from its folder, as by :func:`load_study`, where it is none yet."""
    from npu_tune.tuning import StudyResult  # noqa: PLC0415 - brings Optuna

    return study if isinstance(study, StudyResult) else load_study(study)


def export(
    study: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    pick: str = "best",
    target: Target | None = None,
    force: bool = False,
) -> Artifact:
    """Builds one trial of a study: the file to deploy, its configuration and its exact metrics.

    Args:
        study: the study's folder.
        out: the folder to write into.
        pick: ``best`` (lowest cost), ``knee`` (of the front), a metric's name, or a trial's number.
        target: that the study was tuned for, where it was given as a value; made from the study's
            file if None.
        force: overwrite what an export of something else has put there.

    Raises:
        UsageError: if there is no such study or trial, or if files would be overwritten that
            hold something else.
        StudyMismatchError: if model, compiler or target are not what they were.
        EvaluationError: if the trial does not compile.
        StorageError: if the folder cannot be written.
    """
    from npu_tune.report.build import build_trial  # noqa: PLC0415 - brings Optuna

    return build_trial(Path(study), pick, Path(out), target=target, force=force).artifact


def metrics_and_weights(
    objective: str | Iterable[str] | Mapping[str, float] | None,
) -> tuple[list[str] | None, list[float] | None]:
    """Names and weights, as a study file has them, of an argument ``objective``.

    Raises:
        UsageError: if the weights add up to nothing.
    """
    if objective is None:
        return None, None
    if isinstance(objective, str):
        return [objective], None
    if isinstance(objective, Mapping):
        total = sum(objective.values())
        if not total > 0:
            raise UsageError(
                f"The weights of the objective add up to {total:g}.",
                remedy="Give every metric a weight above 0.",
            )
        return list(objective), [float(weight) / total for weight in objective.values()]
    return list(objective), None


def _several(texts: str | Iterable[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)
