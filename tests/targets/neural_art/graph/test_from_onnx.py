"""Single ONNX nodes and what becomes of them."""

from __future__ import annotations

import numpy as np
import pytest
from imported_graphs import imported, kinds, only, sizes
from two_runtimes import onnx_model, onnx_network

from npu_tune.targets.neural_art.graph import OperationKind, graph_of

OPSETS = (9, 11, 13, 17, 21)


@pytest.mark.parametrize("opset", OPSETS)
def test_a_convolution_keeps_its_geometry(opset: int) -> None:
    graph = imported(
        "y = Conv<pads=[1,1,1,1], strides=[2,1], dilations=[1,2], group=2>(x, w, b)",
        {"w": (6, 4, 3, 5), "b": (6,)},
        opset=opset,
    )
    conv = only(graph)
    assert (conv.kind, conv.op, conv.groups) == (OperationKind.CONVOLUTION, "Conv", 2)
    assert (conv.kernel, conv.stride, conv.dilation) == ((3, 5), (2, 1), (1, 2))
    assert sizes(graph.maps["x"]) == (8, 12, 10)
    assert sizes(graph.maps["y"]) == (6, 6, 4)
    assert conv.macs == 6 * 6 * 4 * 4 * 3 * 5
    assert conv.weights is not None
    assert (conv.weights.elements, conv.weights.bias_channels) == (6 * 4 * 3 * 5, 6)
    assert 6 < conv.weights.entropy_bits < 8


def test_a_depthwise_convolution_has_as_many_groups_as_channels() -> None:
    conv = only(imported("y = Conv<group=8>(x, w)", {"w": (16, 1, 3, 3)}))
    assert (conv.groups, conv.macs) == (8, 16 * 10 * 8 * 9)
    assert conv.weights is not None
    assert conv.weights.bias_channels == 0


def test_a_transposed_convolution_counts_every_input_element() -> None:
    graph = imported("y = ConvTranspose<strides=[2,2]>(x, w, b)", {"w": (8, 4, 2, 2), "b": (4,)})
    conv = only(graph)
    assert (conv.op, conv.kind, conv.stride) == (
        "ConvTranspose",
        OperationKind.CONVOLUTION,
        (2, 2),
    )
    assert conv.macs == 8 * 12 * 10 * 4 * 2 * 2
    assert conv.weights is not None
    assert conv.weights.bias_channels == 4
    assert sizes(graph.maps["y"]) == (4, 24, 20)


def test_a_one_dimensional_convolution_has_one_column() -> None:
    graph = imported(
        "a = Conv<strides=[2]>(x, w) y = MaxPool<kernel_shape=[2], strides=[2]>(a)",
        {"w": (6, 4, 5)},
        inputs="float[1,4,20] x",
    )
    conv, pool = graph.operations
    assert (conv.kernel, conv.stride, pool.kernel, pool.stride) == ((5, 1), (2, 1), (2, 1), (2, 1))
    assert [sizes(graph.maps[name]) for name in ("x", "a", "y")] == [
        (4, 20, 1),
        (6, 8, 1),
        (6, 4, 1),
    ]


@pytest.mark.parametrize(
    ("nodes", "shape"),
    [("y = Gemm<transB=1>(x, w, b)", (5, 40)), ("y = Gemm(x, w, b)", (40, 5))],
)
def test_a_gemm_is_a_convolution_of_a_vector(nodes: str, shape: tuple[int, int]) -> None:
    graph = imported(nodes, {"w": shape, "b": (5,)}, inputs="float[1,40] x")
    conv = only(graph)
    assert (conv.kind, conv.kernel, conv.macs) == (OperationKind.CONVOLUTION, (1, 1), 200)
    assert conv.weights is not None
    assert (conv.weights.elements, conv.weights.bias_channels) == (200, 5)
    assert (sizes(graph.maps["x"]), sizes(graph.maps["y"])) == ((40, 1, 1), (5, 1, 1))


def test_a_product_of_many_vectors_is_a_one_by_one_convolution() -> None:
    graph = imported(
        "a = MatMul(x, w) b = Add(a, v) y = Relu(b)",
        {"w": (8, 5), "v": (5,)},
        inputs="float[1,30,8] x",
    )
    conv = only(graph)
    assert (kinds(graph), conv.op, conv.macs) == (["convolution+relu"], "MatMul", 30 * 8 * 5)
    assert conv.weights is not None
    assert conv.weights.bias_channels == 5
    assert [sizes(graph.maps[name]) for name in ("x", "y")] == [(8, 30, 1), (5, 30, 1)]


