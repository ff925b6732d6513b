"""Studies: the study file, the objective, the runner, its executors and the ledger.

Modules are imported when their names are first used: Optuna is slow to import, and a worker
process, which lives in this package too, can do without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npu_tune.tuning.progress import Listener, Progress
    from npu_tune.tuning.records import StudyResult, TrialRecord, require_feasible
    from npu_tune.tuning.samplers import sampler_names
    from npu_tune.tuning.sections import StudyFile
    from npu_tune.tuning.study import load_study_network, read_study, run_study
    from npu_tune.tuning.study_file import load_study_file, parse_study, study_file_to_toml

__all__ = [
    "Listener",
    "Progress",
    "StudyFile",
    "StudyResult",
    "TrialRecord",
    "load_study_file",
    "load_study_network",
    "parse_study",
    "read_study",
    "require_feasible",
    "run_study",
    "sampler_names",
    "study_file_to_toml",
]

_HOMES = {
    "Listener": "progress",
    "Progress": "progress",
    "StudyFile": "sections",
    "StudyResult": "records",
    "TrialRecord": "records",
    "load_study_file": "study_file",
    "load_study_network": "study",
    "parse_study": "study_file",
    "read_study": "study",
    "require_feasible": "records",
    "run_study": "study",
    "sampler_names": "samplers",
    "study_file_to_toml": "study_file",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
