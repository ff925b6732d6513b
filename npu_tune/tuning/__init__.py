"""Studies: the study file, the objective, the runner, its executors and the ledger."""

from npu_tune.tuning.progress import Listener, Progress
from npu_tune.tuning.records import StudyResult, TrialRecord, require_feasible
from npu_tune.tuning.study import load_study_network, read_study, run_study
from npu_tune.tuning.study_file import (
    StudyFile,
    load_study_file,
    parse_study,
    study_file_to_toml,
)

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
    "study_file_to_toml",
]
