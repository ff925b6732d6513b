from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import hostile_graphs
import hostile_onnx
import numpy as np
import pytest
from two_runtimes import onnx_model

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes
from npu_tune.network.budget import MOST_LAYERS
from npu_tune.targets.measured.folding import float_graph


@pytest.mark.slow
def test_files_that_stand_for_gigabytes_are_refused_in_little_memory(tmp_path: Path) -> None:
    script = Path(hostile_onnx.__file__)
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert set(report["said"]) == set(hostile_onnx.FILES)
    for name, words in report["said"].items():
        assert all(each.startswith("3 ") for each in words.split(" / ")), (name, words)
        assert "damaged" not in words, (name, words)
    assert report["peak_bytes"] < 2_000_000_000


def test_more_operators_than_any_network_has_are_refused_before_anything_is_made_of_them() -> None:
    content = hostile_graphs.many_nodes(MOST_LAYERS + 1, "Relu")
    with pytest.raises(ModelError, match="has 20,001 operators"):
        network_from_bytes(content, "onnx", "many")
    assert len(network_from_bytes(hostile_graphs.many_nodes(3, "Relu"), "onnx", "few").layers) == 3


def test_a_tensor_of_the_run_time_that_fits_no_memory_is_refused_by_its_name() -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { b = Expand(x, s) y = ReduceSum(b) }",
        {"s": np.asarray([400_000_000, 4])},
    )
    with pytest.raises(ModelError, match=r"the tensor 'b' takes 6\.4 GB"):
        network_from_bytes(model.SerializeToString(), "onnx", "large")


@pytest.mark.parametrize("size", [10_000_000, 60_000_000])
def test_what_onnxruntime_would_compute_beforehand_is_counted_before_it_does(size: int) -> None:
    model = onnx_model(
        "(float[1,4] x) => (float y) { b = ConstantOfShape(s) r = ReduceMean(b) y = Add(x, r) }",
        {"s": np.asarray([size, 4])},
    )
    network = network_from_bytes(model.SerializeToString(), "onnx", "constant")
    if size < 50_000_000:
        assert float_graph(network).nodes
        return
    with pytest.raises(ModelError, match="the result of 'b'"):
        float_graph(network)


def test_bodies_within_bodies_are_read_or_refused() -> None:
    for depth in (2, 90, 3000):
        with contextlib.suppress(ModelError):
            network_from_bytes(hostile_graphs.nested(depth), "onnx", "nested")