@pytest.mark.parametrize("opset", [9, 13, 18])
def test_a_mean_over_rows_and_columns_is_a_global_pool(opset: int) -> None:
    mean = (
        "y = ReduceMean(x, axes)" if opset >= 18 else "y = ReduceMean<axes=[2,3], keepdims=0>(x)"
    )
    constants = {"axes": np.asarray([-1, -2])} if opset >= 18 else {}
    pool = only(imported(mean, constants=constants, opset=opset))
    assert (pool.kind, pool.global_pool, pool.kernel) == (OperationKind.POOL, True, (12, 10))


@pytest.mark.parametrize(
    "node",
    [
        "GlobalAveragePool(x)",
        "GlobalMaxPool(x)",
        "AveragePool<kernel_shape=[12,10]>(x)",
    ],
)
def test_a_pool_over_the_whole_map_is_global(node: str) -> None:
    graph = imported(f"a = {node} y = Flatten(a)")
    pool = only(graph)
    assert (pool.global_pool, pool.kernel) == (True, (12, 10))
    assert sizes(graph.maps[graph.outputs[0]]) == (8, 1, 1)


def test_other_pools_are_not_global() -> None:
    pool = only(imported("y = MaxPool<kernel_shape=[3,2], strides=[2,1]>(x)"))
    assert (pool.global_pool, pool.kernel, pool.stride) == (False, (3, 2), (2, 1))


def test_means_over_rows_and_then_columns_are_one_pool() -> None:
    pool = only(
        imported("a = ReduceMean<axes=[3], keepdims=0>(x) y = ReduceMean<axes=[2], keepdims=0>(a)")
    )
    assert (pool.global_pool, pool.kernel) == (True, (12, 10))


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ("y = Softmax(x)", "normalizes over all channels"),
        ("y = LRN<size=3>(x)", "neighbouring channels"),
        ("y = ReduceMean<axes=[1]>(x)", "other dimensions than rows and columns"),
        ("y = ReduceSum<axes=[2]>(x)", "no unit computes ReduceSum"),
        ("y = ArgMax<axis=1>(x)", "no unit computes ArgMax"),
        ("t = Transpose<perm=[0,1,3,2]>(x) y = MatMul(x, t)", "both factors"),
        ("y = Conv(x, x)", "weights are computed at run time"),
    ],
)
def test_what_has_no_unit_runs_in_software(nodes: str, reason: str) -> None:
    opset = 11
    inputs = "float[8,8,1,1] x" if "Conv" in nodes else "float[1,8,12,10] x"
    outputs = "int64 y" if "ArgMax" in nodes else "float y"
    last = imported(nodes, inputs=inputs, outputs=outputs, opset=opset).operations[-1]
    assert last.kind is OperationKind.SOFTWARE
    assert reason in last.software_reason


def test_all_outputs_of_software_are_of_one_operation() -> None:
    graph = imported(
        "values, indices = TopK<axis=1>(x, k) y = Relu(values) z = Identity(indices)",
        constants={"k": np.asarray([3])},
        outputs="float y, int64 z",
    )
    first, relu = graph.operations
    assert first.outputs == ("values", "indices")
    assert first.inputs == ("x",)
    assert (relu.kind, relu.activation) == (OperationKind.ACTIVATION, "relu")
    assert graph.maps["indices"].bits == 32


def test_a_recurrent_layer_of_which_one_output_is_read_is_one_operation() -> None:
    graph = imported(
        "y, h, c = LSTM<hidden_size=4>(x, w, r)",
        {"w": (1, 16, 8), "r": (1, 16, 4)},
        inputs="float[6,1,8] x",
    )
    assert only(graph).outputs == ("y",)
    assert only(graph).macs == 6 * (16 * 8 + 16 * 4)
    assert only(graph).constant_bytes == 16 * 8 + 16 * 4


@pytest.mark.parametrize("opset", OPSETS)
def test_resizing_to_the_nearest_copies_and_interpolating_is_software(opset: int) -> None:
    scales = {"s": np.asarray([1, 1, 2, 2], np.float32)}
    for mode, kind in (("nearest", OperationKind.COPY), ("linear", OperationKind.SOFTWARE)):
        call = f'Upsample<mode="{mode}">(x, s)' if opset < 10 else f'Resize<mode="{mode}">(x, , s)'
        operation = only(imported(f"y = {call}", constants=scales, opset=opset))
        assert operation.kind is kind
        if kind is OperationKind.SOFTWARE:
            assert "interpolates" in operation.software_reason


