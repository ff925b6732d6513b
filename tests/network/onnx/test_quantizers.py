from __future__ import annotations

import re

import numpy as np
import pytest
from two_runtimes import onnx_model

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.model import infer_shapes
from npu_tune.network.onnx.proto import graph_from_onnx
from npu_tune.network.onnx.quantizers import remove_quantizers


def graph_of(
    body: str, constants: dict[str, np.ndarray] | None = None, opset: int = 13
) -> OnnxGraph:
    model = onnx_model(body, constants or {}, opset=opset)
    return graph_from_onnx(infer_shapes(model, name="model"))


SCALES = {"s": np.asarray(0.5, np.float32), "z": np.asarray(-128, np.int8)}


def nodes_of(body: str, opset: int = 13) -> list[tuple[str, list[str]]]:
    """Operators and run-time inputs of what is left of a body with quantizers.

    Those are n (-64 to 63.5), w (-640 to 635) and u (0 to 127.5).
    """
    scales = {"n": 0.5, "w": 5.0, "u": 0.5}
    zero_points = {"n": np.int8(0), "w": np.int8(0), "u": np.int8(-128)}
    constants = {f"{name}s": np.asarray(scale, np.float32) for name, scale in scales.items()}
    constants |= {f"{name}z": np.asarray(value) for name, value in zero_points.items()}
    graph = graph_of(re.sub(r"(\w+) = Q\((\w+), (\w)\)", QUANTIZER, body), constants, opset)
    remove_quantizers(graph)
    return [(node.op, graph.run_time_inputs(node)) for node in graph.nodes]


QUANTIZER = r"\1q = QuantizeLinear(\2, \3s, \3z) \1 = DequantizeLinear(\1q, \3s, \3z)"


def test_a_quantizer_pair_becomes_a_clip_to_the_range_that_it_limits_values_to() -> None:
    graph = graph_of(
        "(float[1,2] x) => (float y)"
        " { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d) }",
        SCALES,
    )
    remove_quantizers(graph)
    assert [(node.op, node.inputs) for node in graph.nodes] == [
        ("Clip", ["x", "d/min", "d/max"]),
        ("Relu", ["d"]),
    ]
    assert (graph.constants["d/min"], graph.constants["d/max"]) == (0.0, 127.5)
    assert graph.ranges == {"x": (0.0, 127.5), "d": (0.0, 127.5)}


def test_a_clip_has_its_limits_as_attributes_in_old_operator_sets() -> None:
    assert nodes_of("(float[1,2] x) => (float y) { a = Q(x, n) y = Relu(a) }", opset=10) == [
        ("Clip", ["x"]),
        ("Relu", ["a"]),
    ]


def test_equal_quantizers_of_a_tensor_become_one_clip() -> None:
    body = "a = Q(x, n) b = Q(x, n) y = Relu(a) z = Tanh(b)"
    assert nodes_of(f"(float[1,2] x) => (float y, float z) {{ {body} }}") == [
        ("Clip", ["x"]),
        ("Relu", ["a"]),
        ("Tanh", ["a"]),
    ]


def test_unequal_quantizers_of_a_tensor_stay_apart() -> None:
    body = "a = Q(x, w) b = Q(x, n) y = Relu(a) z = Tanh(b)"
    assert nodes_of(f"(float[1,2] x) => (float y, float z) {{ {body} }}") == [
        ("Clip", ["x"]),
        ("Clip", ["x"]),
        ("Relu", ["a"]),
        ("Tanh", ["b"]),
    ]


def test_a_quantizer_of_values_that_are_within_its_limits_goes() -> None:
    body = "a = Q(x, n) b = Transpose(a) c = Q(b, w) d = Sigmoid(c) e = Q(d, w) y = Relu(e)"
    assert nodes_of(f"(float[1,2] x) => (float y) {{ {body} }}") == [
        ("Clip", ["x"]),
        ("Transpose", ["a"]),
        ("Sigmoid", ["b"]),
        ("Relu", ["d"]),
    ]


