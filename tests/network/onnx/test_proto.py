from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.onnx.proto import graph_to_onnx


def test_constants_keep_their_rank_and_values() -> None:
    constants = {
        "scalar": np.asarray(0.5, np.float32),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "repeated": np.broadcast_to(np.float32(3), (2, 2)),
    }
    graph = OnnxGraph(
        nodes=[OnnxNode("Add", "", ["x", "scalar"], ["y"])],
        constants=constants,
        shapes={"x": (), "y": ()},
        inputs=["x"],
        outputs=["y"],
        opset=18,
    )
    written = {t.name: numpy_helper.to_array(t) for t in graph_to_onnx(graph).graph.initializer}
    assert {n: v.shape for n, v in written.items()} == {n: v.shape for n, v in constants.items()}
    for name, value in constants.items():
        np.testing.assert_array_equal(written[name], value)
