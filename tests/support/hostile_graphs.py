"""ONNX files that are damaged, contradict themselves, or lead to files that are not theirs."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import hostile_onnx
import numpy as np
import onnx
from onnx import TensorProto, helper
from two_runtimes import onnx_model

SECRET = "secret"  # noqa: S105 - the name of a file
"""A file beside the folder of the model, which no model may read."""

_SIZES = (-(2**63), -3, -1, 0, 0, 1, 1, 2, 2, 3, 4, 5, 7, 12, 300, 65_536, 2**31 - 1, 2**40, 2**62)
_PLACES = (f"../{SECRET}", "/etc/passwd", "link", "..", ".", "", "a/../../secret", "\0", "x" * 5000,
           "model.onnx", "/dev/zero", "pipe", "file:///etc/passwd")  # fmt: skip


def damaged(generator: random.Random) -> bytes:
    """A small network with some bytes changed, or cut off."""
    content = bytearray(model_of(generator.choice(_NAMES)).SerializeToString())
    if generator.random() < 0.1:
        return bytes(content[: generator.randrange(len(content))])
    for _ in range(generator.choice((1, 1, 2, 5, 20))):
        place = generator.randrange(len(content))
        flipped = content[place] ^ (1 << generator.randrange(8))
        content[place] = generator.choice((flipped, generator.randrange(256), 255, 0))
    return bytes(content)


def contradictory(generator: random.Random) -> bytes:
    """A small network with some of its fields changed."""
    model = onnx.ModelProto()
    model.CopyFrom(model_of(generator.choice(_NAMES)))
    for _ in range(generator.choice((1, 1, 2, 4))):
        with contextlib.suppress(Exception):  # what an earlier change has made impossible
            generator.choice(_CHANGES)(model, generator)
    return model.SerializeToString()


def bomb(generator: random.Random) -> bytes:
    """A file that stands for gigabytes, or for very many steps."""
    names = [*hostile_onnx.FILES, *_DEEP]
    name = generator.choice(names)
    if name in _DEEP:
        return _DEEP[name](generator)
    model = hostile_onnx.FILES[name]()
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.INT64 and generator.random() < 0.7:
            size = generator.choice((1000, 40_000_000, 120_000_000, 249_000_000, 2**40, 2**62))
            values = onnx.numpy_helper.to_array(tensor).copy()
            values[values == hostile_onnx.HUGE] = size
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString()


def nested(depth: int) -> bytes:
    """Branches in branches, written byte by byte: the library refuses to build them."""
    text = "(float[1,4] x, bool c) => (float y) { y = Relu(x) }"
    graph = onnx_model(text, opset=16).graph.SerializeToString()
    for _ in range(depth):
        attribute = b"".join((_field(1, b"then_branch"), _field(6, graph), b"\xa0\x01\x05"))
        node = b"".join((_field(1, b"c"), _field(2, b"y"), _field(4, b"If"), _field(5, attribute)))
        graph = _field(1, node) + _field(12, _field(1, b"y"))
    return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x10")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    said = bytearray()
    while value > 127:
        said.append(value & 127 | 128)
        value >>= 7
    return bytes([*said, value])


def many_nodes(count: int, op: str) -> bytes:
    nodes = [helper.make_node(op, [f"t{i}"], [f"t{i + 1}"]) for i in range(count)]
    ends = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("t0", f"t{count}")]
    graph = helper.make_graph(nodes, "many", ends[:1], ends[1:])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)]
    ).SerializeToString()


def _wide(count: int) -> bytes:
    """One node that reads the same tensor very often."""
    node = helper.make_node("Concat", ["x"] * count, ["y"], axis=0)
    x = helper.make_tensor_value_info("x", 1, [1, 1000])
    y = helper.make_tensor_value_info("y", 1, [count, 1000])
    graph = helper.make_graph([node], "wide", [x], [y])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)]
    ).SerializeToString()


_DEEP: dict[str, Callable[[random.Random], bytes]] = {
    "nested": lambda generator: nested(generator.choice((3, 40, 90, 120, 3000))),
    "nodes": lambda g: many_nodes(g.choice((500, 5000, 50_000)), g.choice(("Relu", "Identity"))),
    "wide": lambda generator: _wide(generator.choice((1000, 100_000, 1_000_000))),
}


@cache
def model_of(name: str) -> onnx.ModelProto:
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    if name == "classifier":
        return onnx_model(
            "(float[1,3,8,8] x) => (float y) {"
            " a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b) r = Relu(a)"
            " p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) s = Reshape(p, t)"
            " y = Gemm<transB=1>(s, v, c) }",
            {"w": normal(4, 3, 3, 3), "b": normal(4), "t": np.asarray([1, -1]),
             "v": normal(5, 16), "c": normal(5)},
        )  # fmt: skip
    if name == "upsampling":
        return onnx_model(
            "(float[1,4,6,6] x) => (float y) { d = Conv<group=4>(x, k) q = Clip(d, low, high)"
            ' u = Resize<mode="nearest", coordinate_transformation_mode="asymmetric",'
            ' nearest_mode="floor">(q, , s) z = Concat<axis=1>(u, u)'
            " e = Pad(z, p) y = Softmax<axis=1>(e) }",
            {"k": normal(4, 1, 3, 3), "low": np.asarray(0.0, np.float32),
             "high": np.asarray(6.0, np.float32), "s": np.asarray([1, 1, 2, 2], np.float32),
             "p": np.asarray([0, 0, 1, 1, 0, 0, 1, 1])},
        )  # fmt: skip
    return onnx_model(
        "(float[1,2,3,4] x) => (float y) { s = Shape(x) n = Gather(s, zero)"
        " m = Unsqueeze(n, first) t = Concat<axis=0>(m, rest) e = Reshape(x, t)"
        " q = QuantizeLinear(e, sc, zp) f = DequantizeLinear(q, sc, zp)"
        " i = Transpose<perm=[1,0]>(f) r = ReduceMean<axes=[1], keepdims=1>(i)"
        " h = Expand(r, wide) g = Tile(h, times) l = Slice(g, st, en) y = Sigmoid(l) }",
        {"zero": np.asarray(0), "first": np.asarray([0]), "rest": np.asarray([-1]),
         "sc": np.asarray(0.1, np.float32), "zp": np.asarray(3, np.uint8),
         "st": np.asarray([2]), "en": np.asarray([9]), "wide": np.asarray([12, 2]),
         "times": np.asarray([1, 2])},
    )  # fmt: skip


_NAMES = ("classifier", "upsampling", "shapes")


def _change_attribute(model: onnx.ModelProto, generator: random.Random) -> None:
    held = [attribute for node in model.graph.node for attribute in node.attribute]
    if not held:
        return
    attribute = generator.choice(held)
    if attribute.ints:
        place = generator.randrange(len(attribute.ints))
        attribute.ints[place] = generator.choice(_SIZES)
        if generator.random() < 0.2:
            attribute.ints.extend([generator.choice(_SIZES)] * generator.choice((1, 5, 5000)))
    else:
        attribute.i, attribute.f = generator.choice(_SIZES), generator.choice((0.0, 1e38))
        attribute.s = generator.choice((b"", b"\xff", b"linear", b"x" * 10_000))
    if generator.random() < 0.2:
        attribute.type = generator.choice((1, 2, 3, 4, 6, 7))


def _change_constant(model: onnx.ModelProto, generator: random.Random) -> None:
    tensor = generator.choice(model.graph.initializer)
    values = onnx.numpy_helper.to_array(tensor).copy()
    if values.size and generator.random() < 0.6:
        chosen = generator.choice(
            _SIZES if values.dtype.kind == "i" else (0, 1, np.nan, np.inf, -1)
        )
        values.flat[generator.randrange(values.size)] = np.asarray(chosen).astype(values.dtype)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    elif tensor.dims and generator.random() < 0.5:
        tensor.dims[generator.randrange(len(tensor.dims))] = generator.choice(_SIZES)
    else:
        tensor.data_type = generator.randrange(25)


def _move_constant(model: onnx.ModelProto, generator: random.Random) -> None:
    tensor = generator.choice(model.graph.initializer)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=generator.choice(_PLACES))
    if generator.random() < 0.5:
        tensor.external_data.add(key="offset", value=str(generator.choice(_SIZES)))
        tensor.external_data.add(key="length", value=str(generator.choice((*_SIZES, "x"))))


def _change_shape(model: onnx.ModelProto, generator: random.Random) -> None:
    value = generator.choice((*model.graph.input, *model.graph.output))
    shape = value.type.tensor_type.shape
    chance = generator.random()
    if shape.dim and chance < 0.7:
        generator.choice(shape.dim).dim_value = generator.choice(_SIZES)
    elif chance < 0.85:
        for _ in range(generator.choice((1, 3, 40, 3000))):
            shape.dim.add(dim_value=generator.choice((1, 1, 2)))
    else:
        value.type.tensor_type.elem_type = generator.randrange(25)


def _change_edge(model: onnx.ModelProto, generator: random.Random) -> None:
    """Lets a node read or write something else: cycles, names that are there twice, or none."""
    if not model.graph.node:
        return
    node = generator.choice(model.graph.node)
    names = [name for each in model.graph.node for name in (*each.input, *each.output)]
    ends = generator.choice((node.input, node.output))
    if ends:
        ends[generator.randrange(len(ends))] = generator.choice((*names, "", "nobody"))
    if generator.random() < 0.2:
        node.name = generator.choice(("network", "../../up", "a\nb", "\x1b[2J", "x" * 100_000))


def _change_node(model: onnx.ModelProto, generator: random.Random) -> None:
    if not model.graph.node:
        return
    node = generator.choice(model.graph.node)
    chance = generator.random()
    if chance < 0.3:
        node.op_type = generator.choice(_OPERATORS)
    elif chance < 0.5:
        del node.input[generator.randrange(len(node.input) + 1) :]
    elif chance < 0.7:
        model.graph.node.extend([node] * generator.choice((1, 3, 400)))
    elif chance < 0.85:
        model.graph.node.remove(node)
    else:
        model.opset_import[0].version = generator.choice((-1, 0, 1, 7, 11, 18, 21, 10**6))


_OPERATORS = (
    *("ConstantOfShape", "Expand", "Tile", "Pad", "Range", "Resize", "Upsample", "OneHot", "Loop"),
    *("GatherND", "CumSum", "EyeLike", "Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum", "If"),
    *("NonZero", "Compress", "Unique", "TopK", "LSTM", "SpaceToDepth", "DepthToSpace", "Split"),
    *("RandomNormal", "StringSplit", "SequenceEmpty", "Nobody", "MaxPool", "Transpose", "DFT"),
)
_CHANGES: tuple[Callable[[onnx.ModelProto, random.Random], None], ...] = (
    _change_attribute,
    _change_attribute,
    _change_attribute,
    _change_constant,
    _change_constant,
    _change_constant,
    _move_constant,
    _change_shape,
    _change_shape,
    _change_edge,
    _change_node,
    _change_node,
)


def furnish(folder: Path) -> None:
    """Puts what hostile models lead to beside them: a secret, a link to it and a pipe."""
    import os

    (folder.parent / SECRET).write_bytes(b"secret" * 1000)
    if not (folder / "link").is_symlink():
        (folder / "link").symlink_to(f"../{SECRET}")
        os.mkfifo(folder / "pipe")
    with (folder / "gigabyte").open("wb") as stream:
        stream.truncate(1_000_000_000)
