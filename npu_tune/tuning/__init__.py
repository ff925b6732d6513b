"""Studies: the study file, the objective, the runner, and the ledger.

Modules are imported when their names are first used: Optuna is slow to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune._lazy import lazy_attributes

if TYPE_CHECKING:
    from npu_tune.tuning.config import StudyFile
    from npu_tune.tuning.problems import open_problem
    from npu_tune.tuning.progress import Listener, Progress
    from npu_tune.tuning.reading import read_study
    from npu_tune.tuning.records import StudyResult, require_feasible
    from npu_tune.tuning.samplers import sampler_names
    from npu_tune.tuning.study import run_study
    from npu_tune.tuning.study_file import load_study_file, parse_study, study_file_to_toml
    from npu_tune.tuning.trial import TrialRecord

__all__ = [
    "Listener",
    "Progress",
    "StudyFile",
    "StudyResult",
    "TrialRecord",
    "load_study_file",
    "open_problem",
    "parse_study",
    "read_study",
    "require_feasible",
    "run_study",
    "sampler_names",
    "study_file_to_toml",
]

_HOMES = {
    "Listener": "npu_tune.tuning.progress",
    "Progress": "npu_tune.tuning.progress",
    "StudyFile": "npu_tune.tuning.config",
    "StudyResult": "npu_tune.tuning.records",
    "TrialRecord": "npu_tune.tuning.trial",
    "load_study_file": "npu_tune.tuning.study_file",
    "open_problem": "npu_tune.tuning.problems",
    "parse_study": "npu_tune.tuning.study_file",
    "read_study": "npu_tune.tuning.reading",
    "require_feasible": "npu_tune.tuning.records",
    "run_study": "npu_tune.tuning.study",
    "sampler_names": "npu_tune.tuning.samplers",
    "study_file_to_toml": "npu_tune.tuning.study_file",
}


__getattr__ = lazy_attributes(__name__, _HOMES)
