from __future__ import annotations

import re
import subprocess
import sys

import pytest
from measured_cases import separable_network

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
    with load_target("cpu-onnxruntime").bind(separable_network()) as problem:
        artifact = problem.build(problem._back_end.in_int8(["c1", "c3"]), tmp_path / "out")
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")
    program = moved / artifact.files["script"].name
    ended = subprocess.run(
        [sys.executable, "-I", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    time, outputs = ended.stdout.split("\n", 1)
    assert re.fullmatch(r"\d+\.\d{3} ms", time)
    assert len(re.findall(r"-?\d+\.\d*", outputs)) == 5
