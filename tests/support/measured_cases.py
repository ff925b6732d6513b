"""Small float networks and a library without code, for the targets that are measured."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from small_networks import network_of

from npu_tune.network import Network
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.targets.measured.engine import Array, Feed
from npu_tune.targets.measured.folding import float_graph
from npu_tune.targets.measured.layers import LayeredGraph

SEPARABLE = """
    c1 = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w1, b1)
    r1 = Relu(c1)
    m1 = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r1)
    c2 = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=8>(m1, w2, b2)
    r2 = Relu(c2)
    c3 = Conv<kernel_shape=[1,1]>(r2, w3, b3)
    s1 = Add(m1, c3)
    g1 = GlobalAveragePool(s1)
    f1 = Flatten(g1)
    y = Gemm<transB=1>(f1, w4, b4)
"""

SEPARABLE_WEIGHTS = {
    "w1": (8, 3, 3, 3),
    "b1": (8,),
    "w2": (8, 1, 3, 3),
    "b2": (8,),
    "w3": (8, 8, 1, 1),
    "b3": (8,),
    "w4": (5, 8),
    "b4": (5,),
}


def separable_network() -> Network:
    """A convolution, a separable one with a shortcut, and a classifier of five classes."""
    return network_of(SEPARABLE, SEPARABLE_WEIGHTS, inputs="float[1,3,16,16] x")


def graph_of(network: Network) -> LayeredGraph:
    """Its folded graph with its layers."""
    return LayeredGraph(float_graph(network))


def feeds_of(graph: OnnxGraph, count: int = 2, *, seed: int = 5) -> list[Feed]:
    """Random inputs from -1 to 1."""
    generator = np.random.default_rng(seed)
    return [
        {
            name: generator.uniform(-1, 1, graph.shapes[name]).astype(np.float32)
            for name in graph.inputs
        }
        for _ in range(count)
    ]


@dataclass(frozen=True)
class ScriptedEngine:
    """A library that does what the options of a configuration say.

    Args:
        threads: of an inference.
        outlives_fork: whether the reference is loaded once.
        prepares: False for a library that cannot be imported.
    """

    threads: int = 1
    outlives_fork: bool = True
    prepares: bool = True
    device: ClassVar[str] = "cpu"

    def prepare(self) -> None:
        if not self.prepares:
            raise ImportError("there is no such library")

    def load(self, folder: Path, options: Mapping[str, Any], *, profile: bool) -> ScriptedNetwork:
        del profile
        if options.get("does") == "refuse":
            raise ValueError("this is no network of mine")
        return ScriptedNetwork(folder, options)


class ScriptedNetwork:
    """Sums its input, as often as the option ``work`` says."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._folder = folder
        self._options = options
        self._held = np.ones(int(options.get("bytes", 0)), np.uint8)

    def run(self, feed: Feed) -> list[Array]:
        does = self._options.get("does", "")
        if does == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if does == "crash once":
            mark = self._folder / "crashed"
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGSEGV)
        if does == "exit":
            os._exit(7)
        value = np.asarray(feed["x"], np.float64)
        for _ in range(int(self._options.get("work", 1))):
            total = value.sum()
        if does == "nan":
            total = np.float64("nan")
        return [np.full((1, 2), total, np.float32)]

    def layer_seconds(self, feed: Feed) -> dict[str, float]:
        del feed
        return {"sum": 0.001}

    def close(self) -> None:
        """Holds nothing that must be released."""
