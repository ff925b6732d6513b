import sys

import pytest

from npu_tune.errors import ExecutorError
from npu_tune.evaluation.pool.children import Child, describe_exit


@pytest.mark.parametrize(
    ("status", "said"),
    [(0, "exit status 0"), (3, "exit status 3"), (-11, "killed by SIGSEGV"), (-99, "signal 99")],
)
def test_an_exit_status_is_put_into_words(status, said):
    assert describe_exit(status).endswith(said)


def test_a_child_that_cannot_be_started_is_an_error_of_the_executor(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    with pytest.raises(ExecutorError, match="cannot be started: No such file"):
        Child("npu_tune.evaluation.pool.worker", stop_s=1.0)