def test_values_are_limited_before_operators_that_select_from_them() -> None:
    body = (
        "a = Relu(x) b = Tanh(x) c = Concat<axis=1>(a, b) d = Flatten(c) e = Q(d, n) y = Relu(e)"
    )
    assert nodes_of(f"(float[1,2] x) => (float y) {{ {body} }}") == [
        ("Relu", ["x"]),
        ("Tanh", ["x"]),
        ("Clip", ["a"]),
        ("Concat", ["a/limited", "b"]),
        ("Flatten", ["c"]),
        ("Relu", ["d"]),
    ]


def test_what_others_read_too_is_limited_for_the_reader_of_the_quantizer_alone() -> None:
    body = "a = Relu(x) b = Flatten(a) c = Q(b, n) y = Relu(c) z = Tanh(b)"
    assert nodes_of(f"(float[1,2] x) => (float y, float z) {{ {body} }}") == [
        ("Relu", ["x"]),
        ("Flatten", ["a"]),
        ("Clip", ["b"]),
        ("Relu", ["c"]),
        ("Tanh", ["b"]),
    ]


def test_a_chain_of_any_length_is_followed() -> None:
    steps = " ".join(f"a{n + 1} = Transpose<perm=[1,0]>(a{n})" for n in range(1500))
    body = f"a0 = Q(x, n) {steps} b = Q(a1500, n) y = Relu(b)"
    assert nodes_of(f"(float[1,2] x) => (float y) {{ {body} }}")[0] == ("Clip", ["x"])


def test_a_quantizer_whose_integers_flow_on_is_refused() -> None:
    graph = graph_of("(float[1,2] x) => (int8 y) { y = QuantizeLinear(x, s, z) }", SCALES)
    with pytest.raises(UnsupportedOperatorError, match="not followed by a DequantizeLinear"):
        remove_quantizers(graph)


def pair(first: str, second: str, kind: str = "", **constants: object) -> OnnxGraph:
    return graph_of(
        f"(float[1,2] x) => (float y)"
        f" {{ q = QuantizeLinear{kind}({first}) d = DequantizeLinear({second}) y = Relu(d) }}",
        {name: np.asarray(value) for name, value in constants.items()},
        opset=21,
    )


def test_the_stated_type_of_the_integers_decides_the_range() -> None:
    graph = pair("x, s", "q, s", "<output_dtype=3>", s=np.float32(0.5))
    remove_quantizers(graph)
    assert graph.ranges["d"] == (-64.0, 63.5)


def test_without_a_zero_point_or_a_type_the_integers_have_no_sign() -> None:
    graph = pair("x, s", "q, s", s=np.float32(0.5))
    remove_quantizers(graph)
    assert graph.ranges["d"] == (0.0, 127.5)


@pytest.mark.parametrize(
    ("second", "constants", "reason"),
    [
        ("q, t, z", {"t": np.float32(0.25)}, "another scale or zero point"),
        ("q, s, o", {"o": np.int8(3)}, "another scale or zero point"),
    ],
)
def test_a_dequantizer_that_rescales_is_refused(
    second: str, constants: dict[str, object], reason: str
) -> None:
    graph = pair("x, s, z", second, s=np.float32(0.5), z=np.int8(0), **constants)
    with pytest.raises(UnsupportedOperatorError, match=reason):
        remove_quantizers(graph)


def test_several_scales_for_values_of_the_run_time_are_refused() -> None:
    graph = pair("x, s", "q, s", s=np.asarray([0.5, 0.25], np.float32))
    with pytest.raises(UnsupportedOperatorError, match="has 2 scales"):
        remove_quantizers(graph)


def test_floats_of_eight_bits_are_refused_as_codes() -> None:
    graph = pair("x, s", "q, s", "<output_dtype=17>", s=np.float32(0.5))
    with pytest.raises(UnsupportedOperatorError, match="float8_e4m3fn, which are no integers"):
        remove_quantizers(graph)
