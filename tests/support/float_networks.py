"""Float networks of known shapes with seeded weights, for what is measured on a CPU.

Topologies are those of the onnx package's light models, and MobileNetV2 of Sandler et al.,
"MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2. Weights are drawn after He et al.,
"Delving Deep into Rectifiers": variance 2 / fan-in, so that signals neither vanish nor blow up.
There is no final Softmax: outputs are logits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from npu_tune.network import Network, network_from_bytes

Array = NDArray[np.float32]

SIDE = 224
"""Pixels."""

_BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repetitions and stride of the first of them."""


def resnet50() -> Network:
    """ResNet-50, with batch normalisations."""
    return _light("resnet50")


def squeezenet() -> Network:
    """SqueezeNet 1.0."""
    return _light("squeezenet")


def mobilenetv2() -> Network:
    """MobileNetV2 with batch normalisations folded and activations from 0 to 6.

    All layers in int8 are too noisy: about 22 dB against float32.
    """
    return _Builder(np.random.default_rng(0)).mobilenetv2()


def tiny() -> Network:
    """Three convolutions that run within a fraction of a millisecond."""
    return _Builder(np.random.default_rng(0)).tiny()


FLOAT_NETWORKS: Mapping[str, Callable[[], Network]] = {
    "resnet50": resnet50,
    "squeezenet": squeezenet,
    "mobilenetv2": mobilenetv2,
    "tiny": tiny,
}


def _light(name: str) -> Network:
    """A light model, whose constants are all drawn anew, without its Softmax."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = onnx.load(folder / f"light_{name}.onnx")
    graph = model.graph
    given = {each.name: each for each in graph.initializer}
    # A light model computes its constants from their shapes, but for short ones.
    shapes = {label: tuple(each.dims) for label, each in given.items()}
    shapes |= {
        node.output[0]: tuple(map(int, numpy_helper.to_array(given[node.input[0]])))
        for node in graph.node
        if node.op_type == "ConstantOfShape"
    }
    nodes = [node for node in graph.node if node.op_type not in ("ConstantOfShape", "Softmax")]
    generator = np.random.default_rng(0)
    constants = {
        label: _draw(generator, node.op_type, position, shapes[label])
        for node in nodes
        if node.op_type in ("Conv", "Gemm", "BatchNormalization")
        for position, label in enumerate(node.input)
        if position > 0
    }
    constants |= {
        label: numpy_helper.to_array(given[label])
        for node in nodes
        if node.op_type == "Reshape"
        for label in node.input[1:]
    }
    image = next(value.name for value in graph.input if value.name not in given)
    opset = model.opset_import[0].version
    return _network(name, nodes, constants, image, nodes[-1].output[0], opset=opset)


def _draw(generator: np.random.Generator, op: str, position: int, shape: tuple[int, ...]) -> Array:
    """Draws the constant at a position of an operator's inputs."""
    if op == "BatchNormalization":
        value = (
            generator.uniform(0.5, 1.0, shape),  # scale
            generator.normal(0, 0.1, shape),  # shift
            generator.normal(0, 0.1, shape),  # mean
            generator.uniform(0.8, 1.2, shape),  # variance
        )[position - 1]
    elif position == 1:
        gain = 2 if op == "Conv" else 1
        value = generator.normal(0, np.sqrt(gain / np.prod(shape[1:])), shape)
    else:
        value = generator.normal(0, 0.05, shape)
    return value.astype(np.float32)


class _Builder:
    """Builds networks of convolutions, each with a bias.

    Args:
        generator: of the weights.
    """

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, Array] = {
            "low": np.array(0, np.float32),
            "high": np.array(6, np.float32),
        }

    def mobilenetv2(self) -> Network:
        channels, last = 32, self._convolution("image", 3, 32, side=3, stride=2)
        for expansion, wide, repetitions, stride in _BOTTLENECKS:
            for index in range(repetitions):
                last = self._bottleneck(
                    last, channels, wide, expansion, stride=stride if index == 0 else 1
                )
                channels = wide
        last = self._convolution(last, channels, 1280)
        pooled = self._node("GlobalAveragePool", [last])
        flat = self._node("Flatten", [pooled])
        weights = self._constant("weights", self._generator.normal(0, 0.03, (1000, 1280)))
        bias = self._constant("bias", self._generator.normal(0, 0.1, 1000))
        logits = self._node("Gemm", [flat, weights, bias], transB=1)
        return _network("mobilenetv2", self._nodes, self._constants, "image", logits)

    def tiny(self) -> Network:
        last = self._convolution("image", 3, 8, side=3, stride=2)
        last = self._convolution(last, 8, 16, side=3, stride=2)
        last = self._convolution(last, 16, 16)
        pooled = self._node("GlobalAveragePool", [last])
        return _network("tiny", self._nodes, self._constants, "image", pooled, side=16)

    def _bottleneck(
        self, data: str, channels: int, wide: int, expansion: int, *, stride: int
    ) -> str:
        inner = channels * expansion
        last = self._convolution(data, channels, inner) if expansion > 1 else data
        last = self._convolution(last, inner, inner, side=3, stride=stride, groups=inner)
        last = self._convolution(last, inner, wide, clipped=False)
        return self._node("Add", [data, last]) if stride == 1 and channels == wide else last

    def _convolution(
        self,
        data: str,
        channels: int,
        wide: int,
        *,
        side: int = 1,
        stride: int = 1,
        groups: int = 1,
        clipped: bool = True,
    ) -> str:
        shape = (wide, channels // groups, side, side)
        spread = np.sqrt(2 / np.prod(shape[1:]))
        weights = self._constant("weights", self._generator.normal(0, spread, shape))
        bias = self._constant("bias", self._generator.normal(0, 0.1, wide))
        last = self._node(
            "Conv",
            [data, weights, bias],
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[side // 2] * 4,
            group=groups,
        )
        return self._node("Clip", [last, "low", "high"]) if clipped else last

    def _constant(self, label: str, value: NDArray[np.float64]) -> str:
        name = f"{label}{len(self._constants)}"
        self._constants[name] = value.astype(np.float32)
        return name

    def _node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def _network(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Array],
    image: str,
    output: str,
    *,
    side: int = SIDE,
    opset: int = 13,
) -> Network:
    """A network of one image and one output, whose shape onnx finds."""

    def value(label: str, shape: list[int] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(label, onnx.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        name,
        [value(image, [1, 3, side, side])],
        [value(output, None)],
        [numpy_helper.from_array(np.asarray(each), label) for label, each in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    return network_from_bytes(inferred.SerializeToString(), "onnx", name)
