from __future__ import annotations

import numpy as np
import pytest

from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode


@pytest.fixture
def graph() -> OnnxGraph:
    return OnnxGraph(
        nodes=[
            OnnxNode("Relu", "first", ["x"], ["a"]),
            OnnxNode("Mul", "second", ["a", "w"], ["b"]),
            OnnxNode("Add", "third", ["a", "b"], ["y"]),
            OnnxNode("Abs", "unread", ["a"], ["z"]),
        ],
        constants={"w": np.ones(2, np.float32), "v": np.ones(2, np.float32)},
        shapes=dict.fromkeys(["x", "a", "b", "y", "z", "w", "v"], (1, 2)),
        inputs=["x"],
        outputs=["y"],
        opset=13,
    )


def test_the_only_consumer_is_the_only_reader_of_what_is_no_output(graph: OnnxGraph) -> None:
    assert graph.only_consumer("b") is graph.nodes[2]
    assert graph.only_consumer("a") is None
    graph.outputs.append("b")
    assert graph.only_consumer("b") is None


def test_nodes_and_constants_that_no_output_depends_on_are_removed(graph: OnnxGraph) -> None:
    graph.remove_unused()
    assert [node.name for node in graph.nodes] == ["first", "second", "third"]
    assert graph.constants.keys() == {"w"}


def test_new_names_avoid_those_in_use(graph: OnnxGraph) -> None:
    assert graph.new_name("c") == "c"
    assert graph.add_constant("w", np.zeros(3)) == "w#2"
    assert graph.new_name("w") == "w#3"


def test_run_time_tensors_come_inputs_first_in_execution_order(graph: OnnxGraph) -> None:
    assert list(graph.tensors()) == ["x", "a", "b", "y", "z"]
    assert graph.run_time_inputs(graph.nodes[1]) == ["a"]
