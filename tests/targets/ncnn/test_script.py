from __future__ import annotations

import numpy as np
import pytest
from ncnn_cases import convolutions, network_of
from packages import printed_outputs, true_outputs

from npu_tune.targets import load_target
from npu_tune.targets.ncnn.engine import NcnnEngine
from npu_tune.targets.ncnn.plan import BF16, FLOAT, INT8
from npu_tune.targets.ncnn.script import script

LARGE = """
    c = Conv<kernel_shape=[3,3], strides=[2,2]>(x, w, b)
    g = GlobalAveragePool(c)
    y = Flatten(g)
"""


def test_the_program_sets_the_options_that_were_measured():
    engine = NcnnEngine(threads=3)
    text = script(engine, {})
    compile(text, "run.py", "exec")
    assert repr(engine.settings({})) in text


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "near"), [(FLOAT, 1e-4), (BF16, 0.05), (INT8, 0.05)])
def test_an_export_runs_by_itself_in_another_process_and_folder(precision, near, tmp_path):
    network = convolutions()
    with load_target("cpu-ncnn").bind(network) as problem:
        artifact = problem.build({"c2/precision": precision}, tmp_path / "out")
    true = true_outputs(network, artifact.files["input"])
    moved = (tmp_path / "out").rename(tmp_path / "elsewhere")
    found = printed_outputs(moved / artifact.files["script"].name, cwd=tmp_path)
    assert found == pytest.approx(true, abs=float(near * np.abs(true).max()))


@pytest.mark.slow
def test_an_export_with_a_large_input_computes_what_it_should(tmp_path):
    # Memory of this size goes back to the system as soon as nothing holds it.
    network = network_of(LARGE, {"w": (8, 3, 3, 3), "b": (8,)}, inputs="float[1,3,512,512] x")
    with load_target("cpu-ncnn").bind(network) as problem:
        artifact = problem.build({}, tmp_path)
    found = printed_outputs(artifact.files["script"], cwd=tmp_path)
    assert found == pytest.approx(true_outputs(network, artifact.files["input"]), abs=1e-4)
