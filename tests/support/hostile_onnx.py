"""Small ONNX files that stand for gigabytes; run as a script, reads them all in little memory.

    python tests/support/hostile_onnx.py FOLDER

prints a JSON object with what was said of each, and the most memory in bytes. It limits its own
address space, so that a file that gets through ends it instead of the machine.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from two_runtimes import onnx_model

LIMIT_BYTES = 4_000_000_000
"""Of addresses, of which the libraries alone reserve more than a gigabyte."""
HUGE = 400_000_000


def _filled(body: str, **constants: Any) -> onnx.ModelProto:
    """A model that adds nothing but a huge constant to its output."""
    arrays = {name: np.asarray(value) for name, value in constants.items()}
    text = "(float[1,4] x) => (float y, float z) { y = Relu(x) " + body + " z = Mul(big, x) }"
    return onnx_model(text, arrays, opset=13)


def _doubling(first: np.ndarray) -> onnx.ModelProto:
    flat = first.reshape(-1)
    steps = [f"s{i + 1} = Concat<axis=0>(s{i}, s{i})" for i in range(60)]
    return _filled(
        " ".join(steps) + " f = Cast<to=1>(s60) big = Reshape(f, t)", s0=flat, t=[-1, 4]
    )


def _functions() -> onnx.ModelProto:
    """Functions that call the next one twice, sixty levels deep."""
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("own", 1)]
    functions = []
    for level in range(60):
        called, domain = (f"f{level + 1}", "own") if level < 59 else ("Relu", "")
        nodes = [
            helper.make_node(called, ["a"], ["b"], domain=domain),
            helper.make_node(called, ["b"], ["c"], domain=domain),
        ]
        functions.append(helper.make_function("own", f"f{level}", ["a"], ["c"], nodes, opsets))
    graph = helper.make_graph(
        [helper.make_node("f0", ["x"], ["y"], domain="own")],
        "functions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    return helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)


def _dimensions() -> onnx.ModelProto:
    """One list of a hundred thousand sizes, that a hundred operators make a shape of."""
    ones = np.ones(100_000, np.int64)
    nodes = " ".join(f"r{i} = Reshape(x, sizes)" for i in range(100))
    outputs = ", ".join(f"float r{i}" for i in range(100))
    return onnx_model(f"(float[1] x) => ({outputs}) {{ {nodes} }}", {"sizes": ones})


def _without_data() -> onnx.ModelProto:
    model = onnx_model("(float[1,4] x) => (float y) { y = Add(x, w) }")
    model.graph.initializer.append(
        TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[10**6, 10**6, 4])
    )
    return model


def _shared_weights() -> onnx.ModelProto:
    """A hundred tensors that are all the same gigabyte of another file."""
    nodes = " ".join(f"y{i} = Mul(x, w{i})" for i in range(100))
    outputs = ", ".join(f"float y{i}" for i in range(100))
    model = onnx_model(f"(float[1,4] x) => ({outputs}) {{ {nodes} }}")
    for index in range(100):
        tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=[62_500_000, 4])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="gigabyte")
        model.graph.initializer.append(tensor)
    return model


FILES: dict[str, Callable[[], onnx.ModelProto]] = {
    "constant_of_shape": lambda: _filled("big = ConstantOfShape(s)", s=[HUGE, 4]),
    "expand": lambda: _filled("big = Expand(v, s)", v=np.ones((1, 4), np.float32), s=[HUGE, 4]),
    "tile": lambda: _filled("big = Tile(v, s)", v=np.ones((1, 4), np.float32), s=[HUGE, 1]),
    "range": lambda: _filled(
        "r = Range(a, b, c) f = Cast<to=1>(r) big = Unsqueeze(f, one)",
        a=0, b=HUGE, c=1, one=[1],
    ),
    "pad": lambda: _filled(
        "big = Pad(v, p)", v=np.ones((1, 4), np.float32), p=[HUGE, 0, 0, 0]
    ),
    "one_hot": lambda: _filled(
        "big = OneHot<axis=0>(i, d, w)",
        i=np.zeros((1000, 4), np.int64), d=HUGE, w=np.asarray([0, 1], np.float32),
    ),
    "resize": lambda: _filled(
        'e = Resize<mode="nearest">(v, , , s) big = Reshape(e, t)',
        v=np.ones((1, 1, 2, 2), np.float32), s=[1, 1, 40_000, 40_000], t=[-1, 4],
    ),
    "slow_resize": lambda: _filled(
        'e = Resize<mode="linear">(v, , , s) big = Reshape(e, t)',
        v=np.ones((1, 1, 2, 2), np.float32), s=[1, 1, 4000, 4000], t=[-1, 4],
    ),
    "cast": lambda: _filled(
        "w = ConstantOfShape<value = uint8[1] {1}>(s) f = Cast<to=1>(w) big = ReduceSum(f)",
        s=[HUGE],
    ),
    "doubling": lambda: _doubling(np.ones((1, 4), np.float32)),
    "doubling_integers": lambda: _doubling(np.ones((1, 4), np.int64)),
    "functions": _functions,
    "dimensions": _dimensions,
    "without_data": _without_data,
    "shared_weights": _shared_weights,
}  # fmt: skip


def _words(file: Path) -> str:
    from npu_tune.errors import NpuTuneError
    from npu_tune.network import read_network
    from npu_tune.network.quantize import convert
    from npu_tune.targets.neural_art.graph import graph_of

    said = []
    try:
        network = read_network(file)
    except NpuTuneError as error:
        return f"{error.exit_code} {error.message}"
    for use in (graph_of, lambda each: convert(each, samples=1)):
        try:
            use(network)
            said.append("0")
        except NpuTuneError as error:
            said.append(f"{error.exit_code} {error.message}")
    return " / ".join(said)


def main(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    with (folder / "gigabyte").open("wb") as stream:
        stream.truncate(1_000_000_000)
    said = {}
    for name, make in FILES.items():
        file = folder / f"{name}.onnx"
        file.write_bytes(make().SerializeToString())
        said[name] = _words(file)
    sys.stdout.write(json.dumps({"said": said, "peak_bytes": _peak_bytes()}))


def _peak_bytes() -> int:
    """What this program took at most; ``ru_maxrss`` would count whoever started it, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