@pytest.mark.parametrize("opset", [9, 13])
def test_each_part_of_a_split_that_is_read_is_a_copy(opset: int) -> None:
    node = "a, b, c = Split<axis=1, split=[2,2,4]>(x)"
    constants = {}
    if opset >= 13:
        node, constants = "a, b, c = Split<axis=1>(x, s)", {"s": np.asarray([2, 2, 4])}
    graph = imported(f"{node} y = Add(a, b)", constants=constants, opset=opset)
    assert kinds(graph) == ["copy", "copy", "arithmetic"]
    assert [sizes(graph.maps[op.output]) for op in graph.operations[:2]] == [(2, 12, 10)] * 2


def test_a_concatenation_is_one_copy_of_all_its_inputs() -> None:
    graph = imported("a = Conv(x, w) b = Relu(x) y = Concat<axis=1>(a, b, x)", {"w": (4, 8, 1, 1)})
    copy = graph.operations[-1]
    assert (copy.kind, copy.inputs) == (OperationKind.COPY, ("a", "b", "x"))
    assert sizes(graph.maps["y"]) == (20, 12, 10)


@pytest.mark.parametrize(
    "node",
    [
        "Slice<axes=[2], starts=[1], ends=[5]>(x)",
        "DepthToSpace<blocksize=2>(x)",
        "SpaceToDepth<blocksize=2>(x)",
    ],
)
def test_cutting_and_rearranging_are_copies(node: str) -> None:
    assert kinds(imported(f"y = {node}", opset=9)) == ["copy"]


def test_a_slice_that_takes_everything_is_nothing() -> None:
    graph = imported("a = Slice<axes=[2], starts=[0], ends=[99]>(x) y = Relu(a)", opset=9)
    assert only(graph).inputs == ("x",)


@pytest.mark.parametrize(
    ("axes", "perm", "wanted"),
    [
        # layout only
        ("float[1,8,12,10] x", "0,2,3,1", []),
        ("float[1,12,10,8] x", "0,3,1,2", []),
        ("float[1,1,12,10] x", "0,2,1,3", []),
        ("float[1,8,12] x", "0,2,1", []),
        # data moves
        ("float[1,8,12,10] x", "0,1,3,2", ["copy"]),
        ("float[1,8,12,10] x", "0,2,1,3", ["copy"]),
        ("float[1,2,4,12,10] x", "0,2,1,3,4", ["copy"]),
    ],
)
def test_a_transposition_is_a_copy_where_data_moves(
    axes: str, perm: str, wanted: list[str]
) -> None:
    graph = imported(f"a = Transpose<perm=[{perm}]>(x) y = Softmax<axis=1>(a)", inputs=axes)
    assert kinds(graph) == [*wanted, "software"]


def test_wide_integers_take_more_bits() -> None:
    graph = imported("y = Relu(x)", inputs="int16[1,8] x", outputs="int16 y", opset=14)
    assert [graph.maps[name].bits for name in ("x", "y")] == [16, 16]


def test_second_outputs_of_hardware_operations_are_software() -> None:
    graph = imported(
        "y, i = MaxPool<kernel_shape=[2,2]>(x) z = Identity(i)", outputs="float y, int64 z"
    )
    assert [operation.kind for operation in graph.operations] == [
        OperationKind.POOL,
        OperationKind.SOFTWARE,
    ]
    assert "other outputs" in graph.operations[1].software_reason


def test_filled_constants_are_computed_from_known_shapes() -> None:
    graph = imported(
        "s = Shape(x) t = Slice(s, b, e) f = ConstantOfShape<value = float[1] {2.0}>(t)"
        "u = Relu(x) y = Mul(u, f)",
        constants={"b": np.asarray([2]), "e": np.asarray([4])},
    )
    assert kinds(graph) == ["activation+relu", "arithmetic"]


def test_looking_up_a_constant_is_software() -> None:
    graph = imported("y = Gather(table, x)", {"table": (100, 16)}, inputs="int64[1,7] x", opset=13)
    assert only(graph).kind is OperationKind.SOFTWARE


