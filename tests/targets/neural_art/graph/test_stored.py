"""What a file spends on weights and other constants, and what of it counts."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from imported_graphs import imported, only
from litert_operators import operator_file
from onnx import TensorProto, helper, numpy_helper
from small_graphs import metrics_of
from tflite_files import TfliteFile

from npu_tune.network import Network, network_from_bytes
from npu_tune.targets import Evaluation, load_target
from npu_tune.targets.neural_art.graph import graph_of

CHANNELS = 4 * 16


def evaluated(network: Network, target: str = "neural-art-stm32n6", **options: Any) -> Evaluation:
    with load_target(target, options).bind(network) as problem:
        return problem.evaluate(problem.space.default)


def dequantized(dtype: Any, *, transposed: bool = False) -> Network:
    """A convolution of 16 x 16 x 3 x 3 weights that an ONNX file stores as integers."""
    codes = np.random.default_rng(0).integers(-2, 2, (16, 16, 3, 3)).astype(np.int8)
    codes = np.abs(codes) if np.dtype(dtype).name.startswith("u") else codes
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scales"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "turned" if transposed else "w"], ["y"], pads=[1] * 4),
    ]
    if transposed:
        nodes.insert(1, helper.make_node("Transpose", ["w"], ["turned"], perm=[0, 1, 3, 2]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 16, 8, 8)) for name in "xy"]
    constants = [
        numpy_helper.from_array(codes.astype(dtype), "codes"),
        numpy_helper.from_array(np.full(16, 0.1, np.float32), "scales"),
    ]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12)
    onnx.checker.check_model(model)
    return network_from_bytes(model.SerializeToString(), "onnx", "test")


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        (np.int8, 8),
        (ml_dtypes.int4, 4),
        (ml_dtypes.uint4, 4),
        (ml_dtypes.int2, 2),
        (np.int16, 16),
    ],
)
def test_dequantized_weights_take_the_bits_that_the_file_has(dtype, bits, transposed) -> None:
    evaluation = evaluated(dequantized(dtype, transposed=transposed))
    weights = 16 * 16 * 3 * 3 * bits // 8
    assert evaluation.metrics["flash_bytes"] == weights + CHANNELS
    assert evaluation.metrics["traffic_flash_bytes"] == weights


@pytest.mark.parametrize(("dtype", "bits"), [("int8", 8), ("int4", 4), ("int2", 2)])
def test_weights_of_tflite_take_the_bits_that_the_file_has(dtype: str, bits: int) -> None:
    file = TfliteFile()
    x, y = file.tensor("x", (1, 8, 8, 16)), file.tensor("y", (1, 8, 8, 16))
    weights = 16 * 16 * 3 * 3 * bits // 8
    data = np.random.default_rng(0).bytes(weights)
    w = file.tensor("w", (16, 3, 3, 16), dtype, data=data, scales=[0.1] * 16)
    options = dict.fromkeys(("strideW", "strideH", "dilationWFactor", "dilationHFactor"), 1)
    file.operator("CONV_2D", [x, w], [y], **options)
    evaluation = evaluated(file.ends([x], [y]).network())
    assert evaluation.metrics["flash_bytes"] == weights + CHANNELS
    assert evaluation.metrics["traffic_flash_bytes"] == weights


def test_a_layer_whose_weights_have_four_bits_offers_no_other_width() -> None:
    target = load_target("neural-art-stm32n6", {"four_bit_weights": True})
    for dtype, offered in ((np.int8, True), (ml_dtypes.int4, False), (np.int16, False)):
        with target.bind(dequantized(dtype)) as problem:
            names = {knob.name for knob in problem.space.knobs}
            assert ("weight_bits" in names) is offered


def test_four_bits_compress_to_no_more_than_four_bits() -> None:
    with load_target("neural-art-stm32n6").bind(dequantized(ml_dtypes.int4)) as problem:
        compressed = problem.space.complete({"y/weight_compression": True})
        plain = problem.evaluate(problem.space.default).metrics["flash_bytes"]
        assert problem.evaluate(compressed).metrics["flash_bytes"] <= plain


def test_an_in_memory_tile_holds_twice_as_many_kernels_of_four_bits() -> None:
    cycles = {}
    for dtype in (np.int8, ml_dtypes.int4):
        with load_target("neural-art-dimc").bind(dequantized(dtype)) as problem:
            chosen = problem.space.complete({"y/unit": "dimc"})
            cycles[dtype] = problem.evaluate(chosen).metrics["flash_bytes"]
    assert cycles[ml_dtypes.int4] < cycles[np.int8]


def test_constants_of_the_cpu_are_in_flash_by_the_types_of_the_file() -> None:
    look_up = operator_file("EMBEDDING_LOOKUP").network()
    evaluation = evaluated(look_up)
    assert only(graph_of(look_up)).constant_bytes == 100 * 8
    assert evaluation.metrics["flash_bytes"] == 100 * 8
    # A look-up reads no more than it writes.
    assert evaluation.metrics["traffic_flash_bytes"] == 4 * 8

    svdf = evaluated(operator_file("SVDF").network())
    assert svdf.metrics["flash_bytes"] == 16 * 8 + 2 * 16 * 10 + 4 * 16
    assert svdf.metrics["traffic_flash_bytes"] == svdf.metrics["flash_bytes"]


def test_real_constants_of_the_cpu_become_int8() -> None:
    graph = imported(
        "y, h, c = LSTM<hidden_size=4>(x, w, r)",
        {"w": (1, 16, 8), "r": (1, 16, 4)},
        inputs="float[6,1,8] x",
    )
    assert only(graph).constant_bytes == 16 * 8 + 16 * 4


def test_constants_that_the_cpu_does_not_read_are_not_there() -> None:
    assert evaluated(operator_file("SOFTMAX").network()).metrics["flash_bytes"] == 0


@pytest.mark.parametrize("nodes", ["y = Concat<axis=1>(x, c)", "y = Concat<axis=1>(c, x)"])
def test_a_constant_that_is_joined_to_a_map_takes_flash(nodes: str) -> None:
    graph = imported(nodes, {"c": (1, 8, 12, 10)})
    assert only(graph).weights.elements == 8 * 12 * 10
    assert metrics_of(graph)["flash_bytes"] == 8 * 12 * 10
    assert metrics_of(graph)["traffic_flash_bytes"] == 8 * 12 * 10


@pytest.mark.parametrize("slopes", [(8, 1, 1), (8, 12, 10)])
def test_slopes_take_flash_unless_they_are_one_number(slopes: tuple[int, ...]) -> None:
    nodes, elements = "a = Conv(x, w) y = PRelu(a, s)", int(np.prod(slopes))
    one, many = (
        metrics_of(imported(nodes, {"w": (8, 8, 1, 1), "s": shape})) for shape in ((1,), slopes)
    )
    assert many["flash_bytes"] - one["flash_bytes"] == elements
    assert many["traffic_flash_bytes"] - one["traffic_flash_bytes"] == elements


def test_constants_of_tflite_that_are_joined_or_are_slopes_take_flash() -> None:
    for op, constant, shape in (
        ("CONCATENATION", (1, 8, 8, 2), (1, 8, 8, 6)),
        ("PRELU", (1, 1, 4), (1, 8, 8, 4)),
    ):
        file = TfliteFile()
        x, y = file.tensor("x", (1, 8, 8, 4)), file.tensor("y", shape)
        c = file.tensor("c", data=np.ones(constant, np.int8))
        file.operator(op, [x, c], [y], **({"axis": 3} if op == "CONCATENATION" else {}))
        found = evaluated(file.ends([x], [y]).network()).metrics["flash_bytes"]
        assert found == np.prod(constant), op
