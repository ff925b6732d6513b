from __future__ import annotations

import numpy as np
import pytest
from measured_cases import separable_network
from packages import printed_outputs, true_outputs

from npu_tune.targets import load_target
from npu_tune.targets.cpu_onnxruntime.engine import OPTIMIZATIONS
from npu_tune.targets.cpu_onnxruntime.script import script


@pytest.mark.parametrize("level", OPTIMIZATIONS)
@pytest.mark.parametrize("threads", [1, 4])
def test_the_program_says_what_was_measured(level, threads):
    text = script(level, threads)
    compile(text, "run.py", "exec")
    assert OPTIMIZATIONS[level] in text
    assert f"intra_op_num_threads = {threads}\n" in text


def test_an_export_runs_by_itself_in_another_process_and_folder(tmp_path):
    network = separable_network()
    with load_target("cpu-onnxruntime").bind(network) as problem:
        artifact = problem.build(problem._back_end.in_int8(["c1", "c3"]), tmp_path / "out")
    true = true_outputs(network, artifact.files["input"])
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")
    found = printed_outputs(moved / artifact.files["script"].name, cwd=tmp_path)
    assert found == pytest.approx(true, abs=float(0.05 * np.abs(true).max()))
