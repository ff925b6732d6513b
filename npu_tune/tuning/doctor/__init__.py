"""Finds what is wrong with a study's storage, and repairs what can be repaired."""

from npu_tune.tuning.doctor.examine import examine_study
from npu_tune.tuning.doctor.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "examine_study"]
