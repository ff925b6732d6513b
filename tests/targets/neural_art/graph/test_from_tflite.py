"""Single TFLite operators and what becomes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imported_graphs import check_graph, kinds, only, sizes

from npu_tune.errors import ModelError
from npu_tune.network import Layer, Network, Tensor
from npu_tune.targets.neural_art.graph import OperationGraph, graph_of

Shape = tuple[int, ...]
MAP = (1, 12, 10, 8)


def imported(
    layers: list[tuple[str, list[str], list[str], dict[str, Any]]],
    shapes: dict[str, Shape],
    constants: dict[str, Any] | None = None,
    *,
    outputs: tuple[str, ...] = ("y",),
    dtype: str = "int8",
    dtypes: dict[str, str] | None = None,
) -> OperationGraph:
    """The graph of operators (name, inputs, outputs, options); ``x`` is the input."""
    tensors = {
        name: Tensor(name, shape, (dtypes or {}).get(name, dtype))
        for name, shape in shapes.items()
    }
    for name, value in (constants or {}).items():
        data = np.asarray(value)
        tensors[name] = Tensor(name, data.shape, data.dtype.name, data=data)
    network = Network(
        name="test",
        format="tflite",
        layers=tuple(
            Layer(results[0], op, tuple(given), tuple(results), options)
            for op, given, results, options in layers
        ),
        tensors=tensors,
        inputs=("x",),
        outputs=outputs,
        model_bytes=b"",
    )
    graph = graph_of(network)
    check_graph(graph)
    return graph


def one(op: str, after: Shape, *given: Any, before: Shape = MAP, **options: Any) -> OperationGraph:
    """The graph of one operator with constants behind its first input."""
    constants = {f"c{place}": value for place, value in enumerate(given)}
    return imported(
        [(op, ["x", *constants], ["y"], options)], {"x": before, "y": after}, constants
    )


def int8(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(-127, 128, shape).astype(np.int8)


STRIDES = {"stride_h": 2, "stride_w": 1}


def test_a_convolution_keeps_its_geometry() -> None:
    options = {"dilation_hfactor": 1, "dilation_wfactor": 2, **STRIDES}
    graph = one(
        "CONV_2D",
        (1, 6, 10, 16),
        int8(16, 3, 5, 4),
        np.zeros(16, np.int32),
        fused_activation_function="RELU6",
        **options,
    )
    conv = only(graph)
    assert (conv.kernel, conv.stride, conv.dilation, conv.groups) == ((3, 5), (2, 1), (1, 2), 2)
    assert (conv.activation, conv.macs) == ("relu", 6 * 10 * 16 * 3 * 5 * 4)
    assert conv.weights is not None
    assert (conv.weights.elements, conv.weights.bias_channels) == (16 * 60, 16)
    assert (sizes(graph.maps["x"]), sizes(graph.maps["y"])) == ((8, 12, 10), (16, 6, 10))


def test_a_depthwise_convolution_has_as_many_groups_as_channels() -> None:
    conv = only(
        one(
            "DEPTHWISE_CONV_2D",
            (1, 6, 10, 16),
            int8(1, 3, 3, 16),
            fused_activation_function="TANH",
            **STRIDES,
        )
    )
    assert (conv.groups, conv.kernel, conv.activation) == (8, (3, 3), "lut")
    assert conv.weights is not None
    assert conv.weights.bias_channels == 0


def test_a_transposed_convolution_reads_its_third_input() -> None:
    graph = imported(
        [("TRANSPOSE_CONV", ["s", "w", "x"], ["y"], {"stride_h": 2, "stride_w": 2})],
        {"x": MAP, "y": (1, 24, 20, 4)},
        {"s": np.asarray([1, 24, 20, 4]), "w": int8(4, 2, 2, 8)},
    )
    conv = only(graph)
    assert (conv.inputs, conv.macs) == (("x",), 12 * 10 * 8 * 4 * 4)


def test_a_fully_connected_layer_reads_the_whole_map() -> None:
    graph = one("FULLY_CONNECTED", (1, 5), int8(5, 960), np.zeros(5, np.int32))
    conv = only(graph)
    assert (conv.macs, conv.kernel) == (4800, (1, 1))
    assert sizes(graph.maps["y"]) == (5, 1, 1)


@pytest.mark.parametrize(
    ("op", "options", "kind"),
    [
        ("LOGISTIC", {}, "activation+lut"),
        ("HARD_SWISH", {}, "activation+lut"),
        ("RELU", {}, "activation+relu"),
        ("SOFTMAX", {}, "software"),
        ("L2_NORMALIZATION", {}, "software"),
    ],
)
def test_operators_of_one_input(op: str, options: dict[str, Any], kind: str) -> None:
    graph = one(op, MAP, **options)
    assert kinds(graph) == [kind]


def test_a_map_times_its_own_sigmoid_is_one_function() -> None:
    graph = imported(
        [
            ("CONV_2D", ["x", "w"], ["a"], {"stride_h": 1, "stride_w": 1}),
            ("LOGISTIC", ["a"], ["b"], {}),
            ("MUL", ["a", "b"], ["y"], {}),
        ],
        {"x": MAP, "a": MAP, "b": MAP, "y": MAP},
        {"w": int8(8, 1, 1, 8)},
    )
    assert kinds(graph) == ["convolution+lut"]


def test_an_addition_keeps_its_activation() -> None:
    graph = imported(
        [
            ("RELU", ["x"], ["a"], {}),
            ("CONV_2D", ["x", "w"], ["b"], {"stride_h": 1, "stride_w": 1}),
            ("ADD", ["a", "b"], ["y"], {"fused_activation_function": "RELU"}),
        ],
        dict.fromkeys("xaby", MAP),
        {"w": int8(8, 1, 1, 8)},
    )
    assert kinds(graph)[-1] == "arithmetic+relu"


def test_padding_of_rows_and_columns_joins_the_convolution() -> None:
    amounts = np.asarray([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    layers = [
        ("PAD", ["x", "p"], ["a"], {}),
        ("CONV_2D", ["a", "w"], ["y"], {"stride_h": 1, "stride_w": 1}),
    ]
    shapes = {"x": MAP, "a": (1, 14, 12, 8), "y": MAP}
    constants = {"p": amounts, "w": int8(8, 3, 3, 8)}
    assert kinds(imported(layers, shapes, constants)) == ["convolution"]
    layers[0] = ("MIRROR_PAD", ["x", "p"], ["a"], {})
    assert kinds(imported(layers, shapes, constants)) == ["copy", "convolution"]


@pytest.mark.parametrize(("axes", "whole"), [([1, 2], True), ([1], False)])
def test_means_over_rows_and_columns_are_pools(axes: list[int], whole: bool) -> None:
    after = (1, 8) if whole else (1, 10, 8)
    pool = only(one("MEAN", after, np.asarray(axes, np.int32)))
    assert (pool.kind, pool.global_pool) == ("pool", whole)


def test_a_change_of_scale_is_free_and_noted() -> None:
    graph = imported(
        [("QUANTIZE", ["x"], ["a"], {}), ("RELU", ["a"], ["y"], {})], dict.fromkeys("xay", MAP)
    )
    assert only(graph).inputs == ("x",)
    assert any("change of scale" in note for note in graph.notes)


def test_real_inputs_quantized_to_sixteen_bits_are_sixteen_bits_wide() -> None:
    graph = imported(
        [("QUANTIZE", ["x"], ["a"], {}), ("RELU", ["a"], ["y"], {})],
        dict.fromkeys("xay", MAP),
        dtypes={"x": "float32", "a": "int16", "y": "int16"},
    )
    assert [graph.maps[name].bits for name in ("x", "y")] == [16, 16]


def test_half_precision_weights_are_unpacked() -> None:
    weights = np.random.default_rng(0).normal(size=(8, 1, 1, 8)).astype(np.float16)
    graph = imported(
        [
            ("DEQUANTIZE", ["h"], ["w"], {}),
            ("CONV_2D", ["x", "w"], ["y"], {"stride_h": 1, "stride_w": 1}),
        ],
        {"x": MAP, "w": (8, 1, 1, 8), "y": MAP},
        {"h": weights},
        dtype="float32",
    )
    conv = only(graph)
    assert conv.weights is not None
    assert conv.weights.entropy_bits > 4


def test_nearest_resizing_copies_and_linear_resizing_is_software() -> None:
    size = np.asarray([24, 20], np.int32)
    assert kinds(one("RESIZE_NEAREST_NEIGHBOR", (1, 24, 20, 8), size)) == ["copy"]
    assert kinds(one("RESIZE_BILINEAR", (1, 24, 20, 8), size)) == ["software"]


def test_a_split_is_a_copy_for_each_part_that_is_read() -> None:
    half = (1, 12, 10, 4)
    graph = imported(
        [("SPLIT", ["axis", "x"], ["a", "b"], {}), ("RELU", ["b"], ["y"], {})],
        {"x": MAP, "a": half, "b": half, "y": half},
        {"axis": np.int32(3)},
    )
    assert kinds(graph) == ["copy", "activation+relu"]


def test_sizes_that_a_converter_left_open_are_found() -> None:
    graph = imported(
        [
            ("CONV_2D", ["x", "w"], ["a"], {"stride_h": 1, "stride_w": 1}),
            ("SHAPE", ["a"], ["s"], {}),
            ("RESHAPE", ["a", "s"], ["b"], {}),
            ("CONCATENATION", ["b", "b"], ["c"], {"axis": 1}),
            ("SOFTMAX", ["c"], ["y"], {}),
        ],
        {"x": MAP, "a": (1, 12, 10, 2), "s": (4,), "b": (1, 1, 2), "c": (1, 1, 2), "y": (1, 1, 2)},
        {"w": int8(2, 1, 1, 8)},
        dtype="float32",
    )
    assert kinds(graph) == ["convolution", "copy", "software"]
    assert graph.maps["c"].elements == graph.maps["y"].elements == 2 * 240


def test_a_reshape_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ModelError, match=r"shape \(1, 7\) of the tensor 'y'.*before run time"):
        one("RESHAPE", (1, 7))
