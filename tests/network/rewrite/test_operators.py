from __future__ import annotations

import numpy as np
import pytest
from rewritten import model_of, operators, rewritten, stripes

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.rewrite import rewrite_model

X = "(float[1,4,17,9] x) => (float y)"


def ints(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    "attributes",
    [
        "pads=[1,1,1,1]",
        "strides=[2,2], pads=[1,1,1,1]",
        "strides=[2,1], pads=[0,1,1,1]",
        "strides=[3,2], pads=[2,0,1,1]",
        "dilations=[2,2], pads=[2,2,2,2]",
        'auto_pad="SAME_UPPER"',
        'auto_pad="SAME_LOWER", strides=[2,2]',
        'auto_pad="SAME_UPPER", strides=[2,2], dilations=[1,1]',
        'auto_pad="VALID"',
        "strides=[4,4]",
    ],
)
def test_convolutions_have_the_pads_of_their_stripe(attributes):
    model = model_of(f"{X} {{ y = Conv<{attributes}>(x, w, b) }}", w=(5, 4, 3, 3), b=(5,))
    result = rewritten(model, stripes("y"))
    assert operators(result, "Conv") == ["y/stripe1", "y/stripe2", "y/stripe3"]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("height", [8, 9])
def test_depthwise_and_pointwise_convolutions_are_cut(stride, height):
    model = model_of(
        f"(float[1,4,{height},9] x) => (float y) {{"
        f" d = Conv<group=4, pads=[1,1,1,1], strides=[{stride},{stride}]>(x, w)"
        " p = Conv(d, v) y = Relu(p) }",
        w=(4, 1, 3, 3),
        v=(6, 4, 1, 1),
    )
    rewritten(model, stripes("d", "y"))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
@pytest.mark.parametrize(
    "attributes",
    [
        "kernel_shape=[2,2], strides=[2,2]",
        "kernel_shape=[3,3], pads=[1,1,1,1]",
        "kernel_shape=[3,2], strides=[2,3], pads=[1,0,1,1]",
        'kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER"',
    ],
)
def test_pools_have_the_pads_of_their_stripe(op, attributes):
    rewritten(model_of(f"{X} {{ y = {op}<{attributes}>(x) }}"), stripes("y"))


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_the_last_window_may_hang_over_the_border(op):
    window = "kernel_shape=[3,3], strides=[2,2], ceil_mode=1"
    body = f"(float[1,4,18,10] x) => (float y) {{ y = {op}<{window}>(x) }}"
    rewritten(model_of(body), stripes("y"))


def test_averages_count_the_padding_where_they_did():
    body = f"{X} {{ y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(x) }}"
    rewritten(model_of(body), stripes("y"))


def test_a_pad_above_and_below_stays_at_the_border():
    model = model_of(
        f"{X} {{ p = Pad(x, pads, v) y = Conv(p, w) }}",
        {"pads": ints(0, 0, 2, 1, 0, 1, 1, 0), "v": np.float32(0.5).reshape(())},
        w=(3, 5, 3, 3),
    )
    result = rewritten(model, stripes("p", "y"))
    assert len(operators(result, "Pad")) == 3


def test_a_pad_of_old_and_of_new_form_is_cut():
    old = f"{X} {{ y = Pad<pads=[0,0,1,0,0,0,1,2], value=1.5>(x) }}"
    rewritten(model_of(old, opset=10), stripes("y"), exactly=True)
    new = f"{X} {{ y = Pad(x, pads, , axes) }}"
    given = {"pads": ints(1, 2, 0, 1), "axes": ints(-2, 3)}
    rewritten(model_of(new, given, opset=18), stripes("y"), exactly=True)


def test_a_pad_to_the_sides_may_repeat_the_border():
    body = f'{X} {{ y = Pad<mode="reflect">(x, pads) }}'
    given = {"pads": ints(0, 0, 0, 2, 0, 0, 0, 1)}
    rewritten(model_of(body, given), stripes("y"), exactly=True)


UNARY = [
    "Relu(x)",
    "Clip(x, low, high)",
    "Sigmoid(x)",
    "HardSigmoid(x)",
    "HardSwish(x)",
    "LeakyRelu<alpha=0.1>(x)",
    "Elu(x)",
    "PRelu(x, slope)",
    "Tanh(x)",
    "Identity(x)",
    "Neg(x)",
    "Cast<to=1>(x)",
    "Dropout(x)",
    "Softmax<axis=1>(x)",
    "Softmax(x)",
    "LRN<size=3>(x)",
    "BatchNormalization(x, b, b, b, var)",
]


@pytest.mark.parametrize("call", UNARY)
def test_what_is_element_by_element_is_cut(call):
    model = model_of(
        f"{X} {{ y = {call} }}",
        {
            "low": np.float32(-0.5).reshape(()),
            "high": np.float32(0.5).reshape(()),
            "var": np.ones(4, np.float32),
        },
        opset=14,
        slope=(4, 1, 1),
        b=(4,),
    )
    rewritten(model, stripes("y"), exactly=True)


@pytest.mark.parametrize(
    "shape", [(), (1,), (9,), (4, 1, 1), (1, 4, 1, 1), (1, 1, 17, 1), (17, 9), (1, 4, 17, 9)]
)
@pytest.mark.parametrize("op", ["Add", "Mul", "Sub", "Max"])
def test_operands_are_cut_where_they_have_the_rows_and_stay_whole_where_not(op, shape):
    model = model_of(f"{X} {{ a = Relu(x) y = {op}(w, a) }}", w=shape)
    result = rewritten(model, stripes("a", "y"), exactly=True)
    has_rows = len(shape) >= 2 and shape[-2] == 17
    assert len(operators(result, "Slice")) == (6 if has_rows else 3)


