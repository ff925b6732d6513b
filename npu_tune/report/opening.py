"""Opens the problem of a study once more."""

from __future__ import annotations

from dataclasses import replace

from npu_tune.errors import StudyMismatchError
from npu_tune.network import is_built_in, load_network, zoo_network
from npu_tune.targets import Problem, Target, load_target
from npu_tune.tuning import StudyResult, open_problem
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.identity import require_same_problem


def open_study_problem(
    study: StudyFile, result: StudyResult, target: Target | None = None, *, same: bool = True
) -> Problem:
    """The study's problem; the caller closes it.

    Args:
        study: the file in the study's folder.
        result: the study.
        target: instead of the one that the file names.
        same: refuse it unless it is still what it was.

    Raises:
        NpuTuneError: if model, compiler or target are not there, or not what they were.
    """
    target = target or load_target(study.target.name, study.target.options)
    if is_built_in(study.model.path):
        problem = _open_built_in(study, result, target)
    else:
        # The copy in the folder is called model; what is deployed carries the network's own name.
        network = replace(load_network(study.model.path), name=result.model)
        problem = open_problem(study.model, target, network=network)
    if not same:
        return problem
    try:
        require_same_problem(result.name, result.identity, problem.identity)
    except StudyMismatchError:
        problem.close()
        raise
    return problem


def _open_built_in(study: StudyFile, result: StudyResult, target: Target) -> Problem:
    """The problem of a built-in network, in the format that the study was of."""
    wanted = result.identity.model_sha256
    problem = open_problem(study.model, target)
    if problem.identity.model_sha256 == wanted:
        return problem
    for format_ in ("tflite", "onnx"):
        network = zoo_network(study.model.path, format=format_)
        if network.digest == wanted:
            problem.close()
            return open_problem(study.model, target, network=network)
    return problem