def test_a_bias_of_the_run_time_makes_a_convolution_software() -> None:
    graph = imported(
        "b = GlobalAveragePool(x) d = Reshape(b, z) y = Conv(x, w, d)",
        {"w": (8, 8, 1, 1)},
        {"z": np.asarray([8])},
    )
    assert kinds(graph) == ["pool", "software"]


def test_a_batch_counts_as_more_rows() -> None:
    graph = imported(
        "a = Conv(x, w) y = GlobalAveragePool(a)", {"w": (8, 8, 1, 1)}, inputs="float[4,8,6,5] x"
    )
    pool = graph.operations[1]
    assert (pool.kernel, pool.global_pool) == ((6, 5), True)
    assert [sizes(graph.maps[name]) for name in ("x", "y")] == [(8, 24, 5), (8, 4, 1)]


@pytest.mark.parametrize(("shape", "elements"), [((4, 1), 4), ((4, 5), 20)])
def test_an_addend_of_a_gemm_that_is_no_bias_is_added_behind(
    shape: tuple[int, int], elements: int
) -> None:
    graph = imported("y = Gemm(x, w, c)", {"w": (6, 5), "c": shape}, inputs="float[4,6] x")
    product, added = graph.operations
    assert (product.kind, added.kind) == (OperationKind.CONVOLUTION, OperationKind.ARITHMETIC)
    assert product.weights is not None
    assert added.weights is not None
    assert (product.weights.bias_channels, added.weights.elements) == (0, elements)
    assert product.macs == 4 * 6 * 5


def test_an_addend_of_a_gemm_that_is_computed_at_run_time_is_read() -> None:
    graph = imported(
        "y = Gemm<beta=0.5>(x, w, c)", {"w": (6, 5)}, inputs="float[4,6] x, float[4,5] c"
    )
    assert kinds(graph) == ["convolution", "arithmetic"]
    assert graph.operations[-1].inputs == (graph.operations[0].output, "c")


@pytest.mark.parametrize(
    ("nodes", "inputs", "opset", "reason"),
    [
        ("y, k, l = BatchNormalization<training_mode=1>(x, v, v, v, v)", "", 15, "is 1, and only"),
        ("y = Dropout(x, h, t)", ", bool t", 13, "training_mode is computed at run time"),
        ("y = Relu<slope=0.5>(x)", "", 13, "no attribute 'slope'"),
    ],
)
def test_what_no_unit_honours_runs_on_the_cpu_and_says_why(
    nodes: str, inputs: str, opset: int, reason: str
) -> None:
    graph = imported(
        nodes,
        {"v": (8,)},
        {"h": np.float32(0.5)},
        inputs=f"float[1,8,12,10] x{inputs}",
        opset=opset,
    )
    operation = only(graph)
    assert operation.kind is OperationKind.SOFTWARE
    assert reason in operation.software_reason


def test_a_padding_by_a_value_of_the_run_time_is_not_folded_as_zeros() -> None:
    graph = imported(
        "a = Relu(x) b = Pad(a, p, v) y = Conv(b, w)",
        {"w": (6, 8, 3, 3)},
        {"p": [0, 0, 1, 1, 0, 0, 1, 1]},
        inputs="float[1,8,12,10] x, float v",
    )
    assert "copy" in kinds(graph)


def test_empty_axes_reduce_nothing_only_where_the_node_says_so() -> None:
    for noop, wanted in ((0, ["activation", "software"]), (1, ["activation"])):
        graph = imported(
            f"a = Sigmoid(x) y = ReduceMean<noop_with_empty_axes={noop}>(a, e)",
            {},
            {"e": np.zeros(0, np.int64)},
            opset=18,
        )
        assert [name.split("+")[0] for name in kinds(graph)] == wanted


def test_a_crop_that_keeps_the_size_moves_data() -> None:
    graph = imported(
        'a = Sigmoid(x) y = Resize<coordinate_transformation_mode="tf_crop_and_resize">(a, r, , s)',
        {},
        {"r": np.asarray([0, 0, 0.2, 0.2, 1, 1, 0.8, 0.8], np.float32), "s": [1, 8, 12, 10]},
    )
    assert kinds(graph)[-1] == "copy"


def test_a_pool_of_which_only_the_positions_are_read_is_software() -> None:
    model = onnx_model("(float[1,2,4,4] x) => (int64 i) { i = MaxPool<kernel_shape=[2,2]>(x) }")
    model.graph.node[0].output.insert(0, "")
    (operation,) = graph_of(onnx_network(model)).operations
    assert operation.software_reason == "no unit computes its other outputs"
