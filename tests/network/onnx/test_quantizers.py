from __future__ import annotations

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


def test_quantizer_pairs_leave_the_range_that_they_limit_values_to() -> None:
    graph = graph_of(
        "(float[1,2] x) => (float y)"
        " { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) y = Relu(d) }",
        SCALES,
    )
    remove_quantizers(graph)
    assert [(node.op, node.inputs) for node in graph.nodes] == [("Relu", ["x"])]
    assert graph.ranges == {"x": (0.0, 127.5)}


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
    assert graph.ranges == {"x": (-64.0, 63.5)}


def test_without_a_zero_point_or_a_type_the_integers_have_no_sign() -> None:
    graph = pair("x, s", "q, s", s=np.float32(0.5))
    remove_quantizers(graph)
    assert graph.ranges == {"x": (0.0, 127.5)}


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
