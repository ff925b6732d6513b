from __future__ import annotations

from dataclasses import replace

from study_results import study_result

from npu_tune.report.failures import FailureCount, failure_counts


def test_failures_are_counted_by_what_was_said_duplicates_left_out():
    failed = study_result().trials[5]
    more = [
        replace(failed, number=8),
        replace(failed, number=9, failure="timeout", message="300 s"),
        replace(failed, number=10, duplicate_of=5),
    ]
    assert failure_counts(study_result(*more)) == (
        FailureCount("compiler-error", "block_config does not fit", trials=2, first=5),
        FailureCount("timeout", "300 s", trials=1, first=9),
    )
