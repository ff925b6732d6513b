"""Builds float ONNX networks layer by layer, with weights that look trained.

Trained weights are not Gaussian: most are small, some are large, and channels differ in scale.
Compilers compress weights, so this affects size and speed. The weights here are drawn from a
mixture of a Gaussian and a Laplacian distribution with a log-normal scale per output channel, and
scaled so that activations keep their size from layer to layer (He et al., "Delving deep into
rectifiers", 2015). Batch normalization is taken as folded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Activation = Literal["relu", "relu6", "swish", "sigmoid", "none"]

OPSET = 13
_CHANNEL_SPREAD = 0.2
"""Standard deviation of the logarithm of the channels' scales."""
_LAPLACIAN_SHARE = 0.4
_SWISH_GAIN = 1.5
"""Swish scales the root mean square of a unit Gaussian by 0.60, and of wider ones by up to 0.71. A
gain between the reciprocals converges to a size; that of 0.60 would grow from layer to layer."""


class NetworkBuilder:
    """Collects nodes and weights; tensors are named after the layer that computes them.

    Args:
        input_name: name of the only input.
        input_shape: N x C x H x W, or N x features.
        seed: of the weights.
    """

    def __init__(self, input_name: str, input_shape: tuple[int, ...], *, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._input = (input_name, input_shape)
        self._shapes: dict[str, tuple[int, ...]] = {input_name: input_shape}
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self._shapes[tensor]

    def conv(
        self,
        source: str,
        name: str,
        channels: int,
        *,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        depthwise: bool = False,
        activation: Activation = "relu",
        padding: Literal["same", "valid"] | int = "same",
        gain: float | None = None,
    ) -> str:
        """Adds a convolution with bias and activation.

        ``same`` pads as TensorFlow does, a number pads every side by as much.
        """
        batch, channels_in, *sizes = self.shape(source)
        kernels = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padding == "same":
            outputs = [math.ceil(size / stride) for size in sizes]
            totals = [
                max((out - 1) * stride + k - size, 0)
                for out, k, size in zip(outputs, kernels, sizes, strict=True)
            ]
        else:
            totals = [0 if padding == "valid" else 2 * padding] * 2
            outputs = [
                (size + total - k) // stride + 1
                for size, total, k in zip(sizes, totals, kernels, strict=True)
            ]
        pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]
        groups = channels_in if depthwise else 1
        covered = math.prod(map(_covered_share, sizes, outputs, kernels, [stride] * 2, pads))
        weights = self._random_weights(
            (channels, channels_in // groups, *kernels),
            (gain or _gain(activation)) / math.sqrt(covered),
        )
        return self._add_with_activation(
            "Conv",
            [source, self._store(f"{name}/weights", weights), self._bias(name, channels)],
            name,
            (batch, channels, *outputs),
            activation,
            kernel_shape=list(kernels),
            strides=[stride, stride],
            pads=pads,
            group=groups,
        )

    def dense(
        self,
        source: str,
        name: str,
        features: int,
        *,
        activation: Activation = "relu",
        gain: float | None = None,
    ) -> str:
        """Adds a fully connected layer."""
        batch, inputs = self.shape(source)
        weights = self._random_weights((features, inputs), gain or _gain(activation))
        return self._add_with_activation(
            "Gemm",
            [source, self._store(f"{name}/weights", weights), self._bias(name, features)],
            name,
            (batch, features),
            activation,
            transB=1,
        )

    def add(self, one: str, other: str, name: str, *, activation: Activation = "none") -> str:
        return self._add_with_activation("Add", [one, other], name, self.shape(one), activation)

    def multiply(self, one: str, other: str, name: str) -> str:
        """Adds an element-wise product; ``other`` is broadcast to the shape of ``one``."""
        return self._node("Mul", [one, other], name, self.shape(one))

    def normalize(self, source: str, name: str, *, activation: Activation = "relu") -> str:
        """Adds a batch normalization that stays one, because no convolution stands before it."""
        channels = self.shape(source)[1]
        draw = self._generator.normal
        scale, bias, mean = (draw(m, 0.1, channels).astype(np.float32) for m in (1.0, 0.0, 0.0))
        values = {"scale": scale, "bias": bias, "mean": mean, "variance": np.ones_like(scale)}
        inputs = [source, *(self._store(f"{name}/{label}", x) for label, x in values.items())]
        return self._add_with_activation(
            "BatchNormalization", inputs, name, self.shape(source), activation
        )

    def concat(self, parts: list[str], name: str) -> str:
        batch, _, *sizes = self.shape(parts[0])
        channels = sum(self.shape(part)[1] for part in parts)
        return self._node("Concat", parts, name, (batch, channels, *sizes), axis=1)

    def rows(self, source: str, name: str, values: int) -> str:
        """Adds a map's values as a list of rows, pixel by pixel: N x rows x values."""
        order = [0, 2, 3, 1]
        shape = tuple(self.shape(source)[axis] for axis in order)
        last = self._node("Transpose", [source], f"{name}/channels_last", shape, perm=order)
        shape = (shape[0], math.prod(shape[1:]) // values, values)
        wanted = self._store(f"{name}/shape", np.asarray(shape, np.int64))
        return self._node("Reshape", [last, wanted], name, shape)

    def max_pool(
        self,
        source: str,
        name: str,
        *,
        kernel: int,
        stride: int,
        pad_start: int = 0,
        pad_end: int = 0,
    ) -> str:
        """Adds a max pool, with rows and columns around its input.

        Args:
            source: tensor that is read.
            name: of the layer.
            kernel: rows and columns of the window.
            stride: of rows and columns.
            pad_start: rows above and columns to the left.
            pad_end: rows below and columns to the right.
        """
        batch, channels, *sizes = self.shape(source)
        outputs = [(size + pad_start + pad_end - kernel) // stride + 1 for size in sizes]
        return self._node(
            "MaxPool",
            [source],
            name,
            (batch, channels, *outputs),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad_start, pad_start, pad_end, pad_end],
        )

    def global_average(self, source: str, name: str) -> str:
        """Adds the mean of each channel, as a vector."""
        pooled = self.channel_means(source, f"{name}/pool")
        return self._node("Flatten", [pooled], name, self.shape(source)[:2], axis=1)

    def channel_means(self, source: str, name: str) -> str:
        """Adds the mean of each channel, as a feature map of 1 x 1."""
        shape = (*self.shape(source)[:2], 1, 1)
        return self._node("GlobalAveragePool", [source], name, shape)

    def upsample(self, source: str, name: str) -> str:
        """Adds a nearest-neighbour resize to twice the height and width."""
        batch, channels, height, width = self.shape(source)
        scales = self._store(f"{name}/scales", np.asarray([1, 1, 2, 2], np.float32))
        return self._node(
            "Resize",
            [source, "", scales],
            name,
            (batch, channels, 2 * height, 2 * width),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def sigmoid(self, source: str, name: str) -> str:
        return self._node("Sigmoid", [source], name, self.shape(source))

    def softmax(self, source: str, name: str, *, axis: int = 1) -> str:
        return self._node("Softmax", [source], name, self.shape(source), axis=axis)

    def model(self, name: str, outputs: list[str]) -> onnx.ModelProto:
        """Makes the ONNX model of all that was added."""
        from onnx import TensorProto, helper  # noqa: PLC0415 - heavy

        def value(tensor: str) -> Any:
            return helper.make_tensor_value_info(tensor, TensorProto.FLOAT, self.shape(tensor))

        graph = helper.make_graph(
            self._nodes, name, [value(self._input[0])], list(map(value, outputs)), self._weights
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=8,
            producer_name="npu-tune",
        )

    def _node(
        self, op: str, inputs: list[str], name: str, shape: tuple[int, ...], **attributes: Any
    ) -> str:
        from onnx import helper  # noqa: PLC0415 - heavy

        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self._shapes[name] = shape
        return name

    def _add_with_activation(
        self,
        op: str,
        inputs: list[str],
        name: str,
        shape: tuple[int, ...],
        activation: Activation,
        **attributes: Any,
    ) -> str:
        if activation == "none":
            return self._node(op, inputs, name, shape, **attributes)
        before = self._node(op, inputs, f"{name}/linear", shape, **attributes)
        if activation == "relu":
            return self._node("Relu", [before], name, shape)
        if activation == "sigmoid":
            return self.sigmoid(before, name)
        if activation == "swish":
            return self.multiply(before, self.sigmoid(before, f"{name}/sigmoid"), name)
        limits = [
            self._store(f"{name}/{label}", np.asarray(limit, np.float32))
            for label, limit in (("min", 0.0), ("max", 6.0))
        ]
        return self._node("Clip", [before, *limits], name, shape)

    def _store(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper  # noqa: PLC0415 - heavy

        self._weights.append(numpy_helper.from_array(value, name))
        return name

    def _bias(self, name: str, channels: int) -> str:
        bias = self._generator.normal(0.0, 0.1, channels)
        return self._store(f"{name}/bias", bias.astype(np.float32))

    def _random_weights(self, shape: tuple[int, ...], gain: float) -> NDArray[np.float32]:
        generator = self._generator
        gaussian = generator.normal(0.0, 1.0, shape)
        laplacian = generator.laplace(0.0, math.sqrt(0.5), shape)
        mixed = np.where(generator.random(shape) < _LAPLACIAN_SHARE, laplacian, gaussian)
        # The math module gives the same bits on every processor, vectorized functions do not.
        scales = [math.exp(x) for x in generator.normal(0.0, _CHANNEL_SPREAD, shape[0])]
        spread = np.asarray(scales) / math.sqrt(math.fsum(x * x for x in scales) / len(scales))
        mixed *= spread.reshape(-1, *[1] * (len(shape) - 1))
        fan_in = math.prod(shape[1:])
        return (mixed * gain / math.sqrt(fan_in)).astype(np.float32)


def _covered_share(size: int, outputs: int, kernel: int, stride: int, pad: int) -> float:
    """The mean share of a kernel's rows, or columns, that are on the input and not the padding."""
    starts = [index * stride - pad for index in range(outputs)]
    inside = sum(min(start + kernel, size) - max(start, 0) for start in starts)
    return inside / (outputs * kernel)


def _gain(activation: Activation) -> float:
    """The gain that keeps the mean square of activations, of which ReLU drops half."""
    if activation in ("none", "sigmoid"):
        return 1.0
    return _SWISH_GAIN if activation == "swish" else math.sqrt(2.0)