def test_an_operand_of_the_run_time_with_one_row_is_read_whole():
    model = model_of(
        f"{X} {{ g = GlobalAveragePool(x) s = Sigmoid(g) a = Conv<pads=[1,1,1,1]>(x, w)"
        " y = Mul(a, s) }",
        w=(4, 4, 3, 3),
    )
    result = rewritten(model, stripes("a", "y"))
    assert operators(result, "Sigmoid") == [""]


def test_channels_are_joined_divided_and_taken():
    model = model_of(
        f"{X} {{ a, b = Split<axis=1>(x, parts) c = Slice(a, zero, two, one)"
        " d = Concat<axis=-3>(c, b, x) y = MaxPool<kernel_shape=[3,3]>(d) }",
        {"parts": ints(3, 1), "zero": ints(0), "one": ints(1), "two": ints(2)},
    )
    rewritten(model, stripes("a", "y"), exactly=True)


def test_a_slice_over_all_rows_is_cut():
    body = f"{X} {{ y = Slice(x, from, to, axes) }}"
    given = {"from": ints(1, 0), "to": ints(3, 2**31), "axes": ints(1, 2)}
    rewritten(model_of(body, given), stripes("y"), exactly=True)


REFUSED = {
    "GlobalAveragePool(x)": "needs all rows",
    "Flatten(x)": "moves values from row to row",
    "Transpose<perm=[0,2,3,1]>(x)": "moves values from row to row",
    "Reshape(x, shape)": "moves values from row to row",
    "ConvTranspose(x, w)": "its rows overlap",
    "MatMul(x, v)": "multiplies whole vectors",
    "Resize(x, , scales)": "by a scale",
    "InstanceNormalization(x, b, b)": "needs all rows",
    "ReduceMean<axes=[1]>(x)": "needs all rows",
    "Softmax<axis=2>(x)": "needs all rows",
    "Concat<axis=2>(x, x)": "one below the other",
    "Split<axis=2>(x, parts)": "divides the rows",
    "Slice(x, one, two, rows)": "takes some of the rows",
    "DepthToSpace<blocksize=2>(x)": "is not known here",
    'Pad<mode="reflect">(x, tall)': "repeats rows",
    "Pad(x, less)": "takes rows away",
    "Pad(x, made)": "its pads are computed",
    "Dropout(x, s, yes)": "in training mode",
    "DequantizeLinear<axis=2>(q, many)": "scales for parts of its rows",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_cannot_be_cut_is_refused_by_name(call):
    model = model_of(
        f"{X} {{ made = Add(less, less) q = QuantizeLinear(x, s) y = {call} }}",
        {
            "parts": ints(17),
            "one": ints(1),
            "two": ints(2),
            "rows": ints(2),
            "shape": ints(1, 2, 34, 9),
            "scales": np.array([1, 1, 2, 2], np.float32),
            "tall": ints(0, 0, 1, 0, 0, 0, 0, 0),
            "less": ints(0, 0, -1, 0, 0, 0, 0, 0),
            "many": np.full(17, 0.5, np.float32),
            "s": np.float32(0.5).reshape(()),
            "yes": np.array(True),
        },
        w=(4, 2, 3, 3),
        v=(9, 3),
        b=(4,),
    )
    with pytest.raises(UnsupportedOperatorError) as error:
        rewrite_model(model, stripes("y"))
    op = call.partition("(")[0].partition("<")[0]
    assert error.value.message.startswith(f"The node 'y' ({op}) cannot be computed in stripes")
    assert REFUSED[call] in error.value.message
    assert error.value.remedy
    assert error.value.data == {"node": "y", "op": op}


def test_a_softmax_of_an_old_operator_set_needs_all_rows():
    with pytest.raises(UnsupportedOperatorError, match="before operator set 13"):
        rewrite_model(model_of(f"{X} {{ y = Softmax<axis=1>(x) }}", opset=11), stripes("y"))


def test_a_pool_that_gives_positions_is_refused():
    body = f"{X} {{ m, i = MaxPool<kernel_shape=[2,2]>(x) c = Cast<to=1>(i) y = Add(m, c) }}"
    with pytest.raises(UnsupportedOperatorError, match="positions in the whole map"):
        rewrite_model(model_of(body), stripes("m", "y"))


def test_an_average_over_padding_that_no_pad_states_is_refused():
    body = (
        "(float[1,4,18,9] x) => (float y) { y = AveragePool<kernel_shape=[3,3], strides=[2,2],"
        " ceil_mode=1, count_include_pad=1>(x) }"
    )
    with pytest.raises(UnsupportedOperatorError, match="ceil_mode and count_include_pad"):
        rewrite_model(model_of(body, opset=19), stripes("y"))


def test_maps_of_other_dimensions_are_refused():
    body = "(float[1,4,17] x) => (float y) { y = Relu(x) }"
    with pytest.raises(UnsupportedOperatorError, match="no map of N x C x H x W"):
        rewrite_model(model_of(body), stripes("y"))


def test_operators_of_other_vendors_are_refused():
    model = model_of(f"{X} {{ y = Relu(x) }}")
    model.graph.node[0].domain = "com.microsoft"
    model.graph.node[0].op_type = "QuickGelu"
    model.graph.output[0].type.tensor_type.shape.CopyFrom(
        model.graph.input[0].type.tensor_type.shape
    )
    model.opset_import.add(domain="com.microsoft", version=1)
    with pytest.raises(UnsupportedOperatorError, match=r"com\.microsoft is no operator set"):
        rewrite_model(model, stripes("y"))
