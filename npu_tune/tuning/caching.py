"""The cache of evaluations that a study uses, and how its problem is told there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npu_tune.evaluation.cache import Cache, default_cache, named_cache
from npu_tune.targets import Problem
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.warm.traits import layer_traits, traits_to_json


def study_cache(study: StudyFile, *, by_name: bool) -> Cache | None:
    """The cache that a study uses; None where it uses none.

    Args:
        study: names a folder, or says that there is to be none.
        by_name: True where the target was made by its name. The code of one that was given as a
            value may change without its version, so that it uses no cache that nobody named.
    """
    asked = study.study.cache
    if isinstance(asked, Path):
        return named_cache(asked)
    return default_cache() if asked is None and by_name else None


def describe_problem(study: StudyFile, problem: Problem) -> dict[str, Any]:
    """How a problem can be bound again, and what its default is, as JSON."""
    calibration = study.model.calibration
    return {
        "identity": problem.identity.to_dict(),
        "model": {
            "name": problem.network.name,
            "path": study.model.path,
            "calibration": None if calibration is None else str(calibration),
            "check": study.model.check,
        },
        "target": study.target.model_dump(mode="json"),
        "deterministic": problem.deterministic,
        "default": dict(problem.space.default),
        "layers": traits_to_json(layer_traits(problem.network, problem.space.layers)),
        "cost": problem.profile.cost,
    }
