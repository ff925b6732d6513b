"""Every operator computes in ncnn what it does in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from ncnn_cases import NcnnCase, network_of

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.targets.ncnn.checking import LEAST_DB
from npu_tune.targets.ncnn.operators.shaping import permutation

CHANNEL = np.linspace(0.5, 2.0, 6, dtype=np.float32).reshape(1, 6, 1, 1)
IMAGE = np.linspace(-1.0, 2.0, 6 * 9 * 11, dtype=np.float32).reshape(1, 6, 9, 11)
VECTOR = np.linspace(0.5, 2.0, 12, dtype=np.float32)
W = {"w": (8, 6, 3, 3), "b": (8,)}

PRODUCTS = {
    "convolution": ("y = Conv(x, w, b)", W),
    "without bias": ("y = Conv(x, w)", {"w": (8, 6, 3, 3)}),
    "padded unevenly": ("y = Conv<pads=[0,1,2,3]>(x, w, b)", W),
    "strided and dilated": ("y = Conv<strides=[2,1], dilations=[1,2], pads=[1,2,1,2]>(x, w)", W),
    "same upper": ('y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w, b)', W),
    "same lower": ('y = Conv<auto_pad="SAME_LOWER", strides=[2,2]>(x, w, b)', W),
    "depthwise": ("y = Conv<group=6, pads=[1,1,1,1]>(x, w, b)", {"w": (6, 1, 3, 3), "b": (6,)}),
    "two per channel": ("y = Conv<group=6>(x, w)", {"w": (12, 1, 3, 3)}),
    "grouped": ("y = Conv<group=2>(x, w, b)", {"w": (8, 3, 3, 3), "b": (8,)}),
    "oblong": ("y = Conv<pads=[0,2,0,2]>(x, w)", {"w": (8, 6, 1, 5)}),
    "of a pooled vector": (
        "g = GlobalAveragePool(x) y = Conv(g, w, b)",
        {"w": (8, 6, 1, 1), "b": (8,)},
    ),
    "gate": (
        "g = GlobalAveragePool(x) c = Conv(g, w, b) s = Sigmoid(c) y = Mul(s, x)",
        {"w": (6, 6, 1, 1), "b": (6,)},
    ),
    "classifier": ("f = Flatten(x) y = Gemm<transB=1>(f, w, b)", {"w": (5, 594), "b": (5,)}),
    "scaled": (
        "f = Flatten(x) y = Gemm<alpha=0.5, beta=2.0>(f, w, b)",
        {"w": (594, 5), "b": (5,)},
    ),
    "without addend": ("f = Flatten(x) y = MatMul(f, w)", {"w": (594, 5)}),
    "of rows": ("y = MatMul(x, w)", {"w": (11, 7)}),
}

ACTIVATIONS = {
    "Relu": "Relu(v)",
    "Clip": "Clip(v, low, high)",
    "LeakyRelu": "LeakyRelu<alpha=0.2>(v)",
    "Elu": "Elu<alpha=0.7>(v)",
    "Sigmoid": "Sigmoid(v)",
    "HardSigmoid": "HardSigmoid<alpha=0.3, beta=0.4>(v)",
    "HardSwish": "HardSwish(v)",
    "Tanh": "Tanh(v)",
    "PRelu": "PRelu(v, slope)",
}

OTHERS = {
    "several slopes": "y = PRelu(x, slopes)",
    "swish": "s = Sigmoid(x) y = Mul(s, x)",
    "hard swish": "s = HardSigmoid<alpha=0.1666667, beta=0.5>(x) y = Mul(x, s)",
    "a gate that is an output": "s = Sigmoid(x) z = Mul(x, s) y = Add(z, s)",
    "softmax over channels": "y = Softmax<axis=1>(x)",
    "softmax over width": "y = Softmax<axis=-1>(x)",
    "softmax of a vector": "g = GlobalAveragePool(x) f = Flatten(g) y = Softmax(f)",
    "batch norm": "a = Relu(x) y = BatchNormalization(a, scale, shift, mean, variance)",
    "lrn": "y = LRN<size=3, alpha=0.01, beta=0.6, bias=1.5>(x)",
    "sum": "r = Relu(x) t = Tanh(x) y = Add(r, t)",
    "of two": "r = Relu(x) y = Sum(r, x)",
    "of two, one constant": "y = Sum(image, x)",
    "of many": "r = Relu(x) t = Tanh(x) y = Sum(r, t, x)",
    "difference": "t = Tanh(x) y = Sub(x, t)",
    "quotient": "s = Sigmoid(x) y = Div(x, s)",
    "with itself": "y = Mul(x, x)",
    "broadcast over space": "g = GlobalAveragePool(x) y = Sub(g, x)",
    "broadcast over channels": "m = Softmax<axis=1>(x) g = GlobalMaxPool(m) y = Mul(x, g)",
    "add a number": "y = Add(x, number)",
    "from a number": "y = Sub(number, x)",
    "by a number": "y = Div(x, number)",
    "scale channels": "y = Mul(x, channel)",
    "shift channels": "y = Add(channel, x)",
    "less channels": "y = Sub(x, channel)",
    "channels less": "y = Sub(channel, x)",
    "by channels": "y = Div(x, channel)",
    "an image": "y = Add(x, image)",
    "an image less": "y = Sub(image, x)",
    "a row": "y = Mul(x, row)",
    "larger than the input": "g = GlobalAveragePool(x) y = Add(g, image)",
    "max pooling": "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)",
    "max pooling rounded up": "y = MaxPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(x)",
    "pooling of same size": 'y = MaxPool<kernel_shape=[2,2], auto_pad="SAME_UPPER">(x)',
    "average": "y = AveragePool<kernel_shape=[3,2], strides=[2,1]>(x)",
    "average without pads": "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)",
    "average with pads": (
        "y = AveragePool<kernel_shape=[3,3], pads=[1,0,1,1], count_include_pad=1>(x)"
    ),
    "global average": "y = GlobalAveragePool(x)",
    "global maximum": "y = GlobalMaxPool(x)",
    "mean over space": "m = ReduceMean<axes=[2,3], keepdims=0>(x) y = Relu(m)",
    "concat": "r = Relu(x) t = Tanh(x) y = Concat<axis=1>(r, t, x)",
    "concat in width": "r = Relu(x) y = Concat<axis=-1>(r, x)",
    "flatten": "y = Flatten(x)",
    "reshape": "r = Reshape(x, reshaped) y = Relu(r)",
    "channels last": "y = Transpose<perm=[0,2,3,1]>(x)",
    "three rows": "r = Reshape(x, reshaped) y = Transpose<perm=[0,2,1]>(r)",
    "shuffle": (
        "a = Reshape(x, five) b = Transpose<perm=[0,2,1,3,4]>(a) c = Reshape(b, four) y = Relu(c)"
    ),
    "five dimensions": "a = Reshape(x, five) b = Transpose<perm=[0,3,1,4,2]>(a) y = Flatten(b)",
    "an input alone": "y = Identity(x)",
    "dropout": "d = Dropout(x) r = Relu(d) y = Identity(r)",
    "pad": "y = Pad(x, pads, number)",
    "pad by reflection": 'y = Pad<mode="reflect">(x, pads)',
    "pad by the edge": 'y = Pad<mode="edge">(x, pads)',
    "slice": "y = Slice(x, starts, ends, axes)",
    "nearest": (
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", '
        'nearest_mode="floor">(x, "", scales)'
    ),
    "nearest by half pixels": 'y = Resize<mode="nearest">(x, "", scales)',
    "linear": 'y = Resize<mode="linear">(x, "", scales)',
    "linear corners": (
        'y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, "", scales)'
    ),
}

CONSTANTS = {
    "low": np.float32(-0.25),
    "high": np.float32(0.5),
    "slope": np.float32(0.2).reshape(1, 1, 1),
    "slopes": CHANNEL[0] / 4,
    "scale": CHANNEL.reshape(-1),
    "shift": -CHANNEL.reshape(-1),
    "mean": CHANNEL.reshape(-1) / 3,
    "variance": CHANNEL.reshape(-1) ** 2,
    "number": np.float32(0.7),
    "channel": CHANNEL,
    "image": IMAGE,
    "row": np.linspace(1, 2, 11, dtype=np.float32),
    "reshaped": np.array([1, 18, 33]),
    "five": np.array([1, 2, 3, 9, 11]),
    "four": np.array([1, 6, 9, 11]),
    "pads": np.array([0, 0, 1, 2, 0, 0, 3, 1]),
    "starts": np.array([1, -8]),
    "ends": np.array([4, 100]),
    "axes": np.array([1, 3]),
    "scales": np.array([1, 1, 2, 3], np.float32),
}

REFUSED = {
    "an operator": ("y = Erf(x)", "Erf"),
    "weights at run time": ("r = Relu(k) y = Conv(x, r)", "run time"),
    "steps": ("y = Slice(x, starts, ends, axes, steps)", "steps"),
    "a batch that moves": ("r = Reshape(x, folded) y = Transpose<perm=[2,0,1]>(r)", "batch"),
    "cubic": ('y = Resize<mode="cubic">(x, "", scales)', "cubic"),
}


def constants_in(nodes: str) -> dict:
    words = set(nodes.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in CONSTANTS.items() if name in words}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_computes_the_same(name):
    nodes, weights = PRODUCTS[name]
    case = NcnnCase(network_of(nodes, weights))
    assert case.decibels() >= LEAST_DB


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("place", ["alone", "behind a convolution", "behind a classifier"])
def test_an_activation_computes_the_same(name, place):
    before, weights = {
        "alone": ("v = Identity(x)", {}),
        "behind a convolution": ("v = Conv(x, w, b)", W),
        "behind a classifier": ("f = Flatten(x) v = Gemm<transB=1>(f, w)", {"w": (5, 594)}),
    }[place]
    nodes = f"{before} y = {ACTIVATIONS[name]}"
    constants = constants_in(nodes)
    if place == "behind a classifier" and "slope" in constants:
        constants["slope"] = constants["slope"].reshape(1)
    opset = 14 if name == "HardSwish" else 13
    case = NcnnCase(network_of(nodes, weights, constants=constants, opset=opset))
    assert case.decibels() >= LEAST_DB


@pytest.mark.parametrize("name", OTHERS)
def test_another_operator_computes_the_same(name):
    nodes = OTHERS[name]
    case = NcnnCase(network_of(nodes, constants=constants_in(nodes)))
    assert case.decibels() >= LEAST_DB


def test_a_line_is_an_image_of_one_row():
    nodes = """
        c = Conv<kernel_shape=[3], pads=[1,1], strides=[2]>(x, w)
        p = AveragePool<kernel_shape=[2]>(c)
        r = Relu(p)
        s = Mul(r, p)
        y = GlobalAveragePool(s)
    """
    case = NcnnCase(network_of(nodes, {"w": (8, 6, 3)}, inputs="float[1,6,20] x"))
    assert case.decibels() >= LEAST_DB


@pytest.mark.parametrize("name", REFUSED)
def test_what_ncnn_cannot_be_given_is_refused_by_name(name):
    nodes, word = REFUSED[name]
    constants = {**constants_in(nodes), "steps": np.array([1, 2]), "folded": np.array([1, 6, 99])}
    constants = {key: value for key, value in constants.items() if key in nodes}
    inputs = "float[1,6,9,11] x" + (", float[8,6,3,3] k" if "Relu(k)" in nodes else "")
    inputs = inputs.replace("[8,6", "[1,6")
    with pytest.raises(UnsupportedOperatorError, match=word) as caught:
        NcnnCase(network_of(nodes, constants=constants, inputs=inputs))
    assert caught.value.exit_code == 3
    assert "cpu-onnxruntime" in caught.value.remedy
    assert caught.value.data["operator"] in str(caught.value)


def test_activations_are_fused_into_products():
    nodes = "c = Conv(x, w, b) r = Relu(c) d = Conv(r, v) s = HardSigmoid(d) y = Mul(d, s)"
    case = NcnnCase(network_of(nodes, {**W, "v": (4, 8, 1, 1)}))
    assert case.kinds == ["Input", "Convolution", "Convolution"]
    assert case.decibels() >= LEAST_DB


def test_an_activation_that_others_read_too_is_not_fused():
    nodes = "c = Conv(x, w, b) r = Relu(c) y = Add(r, c)"
    case = NcnnCase(network_of(nodes, W))
    assert "ReLU" in case.kinds
    assert case.decibels() >= LEAST_DB


def test_reshaping_costs_a_layer_only_where_a_reader_needs_the_shape():
    nodes = "g = GlobalAveragePool(x) f = Flatten(g) y = Gemm<transB=1>(f, w)"
    case = NcnnCase(network_of(nodes, {"w": (5, 6)}))
    assert "Reshape" not in case.kinds


def test_a_channel_shuffle_is_one_layer():
    nodes = OTHERS["shuffle"]
    case = NcnnCase(network_of(nodes, constants=constants_in(nodes)))
    assert case.kinds == ["Input", "ShuffleChannel", "ReLU"]


@pytest.mark.parametrize(("rank", "orders"), [(2, 2), (3, 6), (4, 24)])
def test_every_permutation_has_one_order_type(rank, orders):
    found = {permutation(rank, order) for order in range(orders)}
    assert len(found) == orders
    assert permutation(rank, 0) == tuple(range(rank))
