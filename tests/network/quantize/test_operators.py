"""Every operator, as float ONNX in onnxruntime against int8 TFLite in LiteRT."""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import OperatorCase, on_map
from two_runtimes import onnx_network, signal_to_noise_db

LEAST_DB = 30.0


CONV = {"w": (6, 8, 3, 3), "b": (6,)}
CASES = {
    # Convolutions
    "conv": OperatorCase(on_map("y = Conv<pads=[1,1,1,1]>(x, w, b)"), CONV),
    "conv without bias or pads": OperatorCase(on_map("y = Conv(x, w)"), {"w": (6, 8, 3, 3)}),
    "conv 1x1": OperatorCase(on_map("y = Conv(x, w)"), {"w": (5, 8, 1, 1)}),
    "conv symmetric pads, stride 2": OperatorCase(
        on_map("y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)"), CONV
    ),
    "conv pads at the end, stride 2": OperatorCase(
        on_map("y = Conv<pads=[0,0,1,1], strides=[2,2]>(x, w, b)"), CONV
    ),
    "conv lopsided pads": OperatorCase(on_map("y = Conv<pads=[2,0,1,3]>(x, w, b)"), CONV),
    "conv unequal strides": OperatorCase(
        on_map("y = Conv<pads=[1,1,1,1], strides=[2,1]>(x, w, b)"), CONV
    ),
    "conv dilated": OperatorCase(on_map("y = Conv<pads=[2,2,2,2], dilations=[2,2]>(x, w, b)"), CONV),
    "conv dilated, no pads": OperatorCase(on_map("y = Conv<dilations=[2,3]>(x, w, b)"), CONV),
    "conv rows unread at the end": OperatorCase(on_map("y = Conv<strides=[3,3]>(x, w, b)"), CONV),
    "conv auto_pad same upper": OperatorCase(
        on_map('y = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w, b)'), CONV
    ),
    "conv auto_pad same lower": OperatorCase(
        on_map('y = Conv<auto_pad="SAME_LOWER", strides=[2,2]>(x, w, b)'), CONV
    ),
    "conv auto_pad valid": OperatorCase(on_map('y = Conv<auto_pad="VALID">(x, w, b)'), CONV),
    "conv depthwise": OperatorCase(
        on_map("y = Conv<group=8, pads=[1,1,1,1]>(x, w, b)"), {"w": (8, 1, 3, 3), "b": (8,)}
    ),
    "conv depthwise, symmetric pads, stride 2": OperatorCase(
        on_map("y = Conv<group=8, pads=[1,1,1,1], strides=[2,2]>(x, w, b)"),
        {"w": (8, 1, 3, 3), "b": (8,)},
    ),
    "conv depthwise, dilated": OperatorCase(
        on_map("y = Conv<group=8, pads=[2,2,2,2], dilations=[2,2]>(x, w)"), {"w": (8, 1, 3, 3)}
    ),
    "conv depthwise with multiplier": OperatorCase(
        on_map("y = Conv<group=8>(x, w, b)"), {"w": (24, 1, 3, 3), "b": (24,)}
    ),
    "conv grouped": OperatorCase(
        on_map("y = Conv<group=2, pads=[1,1,1,1]>(x, w, b)"), {"w": (6, 4, 3, 3), "b": (6,)}
    ),
    "conv one-dimensional": OperatorCase(
        "(float[1,4,20] x) => (float y) { y = Conv<pads=[1,2], strides=[2]>(x, w, b) }",
        {"w": (6, 4, 5), "b": (6,)},
    ),
    "conv transposed": OperatorCase(
        on_map("y = ConvTranspose<strides=[2,2], kernel_shape=[2,2]>(x, w, b)"),
        {"w": (8, 4, 2, 2), "b": (4,)},
    ),
    "conv transposed, pads like SAME": OperatorCase(
        on_map("y = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, w)"), {"w": (8, 4, 4, 4)}
    ),
    "conv transposed, pads to cut": OperatorCase(
        on_map("y = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, w)"), {"w": (8, 4, 3, 3)}
    ),
    # Batch normalization and arithmetic with constants
    "conv, batch normalization, relu": OperatorCase(
        on_map("a = Conv(x, w, b) c = BatchNormalization(a, g, be, m, v) y = Relu(c)"),
        CONV | {"g": (6,), "be": (6,), "m": (6,)},
        {"v": np.linspace(0.5, 2.0, 6, dtype=np.float32)},
    ),
    "batch normalization, relu, conv": OperatorCase(
        on_map("a = BatchNormalization(x, g, be, m, v) c = Relu(a) y = Conv(c, w)"),
        {"g": (8,), "be": (8,), "m": (8,), "w": (6, 8, 3, 3)},
        {"v": np.linspace(0.1, 9.0, 8, dtype=np.float32)},
    ),
    "batch normalization of features": OperatorCase(
        on_map("y = BatchNormalization(x, g, be, m, v)", "1,8"),
        {"g": (8,), "be": (8,), "m": (8,)},
        {"v": np.linspace(0.5, 2.0, 8, dtype=np.float32)},
    ),
    "conv, mul and add per channel": OperatorCase(
        on_map("a = Conv(x, w) c = Mul(a, s) y = Add(o, c)"),
        {"w": (6, 8, 3, 3), "s": (6, 1, 1), "o": (1, 6, 1, 1)},
    ),
    "sub and div by scalars": OperatorCase(
        on_map("a = Sub(x, mean) y = Div(a, deviation)"),
        constants={"mean": np.float32(0.45), "deviation": np.float32(0.22)},
    ),
    "constant minus tensor": OperatorCase(on_map("y = Sub(one, x)"), constants={"one": np.float32(1.0)}),
    "mul by a constant map": OperatorCase(on_map("y = Mul(x, m)"), {"m": (1, 1, 12, 10)}),
    # Arithmetic of tensors
    "add": OperatorCase(on_map("a = Conv<pads=[1,1,1,1]>(x, w) y = Add(x, a)"), {"w": (8, 8, 3, 3)}),
    "add and relu": OperatorCase(
        on_map("a = Conv(x, w) b = Add(x, a) y = Relu(b)"), {"w": (8, 8, 1, 1)}
    ),
    "sub": OperatorCase(on_map("a = Conv(x, w) y = Sub(x, a)"), {"w": (8, 8, 1, 1)}),
    "mul": OperatorCase(on_map("a = Conv(x, w) y = Mul(x, a)"), {"w": (8, 8, 1, 1)}),
    "sum of three": OperatorCase(
        on_map("a = Conv(x, w) b = Relu(a) y = Sum(x, a, b)"), {"w": (8, 8, 1, 1)}
    ),
    "max": OperatorCase(on_map("a = Conv(x, w) y = Max(x, a)"), {"w": (8, 8, 1, 1)}),
    "min": OperatorCase(on_map("a = Conv(x, w) y = Min(x, a)"), {"w": (8, 8, 1, 1)}),
    "add of a vector to a map": OperatorCase(
        "(float[1,8,6,5] x, float[1,8] v) => (float y)"
        "{ a = Reshape(v, s) y = Add(x, a) }",
        constants={"s": np.asarray([1, 8, 1, 1])},
    ),
    "mul with fewer dimensions": OperatorCase(
        "(float[1,8,6,5] x, float[1,5] v) => (float y) { y = Mul(x, v) }"
    ),
    "squeeze and excite": OperatorCase(
        on_map(
            "p = GlobalAveragePool(x) a = Conv(p, w1) b = Relu(a) c = Conv(b, w2)"
            "g = Sigmoid(c) y = Mul(x, g)"
        ),
        {"w1": (4, 8, 1, 1), "w2": (8, 4, 1, 1)},
    ),
    # Pooling
    "max pool": OperatorCase(on_map("y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)")),
    "max pool padded, signed": OperatorCase(
        on_map("y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)")
    ),
    "max pool padded far, signed": OperatorCase(
        on_map("y = MaxPool<kernel_shape=[3,3], strides=[3,3], pads=[2,0,0,2]>(x)")
    ),
    "max pool padded, after relu": OperatorCase(
        on_map("a = Relu(x) y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(a)")
    ),
    "max pool rounded up": OperatorCase(
        on_map("y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)", "1,4,11,11")
    ),
    "average pool": OperatorCase(on_map("y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x)")),
    "average pool, pads counted": OperatorCase(
        on_map(
            "a = Relu(x) y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(a)"
        )
    ),
    "average pool, pads not counted": OperatorCase(
        on_map("a = Relu(x) y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(a)")
    ),
    "average pool, symmetric pads, stride 2": OperatorCase(
        on_map("a = Relu(x) y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(a)")
    ),
    "average pool rounded up": OperatorCase(
        on_map("a = Relu(x) y = AveragePool<kernel_shape=[2,2], strides=[2,2], ceil_mode=1>(a)", "1,4,9,9")
    ),
    "average pool of the whole map": OperatorCase(
        on_map("a = Relu(x) y = AveragePool<kernel_shape=[12,10]>(a)")
    ),
    "global average pool": OperatorCase(on_map("a = Relu(x) y = GlobalAveragePool(a)")),
    "global max pool": OperatorCase(on_map("y = GlobalMaxPool(x)")),
    "mean, dimensions dropped": OperatorCase(
        on_map("a = Relu(x) y = ReduceMean<axes=[2,3], keepdims=0>(a)")
    ),
    "mean over the channels": OperatorCase(on_map("a = Relu(x) y = ReduceMean<axes=[1]>(a)")),
    "mean, axes as input": OperatorCase(
        on_map("a = Relu(x) y = ReduceMean(a, axes)"),
        constants={"axes": np.asarray([-1, -2])},
        opset=18,
    ),
    "pool one-dimensional": OperatorCase(
        "(float[1,4,20] x) => (float y) { y = MaxPool<kernel_shape=[2], strides=[2]>(x) }"
    ),
    # Resizing
    "upsample nearest": OperatorCase(
        on_map('y = Upsample<mode="nearest">(x, s)'),
        constants={"s": np.asarray([1, 1, 2, 2], np.float32)},
        opset=9,
    ),
    "resize nearest, half pixels": OperatorCase(
        on_map('y = Resize<mode="nearest">(x, , s)'),
        constants={"s": np.asarray([1, 1, 2, 2], np.float32)},
    ),
    "resize nearest to a size": OperatorCase(
        on_map('y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
             ' nearest_mode="floor">(x, , , size)'),
        constants={"size": np.asarray([1, 8, 24, 30])},
    ),
    "resize linear, half pixels": OperatorCase(
        on_map('y = Resize<mode="linear">(x, , s)'),
        constants={"s": np.asarray([1, 1, 2, 2], np.float32)},
    ),
    "resize linear, aligned corners": OperatorCase(
        on_map('y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , , size)'),
        constants={"size": np.asarray([1, 8, 23, 19])},
    ),
    "resize linear, shrinking": OperatorCase(
        on_map('y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , , size)'),
        constants={"size": np.asarray([1, 8, 6, 5])},
    ),
    # Moving data
    "concat of channels": OperatorCase(
        on_map("a = Conv<pads=[1,1,1,1]>(x, w) y = Concat<axis=1>(x, a)"), {"w": (6, 8, 3, 3)}
    ),
    "concat of unlike ranges": OperatorCase(
        on_map("a = Conv(x, w) b = Mul(a, s) c = Sigmoid(a) y = Concat<axis=-3>(b, a, c)"),
        {"w": (6, 8, 3, 3)},
        {"s": np.float32(7.5)},
    ),
    "split in equal parts": OperatorCase(on_map("a, b = Split<axis=1>(x) y = Add(a, b)")),
    "split in unequal parts": OperatorCase(
        on_map("a, b = Split<axis=1>(x, sizes) y = Concat<axis=1>(b, a)"),
        constants={"sizes": np.asarray([3, 5])},
    ),
    "split and concat with an empty part": OperatorCase(
        on_map("a, e, b = Split<axis=1>(x, sizes) f = Relu(e) y = Concat<axis=1>(b, f, a)"),
        constants={"sizes": np.asarray([3, 0, 5])},
    ),
    "slice": OperatorCase(
        on_map("y = Slice(x, starts, ends, axes, steps)"),
        constants={
            "starts": np.asarray([2, -9]),
            "ends": np.asarray([9999, -1]),
            "axes": np.asarray([1, 2]),
            "steps": np.asarray([1, 2]),
        },
    ),
    "pad": OperatorCase(
        on_map("a = Relu(x) y = Pad(a, pads)"),
        constants={"pads": np.asarray([0, 0, 1, 2, 0, 0, 3, 0])},
    ),
    "pad by reflection": OperatorCase(
        on_map('y = Pad<mode="reflect">(x, pads)'),
        constants={"pads": np.asarray([0, 0, 1, 2, 0, 0, 3, 0])},
    ),
    "channels last to first and back": OperatorCase(
        on_map("a = Transpose<perm=[0,3,1,2]>(x) b = Conv(a, w) y = Transpose<perm=[0,2,3,1]>(b)"),
        {"w": (6, 10, 3, 3)},
    ),
    "transpose that must move data": OperatorCase(
        on_map("a = Conv(x, w) b = Transpose<perm=[0,1,3,2]>(a) c = Conv(b, w2) y = Relu(c)"),
        {"w": (6, 8, 3, 3), "w2": (4, 6, 3, 3)},
    ),
    "channel shuffle": OperatorCase(
        on_map(
            "a = Conv(x, w) b = Reshape(a, s1) c = Transpose<perm=[0,2,1,3,4]>(b)"
            "d = Reshape(c, s2) y = Conv(d, w2)"
        ),
        {"w": (6, 8, 1, 1), "w2": (5, 6, 1, 1)},
        {"s1": np.asarray([1, 2, 3, 12, 10]), "s2": np.asarray([1, 6, 12, 10])},
    ),
    "flatten before gemm": OperatorCase(
        on_map("a = Conv(x, w) f = Flatten(a) y = Gemm<transB=1>(f, g, h)"),
        {"w": (6, 8, 3, 3), "g": (7, 480), "h": (7,)},
    ),
    "flatten as an output": OperatorCase(
        on_map("a = Conv(x, w) y = Flatten(a)"), {"w": (6, 8, 3, 3)}
    ),
    "squeeze and unsqueeze": OperatorCase(
        on_map("p = GlobalAveragePool(x) s = Squeeze(p, axes) u = Unsqueeze(s, axes) y = Mul(x, u)"),
        constants={"axes": np.asarray([2, 3])},
    ),
    "reshape with a computed size": OperatorCase(
        on_map(
            "a = Conv(x, w) s = Shape(a) n = Gather(s, zero) m = Unsqueeze(n, first)"
            "t = Concat<axis=0>(m, rest) r = Reshape(a, t) y = Gemm(r, g)"
        ),
        {"w": (6, 8, 3, 3), "g": (480, 7)},
        {"zero": np.asarray(0), "first": np.asarray([0]), "rest": np.asarray([-1])},
    ),
    "an input handed out": OperatorCase(on_map("a = Relu(x) y = Identity(x)")),
    "boxes of a detector": OperatorCase(
        on_map("a = Conv(x, w) t = Transpose<perm=[0,2,3,1]>(a) y = Reshape(t, s)"),
        {"w": (12, 8, 3, 3)},
        {"s": np.asarray([1, -1, 4])},
    ),
    # Products
    "gemm": OperatorCase(on_map("y = Gemm(x, w, b)", "1,30"), {"w": (30, 7), "b": (7,)}),
    "gemm, alpha and beta": OperatorCase(
        on_map("y = Gemm<alpha=0.5, beta=2.0, transB=1>(x, w, b)", "1,30"),
        {"w": (7, 30), "b": (7,)},
    ),
    "matmul, add, relu": OperatorCase(
        on_map("a = MatMul(x, w) c = Add(a, b) y = Relu(c)", "1,30"), {"w": (30, 7), "b": (7,)}
    ),
    "matmul of a stack": OperatorCase(on_map("y = MatMul(x, w)", "1,5,30"), {"w": (30, 7)}),
    # Activations
    "relu": OperatorCase(on_map("y = Relu(x)")),
    "relu after pooling": OperatorCase(
        on_map("a = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) y = Relu(a)")
    ),
    "clip to six": OperatorCase(
        on_map("a = Conv(x, w) y = Clip(a, lo, hi)"),
        {"w": (6, 8, 3, 3)},
        {"lo": np.float32(0), "hi": np.float32(6)},
    ),
    "clip to odd limits": OperatorCase(
        on_map("a = Conv(x, w) y = Clip(a, lo, hi)"),
        {"w": (6, 8, 3, 3)},
        {"lo": np.float32(-0.3), "hi": np.float32(0.9)},
    ),
    "clip before a concat": OperatorCase(
        on_map("a = Conv(x, w) c = Clip(a, lo, hi) y = Concat<axis=1>(a, c)"),
        {"w": (6, 8, 3, 3)},
        {"lo": np.float32(-0.3), "hi": np.float32(0.9)},
    ),
    "clip, limits as attributes": OperatorCase(
        on_map("y = Clip<min=0.0, max=0.5>(x)"), opset=10
    ),
    "leaky relu": OperatorCase(on_map("y = LeakyRelu<alpha=0.1>(x)")),
    "prelu": OperatorCase(on_map("y = PRelu(x, s)"), {"s": (8, 1, 1)}),
    "elu": OperatorCase(on_map("y = Elu(x)")),
    "sigmoid": OperatorCase(on_map("y = Sigmoid(x)")),
    "tanh": OperatorCase(on_map("y = Tanh(x)")),
    "hard sigmoid": OperatorCase(on_map("y = HardSigmoid<alpha=0.1667, beta=0.5>(x)")),
    "hard swish": OperatorCase(on_map("y = HardSwish(x)"), opset=14),
    "hard swish spelled out": OperatorCase(
        on_map("a = HardSigmoid<alpha=0.16666667, beta=0.5>(x) y = Mul(x, a)"), opset=14
    ),
    "swish": OperatorCase(on_map("a = Sigmoid(x) y = Mul(x, a)")),
    "softmax": OperatorCase(on_map("y = Softmax(x)", "1,9")),
    "softmax over channels": OperatorCase(on_map("a = Conv(x, w) y = Softmax<axis=1>(a)"), {"w": (6, 8, 3, 3)}),
    "softmax of old": OperatorCase(on_map("y = Softmax(x)", "1,3,4"), opset=11),
    # What is not there at run time
    "dropout, identity, cast": OperatorCase(
        on_map("a = Identity(x) b = Dropout(a) c = Cast<to=1>(b) y = Relu(c)")
    ),
    "constant node": OperatorCase(on_map("c = Constant<value_float=0.5>() y = Mul(x, c)")),
    "quantizers": OperatorCase(
        on_map(
            "a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z)"
            "wq = DequantizeLinear<axis=0>(w8, ws, wz) c = Conv(b, wq) r = Relu(c)"
            "d = QuantizeLinear(r, s2, z2) y = DequantizeLinear(d, s2, z2)"
        ),
        constants={
            "s": np.float32(1 / 127),
            "z": np.int8(0),
            "w8": np.arange(-96, 96, dtype=np.int8).reshape(4, 8, 3, 2)[:, :, :, :],
            "ws": np.asarray([0.01, 0.02, 0.01, 0.005], np.float32),
            "wz": np.zeros(4, np.int8),
            "s2": np.float32(0.05),
            "z2": np.uint8(0),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_int8_tflite_computes_what_float_onnx_does(name: str) -> None:
    network = onnx_network(CASES[name].model())

    assert min(signal_to_noise_db(network)) >= LEAST_DB
