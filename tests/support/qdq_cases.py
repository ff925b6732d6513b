"""Random small networks of the operators that onnxruntime may compute in int8."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from two_runtimes import onnx_model, onnx_network

from npu_tune.network import Network

CHANNELS = 4


@dataclass
class _Draft:
    """A network that grows node by node; every tensor has its shape beside it."""

    draw: Any
    nodes: list[str] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def add(self, text: str, shape: tuple[int, ...], weights: dict[str, tuple[int, ...]]) -> None:
        """Adds a node; ``{w}`` in its text stands for the weight called ``w``."""
        output = f"t{len(self.nodes)}"
        names = {key: f"{output}_{key}" for key in weights}
        for key, each in weights.items():
            scale = 1.0 / np.sqrt(max(np.prod(each[1:]), 1))
            values = self.generator.normal(0.0, scale, each)
            self.weights[names[key]] = values.astype(np.float32)
        self.nodes.append(f"{output} = {text.format(**names)}")
        self.shapes[output] = shape

    def pick(self, rank: int | None = None, like: tuple[int, ...] | None = None) -> str | None:
        """One of the tensors that fit, later ones more often."""
        fit = [
            name
            for name, shape in self.shapes.items()
            if rank in (None, len(shape)) and like in (None, shape)
        ]
        return self.draw(st.sampled_from(fit[-3:])) if fit else None


def _convolution(draft: _Draft) -> None:
    x = draft.pick(rank=draft.draw(st.sampled_from([3, 4])))
    if x is None:
        return
    batch, channels, *size = draft.shapes[x]
    group = draft.draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    kernel = draft.draw(st.sampled_from([1, 3]))
    pads = ",".join([str(kernel // 2)] * 2 * len(size))
    kernels = ",".join([str(kernel)] * len(size))
    weights = {"w": (channels, channels // group, *[kernel] * len(size))}
    bias = ""
    if draft.draw(st.booleans()):
        weights["b"], bias = (channels,), ", {b}"
    draft.add(
        f"Conv<kernel_shape=[{kernels}], pads=[{pads}], group={group}>({x}, {{w}}{bias})",
        (batch, channels, *size),
        weights,
    )


def _gemm(draft: _Draft) -> None:
    x = draft.pick(rank=2)
    if x is None:
        return
    rows, width = draft.shapes[x]
    turned = draft.draw(st.booleans())
    weights = {"w": (5, width) if turned else (width, 5)}
    bias = draft.draw(st.sampled_from([None, (5,), (1, 5), (1,), (rows, 1)]))
    if bias is not None:
        weights["b"] = bias
    text = f"Gemm<transB={int(turned)}>({x}, {{w}}{'' if bias is None else ', {b}'})"
    draft.add(text, (rows, 5), weights)


def _product(draft: _Draft) -> None:
    x = draft.pick()
    shape = draft.shapes[x]
    draft.add(f"MatMul({x}, {{w}})", (*shape[:-1], 6), {"w": (shape[-1], 6)})


def _activation(draft: _Draft) -> None:
    x = draft.pick()
    text = draft.draw(st.sampled_from(["Relu({x})", "Clip({x}, low, high)", "Sigmoid({x})"]))
    draft.add(text.format(x=x), draft.shapes[x], {})


def _sum(draft: _Draft) -> None:
    x = draft.pick()
    other = draft.pick(like=draft.shapes[x])
    operator = draft.draw(st.sampled_from(["Add", "Mul"]))
    draft.add(f"{operator}({x}, {other})", draft.shapes[x], {})


def _concatenation(draft: _Draft) -> None:
    x = draft.pick()
    other = draft.pick(like=draft.shapes[x])
    *rest, width = draft.shapes[x]
    draft.add(f"Concat<axis=-1>({x}, {other})", (*rest, 2 * width), {})


def _pool(draft: _Draft) -> None:
    x = draft.pick(rank=4)
    if x is None:
        return
    batch, channels, height, width = draft.shapes[x]
    operator = draft.draw(st.sampled_from(["MaxPool", "AveragePool", "GlobalAveragePool"]))
    if operator == "GlobalAveragePool":
        draft.add(f"{operator}({x})", (batch, channels, 1, 1), {})
    else:
        pads = "<kernel_shape=[3,3], pads=[1,1,1,1]>"
        draft.add(f"{operator}{pads}({x})", (batch, channels, height, width), {})


def _move(draft: _Draft) -> None:
    x = draft.pick()
    shape = draft.shapes[x]
    operator = draft.draw(st.sampled_from(["Transpose", "Flatten", "Unsqueeze"]))
    if operator == "Transpose":
        draft.add(f"Transpose({x})", shape[::-1], {})
    elif operator == "Flatten":
        draft.add(f"Flatten<axis=1>({x})", (shape[0], int(np.prod(shape[1:]))), {})
    elif len(shape) < 4:
        draft.add(f"Unsqueeze({x}, first)", (1, *shape), {})


_STEPS = (_convolution, _gemm, _product, _activation, _sum, _concatenation, _pool, _move)


@st.composite
def small_networks(draw) -> Network:
    """A network of some nodes, whose last tensors are its outputs."""
    draft = _Draft(draw)
    batch = draw(st.sampled_from([1, 2]))
    shape = draw(st.sampled_from([(batch, CHANNELS, 6, 6), (batch, CHANNELS, 6), (batch, 8)]))
    draft.shapes["x"] = shape
    for _ in range(draw(st.integers(1, 8))):
        draw(st.sampled_from(_STEPS))(draft)
    if not draft.nodes:
        draft.add("Relu(x)", shape, {})
    names = [name for name in draft.shapes if name != "x"]
    outputs = sorted({names[-1], draw(st.sampled_from(names))})
    constants = {
        **draft.weights,
        "low": np.float32(-0.5).reshape(()),
        "high": np.float32(1.5).reshape(()),
        "first": np.array([0], np.int64),
    }
    sizes = ",".join(map(str, shape))
    body = f"(float[{sizes}] x) => ({', '.join(f'float {n}' for n in outputs)})"
    return onnx_network(onnx_model(f"{body} {{ {' '.join(draft.nodes)} }}", constants))
