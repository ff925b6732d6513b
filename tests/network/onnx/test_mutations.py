"""Files with some bytes changed are read, or refused with one of the documented errors."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import onnx
import pytest
from two_runtimes import onnx_model

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes
from npu_tune.network.quantize import convert
from npu_tune.targets.neural_art.graph import graph_of

MUTATIONS = 120
"""Of each file; some thousands were tried when this was written."""


def _models() -> dict[str, onnx.ModelProto]:
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    return {
        "classifier": onnx_model(
            "(float[1,3,8,8] x) => (float y) {"
            " a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b) r = Relu(a)"
            " p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) s = Reshape(p, t)"
            " y = Gemm<transB=1>(s, v, c) }",
            {"w": normal(4, 3, 3, 3), "b": normal(4), "t": np.asarray([1, -1]), "v": normal(5, 16),
             "c": normal(5)},
        ),
        "upsampling": onnx_model(
            "(float[1,4,6,6] x) => (float y) { n = BatchNormalization(x, g, b, m, v)"
            " d = Conv<group=4>(n, k) q = Clip(d, low, high)"
            ' u = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
            ' nearest_mode="floor">(q, , s) z = Concat<axis=1>(u, u) y = Softmax<axis=1>(z) }',
            {"g": normal(4), "b": normal(4), "m": normal(4), "v": np.abs(normal(4)),
             "k": normal(4, 1, 3, 3), "low": np.asarray(0.0, np.float32),
             "high": np.asarray(6.0, np.float32), "s": np.asarray([1, 1, 2, 2], np.float32)},
        ),
        "shapes": onnx_model(
            "(float[1,2,3,4] x) => (float y) { s = Shape(x) n = Gather(s, zero)"
            " m = Unsqueeze(n, first) t = Concat<axis=0>(m, rest) e = Reshape(x, t)"
            " q = QuantizeLinear(e, sc, zp) f = DequantizeLinear(q, sc, zp)"
            " i = Transpose<perm=[1,0]>(f) r = ReduceMean<axes=[1], keepdims=1>(i)"
            " l = Slice(r, st, en) y = Sigmoid(l) }",
            {"zero": np.asarray(0), "first": np.asarray([0]), "rest": np.asarray([-1]),
             "sc": np.asarray(0.1, np.float32), "zp": np.asarray(3, np.uint8),
             "st": np.asarray([2]), "en": np.asarray([9])},
        ),
        "branches": onnx_model(
            "(float[1,4] x, bool c) => (float y) { e = Relu(x) y = If<"
            "then_branch = t () => (float[1,4] a) { a = Add(e, e) },"
            " else_branch = f () => (float[1,4] b) { b = Neg(e) }>(c) }",
            opset=16,
        ),
    }  # fmt: skip


def _mutated(content: bytes, generator: random.Random) -> bytes:
    if generator.random() < 0.2:
        return content[: generator.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(generator.choice((1, 1, 2, 4))):
        place = generator.randrange(len(changed))
        flipped = changed[place] ^ (1 << generator.randrange(8))
        changed[place] = generator.choice((flipped, generator.randrange(256)))
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(_models()))
def test_mutated_files_are_read_or_refused(name: str) -> None:
    content, generator = _models()[name].SerializeToString(), random.Random(name)
    read = 0
    for _ in range(MUTATIONS):
        changed = _mutated(content, generator)
        with contextlib.suppress(ModelError):
            network = network_from_bytes(changed, "onnx", name)
            read += 1
            with contextlib.suppress(ModelError):
                graph_of(network)
            convert(network, samples=1)
    assert 0 < read < MUTATIONS
