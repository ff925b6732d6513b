"""Small float networks in ncnn, run in a child of this process, as ncnn may crash."""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from two_runtimes import onnx_model, onnx_network

from npu_tune.network import Network
from npu_tune.targets.measured.calibration import observe_histograms
from npu_tune.targets.measured.data import MeasuringData
from npu_tune.targets.measured.engine import Array, Feed
from npu_tune.targets.measured.fidelity import make_fidelity
from npu_tune.targets.measured.folding import float_graph
from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.ncnn.checking import CheckingEngine
from npu_tune.targets.ncnn.engine import NcnnEngine
from npu_tune.targets.ncnn.files import write_files
from npu_tune.targets.ncnn.operators import translate
from npu_tune.targets.ncnn.plan import BF16, FLOAT, LayerPlan, resolve
from npu_tune.targets.ncnn.writer import NcnnWriter

CONVOLUTIONS = """
    c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
    r1 = Relu(c1)
    c2 = Conv<kernel_shape=[1,1]>(r1, w2, b2)
    r2 = Clip(c2, low, high)
    c3 = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=32>(r2, w3, b3)
    r3 = Relu(c3)
    c4 = Conv<kernel_shape=[1,1]>(r3, w4, b4)
    s = Add(c4, r1)
    p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(s)
    c5 = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(p, w5, b5)
    g = GlobalAveragePool(c5)
    f = Flatten(g)
    y = Gemm<transB=1>(f, w6, b6)
"""
CONVOLUTION_WEIGHTS = {
    "w1": (20, 3, 3, 3),
    "b1": (20,),
    "w2": (32, 20, 1, 1),
    "b2": (32,),
    "w3": (32, 1, 3, 3),
    "b3": (32,),
    "w4": (20, 32, 1, 1),
    "b4": (20,),
    "w5": (24, 20, 3, 3),
    "b5": (24,),
    "w6": (10, 24),
    "b6": (10,),
}
CLIP_LIMITS = {"low": np.float32(0.0), "high": np.float32(6.0)}


def network_of(
    nodes: str,
    weights: Mapping[str, tuple[int, ...]] | None = None,
    *,
    inputs: str = "float[1,6,9,11] x",
    outputs: str = "float y",
    constants: Mapping[str, Any] | None = None,
    opset: int = 13,
) -> Network:
    """A network in ONNX's text form; weights are drawn so that values keep their size."""
    generator = np.random.default_rng(0)
    values: dict[str, Any] = {}
    for name, shape in (weights or {}).items():
        scale = 1 / np.sqrt(max(int(np.prod(shape[1:])), 1))
        values[name] = generator.normal(0.0, scale, shape).astype(np.float32)
    values |= {name: np.asarray(value) for name, value in (constants or {}).items()}
    return onnx_network(
        onnx_model(f"({inputs}) => ({outputs}) {{ {nodes} }}", values, opset=opset)
    )


def convolutions() -> Network:
    """A small network with every kind of layer that has choices, two of which can be chained."""
    return network_of(
        CONVOLUTIONS, CONVOLUTION_WEIGHTS, inputs="float[1,3,16,16] x", constants=CLIP_LIMITS
    )


class NcnnCase:
    """A network as ncnn's layers.

    Args:
        network: float ONNX.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layered = LayeredGraph(float_graph(network))
        self.program = translate(self.layered)
        graph = self.layered.graph
        self.feeds, compared = MeasuringData().feeds({n: graph.shapes[n] for n in graph.inputs})
        self.fidelity = make_fidelity(network, graph, compared[:2], None)

    @property
    def kinds(self) -> list[str]:
        """Of ncnn's layers."""
        return [layer.kind for layer in self.program.layers]

    def precisions(self, **chosen: str) -> dict[str, str]:
        """Of all layers, by their names."""
        return resolve(self.program, {**dict.fromkeys(self.program.products, FLOAT), **chosen})

    def decibels(
        self,
        precisions: Mapping[str, str] | None = None,
        masks: Mapping[str, int] | None = None,
        *,
        device: str = "cpu",
        **options: Any,
    ) -> float:
        """Signal to noise of the outputs against onnxruntime's."""
        plan = LayerPlan(self.precisions(**(precisions or {})), masks or {})
        if BF16 in plan.precisions.values():
            options["bf16"] = True
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_files(NcnnWriter(self.program), plan, self._limit, folder)
            engine = NcnnEngine(1, device)
            outputs = in_child(lambda: _run(engine, folder, options, self.fidelity.feeds))
        return self.fidelity.decibels(outputs)

    def _limit(self, tensor: str) -> float:
        return max(map(abs, self._histograms[tensor].range("minmax")))

    @cached_property
    def _histograms(self) -> Mapping[str, Any]:
        names = {self.program.tensors[x.inputs[0]] for x in self.program.products.values()}
        return observe_histograms(self.layered.graph, sorted(names), self.feeds)


def _run(
    engine: NcnnEngine, folder: Path, options: Mapping[str, Any], feeds: Sequence[Feed]
) -> list[list[Array]]:
    network = engine.load(folder, options, profile=False)
    return [network.run(feed) for feed in feeds]


def in_child(call: Callable[[], Any]) -> Any:
    """What a call returns in a child of this process, which may crash."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = pickle.dumps(call())
        except BaseException as error:  # noqa: BLE001 - it is raised again
            answer = pickle.dumps(error)
        with os.fdopen(writer, "wb") as stream:
            stream.write(answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if status or not answer:
        raise RuntimeError(f"The child ended with {os.waitstatus_to_exitcode(status)}.")
    found = pickle.loads(answer)  # noqa: S301 - of the child
    if isinstance(found, BaseException):
        raise found
    return found


@dataclass(frozen=True)
class CrashingEngine(CheckingEngine):
    """Dies where a network is loaded."""

    def load(self, folder: Path, options: Mapping[str, Any], *, profile: bool) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)


@dataclass(frozen=True)
class RefusingEngine(CheckingEngine):
    """Takes no network."""

    def load(self, folder: Path, options: Mapping[str, Any], *, profile: bool) -> Any:
        raise ValueError("this is not for me")
