from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from two_runtimes import onnx_network

from npu_tune.errors import ModelError

WEIGHTS = np.random.default_rng(0).normal(size=(4, 4, 3, 3)).astype(np.float32)
CONVOLUTION = helper.make_node("Conv", ["a", "b"], ["t"], pads=[1, 1, 1, 1])
RELU = helper.make_node("Relu", ["t"], ["c"])
OLD_MEAN = helper.make_node("ReduceMean", ["t"], ["c"], axes=[2, 3])


def _function(nodes: list[NodeProto], opset: int, name: str = "F") -> FunctionProto:
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["a", "b"], ["c"], nodes, imports)


def _model(*functions: FunctionProto, opset: int = 18, calls: int = 2) -> ModelProto:
    """``y`` is the first function, called one after the other, with the weights ``w``."""
    steps = ["x", *(f"h{step}" for step in range(1, calls)), "y"]
    nodes = [
        helper.make_node("F", [before, "w"], [after], domain="own")
        for before, after in pairwise(steps)
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=9)


@pytest.mark.parametrize("opset", [11, 17, 18, 21])
def test_a_function_of_another_operator_set_with_the_same_operators_is_expanded(
    opset: int,
) -> None:
    convolution = CONVOLUTION if opset < 13 else RELU
    nodes = [CONVOLUTION, RELU] if opset >= 14 else [_renamed(convolution)]
    network = onnx_network(_model(_function(nodes, opset)))
    assert [layer.op for layer in network.layers] == 2 * [node.op_type for node in nodes]
    assert network.inputs == ("x",)


def _renamed(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.output[:] = ["c"]
    return copy


def test_a_function_of_an_older_operator_set_is_converted() -> None:
    network = onnx_network(_model(_function([CONVOLUTION, OLD_MEAN], 13), calls=1))
    assert [layer.op for layer in network.layers] == ["Conv", "ReduceMean"]
    assert network.tensors["y"].shape == (1, 4, 1, 1)
    assert network.inputs == ("x",)


def test_a_function_that_calls_one_of_another_operator_set_is_expanded() -> None:
    inner = _function([CONVOLUTION, RELU], 16, name="G")
    call = helper.make_node("G", ["a", "b"], ["c"], domain="own")
    network = onnx_network(_model(_function([call], 18), inner))
    assert [layer.op for layer in network.layers] == 2 * ["Conv", "Relu"]


@pytest.mark.parametrize(
    ("function", "opset"),
    [(_function([CONVOLUTION, RELU], 18), 13), (_function([CONVOLUTION, OLD_MEAN], 13), 18)],
    ids=["newer", "called twice"],
)
def test_a_function_that_cannot_be_converted_is_refused_by_name(
    function: FunctionProto, opset: int
) -> None:
    model = _model(function, opset=opset)
    with pytest.raises(ModelError, match=r"function 'F' of .* cannot be expanded"):
        onnx_network(model)


def test_a_call_with_more_inputs_than_the_function_has_is_refused() -> None:
    model = _model(_function([CONVOLUTION, RELU], 18))
    model.graph.node[0].input.append("x")
    with pytest.raises(ModelError, match="functions of 'test' cannot be expanded"):
        onnx_network(model)
