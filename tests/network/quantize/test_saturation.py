"""Ranges that a file's quantizers state, on values within and beyond what is calibrated."""

from __future__ import annotations

import re

import numpy as np
import pytest
from two_runtimes import Array, onnx_model, onnx_network, run_onnx, run_tflite, uniform_inputs

from npu_tune.network import network_from_bytes
from npu_tune.network.quantize import convert

QUANTIZER = r"\1q = QuantizeLinear(\2, \3s, \3z) \1 = DequantizeLinear(\1q, \3s, \3z)"
POOL = "MaxPool<kernel_shape=[2,2], pads=[1,1,0,0]>"
STEP = 0.1
"""Of the widest quantizer."""

# Q(x, n) limits x to -1.28 and 1.27, w to ten times that, u to 0 and 2.55; the input is limited
# by w, and the operators are what is left to run in int8.
BODIES = {
    "a narrow, then a wide one": ("a = Q(i, n) b = Q(a, w) y = Conv(b, v)", ["CONV_2D"]),
    "a wide, then a narrow one": ("a = Q(i, w) b = Q(a, n) y = Conv(b, v)", ["CONV_2D"]),
    "two readers with unequal ones": (
        "c = Conv(i, v) a = Q(c, w) b = Q(c, n) y = Conv(a, v) z = Conv(b, v)",
        ["CONV_2D", "QUANTIZE", "CONV_2D", "CONV_2D"],
    ),
    "two readers with equal ones": (
        "c = Conv(i, v) a = Q(c, n) b = Q(c, n) y = Conv(a, v) z = Conv(b, v)",
        ["CONV_2D", "CONV_2D", "CONV_2D"],
    ),
    "one reader of two": (
        "c = Conv(i, v) a = Q(c, u) y = Conv(a, v) z = Conv(c, v)",
        ["CONV_2D", "QUANTIZE", "CONV_2D", "CONV_2D"],
    ),
    "an output that is read": (
        "z = Conv(i, v) a = Q(z, u) y = Conv(a, v)",
        ["CONV_2D", "QUANTIZE", "CONV_2D"],
    ),
    "around operators that move codes": (
        (f"c = Conv(i, v) r = Relu(c) a = Q(r, u) m = {POOL}(a) b = Q(m, u) f = Flatten(b)"
        " h = Q(f, u) y = Gemm(h, g)"),
        ["CONV_2D", "PAD", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED"],
    ),
    "behind operators that move codes": (
        f"c = Conv(i, v) r = Relu(c) m = {POOL}(r) f = Flatten(m) h = Q(f, u) y = Gemm(h, g)",
        ["CONV_2D", "PAD", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED"],
    ),
    "a pool between unequal ones": (
        f"a = Q(i, w) m = {POOL}(a) b = Q(m, n) y = Conv(b, v) z = Conv(m, v)",
        ["MIRROR_PAD", "MAX_POOL_2D", "QUANTIZE", "CONV_2D", "CONV_2D"],
    ),
    "joined values with equal ones": (
        ("c = Conv(i, v) a = Q(c, n) d = Conv(i, v) b = Q(d, n) k = Concat<axis=1>(a, b)"
        " y = Q(k, n)"),
        ["CONV_2D", "CONV_2D", "CONCATENATION"],
    ),
    "joined values with unequal ones": (
        ("c = Conv(i, v) a = Q(c, n) d = Conv(i, v) b = Q(d, w) k = Concat<axis=1>(a, b)"
        " y = Q(k, w)"),
        ["CONV_2D", "CONV_2D", "QUANTIZE", "CONCATENATION"],
    ),
    "joined values that are joined again": (
        ("c = Conv(i, v) a = Q(c, n) d = Conv(i, v) b = Q(d, n) k = Concat<axis=1>(a, b)"
        " l = Concat<axis=1>(k, i) y = Q(l, w)"),
        ["CONV_2D", "CONV_2D", "CONCATENATION", "QUANTIZE", "CONCATENATION"],
    ),
    "joined values that others widen later": (
        (
            "c = Conv(i, v) a = Q(c, n) d = Conv(a, v) e = Relu(d) k = Concat<axis=1>(a, e)"
            " f = Concat<axis=1>(i, i) l = Max(k, f) y = Q(l, w)"
        ),
        ["CONV_2D", "CONV_2D", "QUANTIZE", "CONCATENATION", "CONCATENATION", "QUANTIZE", "MAXIMUM",
         "QUANTIZE"],
    ),
    "a join alone": (
        "c = Conv(i, v) d = Conv(i, v) k = Concat<axis=1>(c, d) y = Q(k, n)",
        ["CONV_2D", "CONV_2D", "CONCATENATION"],
    ),
    "a mean": ("m = GlobalAveragePool(i) y = Q(m, n)", ["MEAN"]),
    "a pool of means": (
        "m = AveragePool<kernel_shape=[2,1]>(i) y = Q(m, n)",
        ["AVERAGE_POOL_2D", "QUANTIZE"],
    ),
    "parts": (
        "p, q = Split<axis=1>(i) y = Q(p, n) z = Q(q, w)",
        ["SPLIT", "QUANTIZE"],
    ),
    "an activation between": (
        "c = Conv(i, v) a = Q(c, n) r = Relu(a) y = Q(r, u)",
        ["CONV_2D"],
    ),
    "limits of the network's own before them": (
        "c = Clip(i, low, high) a = Q(c, w) f = Flatten(a) y = Q(f, u)",
        ["RESHAPE"],
    ),
    "overlapping ones around operators that move codes": (
        "a = Q(i, n) f = Flatten(a) y = Q(f, u)",
        ["RESHAPE"],
    ),
    "equal ones of two outputs": (
        f"c = Conv(i, v) a = Q(c, n) m = {POOL}(a) y = Q(m, n) z = Q(m, n)",
        ["CONV_2D", "MIRROR_PAD", "MAX_POOL_2D", "RESHAPE"],
    ),
    "an input that is an output": ("y = Q(i, n)", ["QUANTIZE"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_quantizers_limit_what_the_file_says_and_nothing_else(name: str) -> None:
    body, operators = BODIES[name]
    scales = {"n": 0.01, "w": STEP, "u": 0.01}
    values: dict[str, Array] = {
        f"{label}s": np.asarray(scale, np.float32) for label, scale in scales.items()
    }
    values |= {"nz": np.asarray(0, np.int8), "wz": np.asarray(0, np.int8)}
    values |= {"uz": np.asarray(0, np.uint8)}
    values |= {"low": np.asarray(-0.5, np.float32), "high": np.asarray(0.7, np.float32)}
    generator = np.random.default_rng(4)
    values["v"] = np.eye(4, dtype=np.float32)[:, :, None, None]
    values["g"] = generator.normal(0.0, 0.2, (64, 3)).astype(np.float32)
    outputs = "float y, float z" if " z = " in body or body.startswith("z = ") else "float y"
    text = re.sub(r"(\w+) = Q\((\w+), (\w)\)", QUANTIZER, f"i = Q(x, w) {body}")
    network = onnx_network(
        onnx_model(f"(float[1,4,4,4] x) => ({outputs}) {{ {text} }}", values, opset=13)
    )
    calibration = {
        key: value * np.float32(0.9)
        for key, value in uniform_inputs(network, samples=16, seed=3).items()
    }
    conversion = convert(network, calibration=calibration, check=False)
    written = network_from_bytes(conversion.model_bytes, "tflite", name)
    assert [layer.op for layer in written.layers] == operators
    for factor in (1.0, 2.0, 5.0, 20.0):
        feed = {key: value[:1] * np.float32(factor) for key, value in calibration.items()}
        results = zip(
            written.outputs, run_onnx(network, feed), run_tflite(conversion, feed), strict=True
        )
        for output, wanted, have in results:
            quantization = written.tensors[output].quantization
            assert quantization is not None
            (scale,), (zero_point,) = quantization.scales, quantization.zero_points
            # What no quantizer limits saturates where the calibration says.
            limits = [(code - zero_point) * scale for code in (-128, 127)]
            assert have == pytest.approx(np.clip(wanted, *limits), abs=1.5 * STEP)
