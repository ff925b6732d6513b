"""Opens the ledger that a study writes."""

from __future__ import annotations

from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.folder import is_study_folder, make_study_folder
from npu_tune.tuning.ledger import PatientLedger, open_ledger
from npu_tune.tuning.objective import Objective


def open_study_ledger(
    study: StudyFile, objective: Objective, *, join_wait_s: float
) -> PatientLedger:
    """Makes a study's folder and opens its ledger for writing; both may be there already.

    Args:
        study: whose ledger it is.
        objective: of the study.
        join_wait_s: how long to wait until another driver lets this one in.

    Raises:
        StorageError: if either cannot be made or written, or another process writes it.
        StudyMismatchError: if another study is there.
    """
    # A folder that holds a study already goes on with that one. In a storage of its own no
    # other one may begin, while studies with folders of their own may share a database.
    is_own = study.study.storage is None or is_study_folder(study.folder)
    make_study_folder(study)
    ledger = open_ledger(
        study.storage,
        name=study.name,
        directions=objective.study_directions,
        metric_names=objective.study_metrics,
        join=not is_own,
        join_wait_s=join_wait_s,
    )
    return PatientLedger(ledger, retry_s=study.study.storage_retry)
