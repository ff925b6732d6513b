"""One network written as different exporters write it; what it computes stays the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from npu_tune.network import Network, network_from_bytes

Style = Callable[["Rewriter"], None]

_TO_FIRST = [0, 3, 1, 2]
_TO_LAST = [0, 2, 3, 1]


class Rewriter:
    """An ONNX model whose nodes are replaced one by one.

    Args:
        network: in ONNX, of one input and one output.
    """

    def __init__(self, network: Network) -> None:
        self.model = onnx.load_from_string(network.model_bytes)
        self.shapes = {name: tensor.shape for name, tensor in network.tensors.items()}
        self._count = 0
        del self.model.graph.value_info[:]

    @property
    def values(self) -> dict[str, NDArray[np.float32]]:
        return {x.name: numpy_helper.to_array(x) for x in self.model.graph.initializer}

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = self.fresh()
        tensor = numpy_helper.from_array(np.asarray(value, dtype), name)
        self.model.graph.initializer.append(tensor)
        return name

    def fresh(self) -> str:
        self._count += 1
        return f"made_{self._count}"

    def node(self, op: str, inputs: Iterable[str], output: str | None = None, **given: object):
        return helper.make_node(op, list(inputs), [output or self.fresh()], **given)

    def each(self, *ops: str, change: Callable[[onnx.NodeProto], list[onnx.NodeProto]]) -> None:
        """Replaces every node of some operators, or of all where none are named."""
        changed = []
        for node in self.model.graph.node:
            changed += change(node) if node.op_type in ops or not ops else [node]
        del self.model.graph.node[:]
        self.model.graph.node.extend(changed)

    def network(self) -> Network:
        # Unused constants would count as weights in no exporter's file.
        read = {name for node in self.model.graph.node for name in node.input}
        kept = [x for x in self.model.graph.initializer if x.name in read]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(kept)
        onnx.checker.check_model(self.model, full_check=True)
        return network_from_bytes(self.model.SerializeToString(), "onnx", "styled")


def styled(network: Network, style: Style) -> Network:
    """The network as an exporter of some style writes it."""
    rewriter = Rewriter(network)
    style(rewriter)
    return rewriter.network()


def _attributes(node: onnx.NodeProto) -> dict[str, object]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _again(node: onnx.NodeProto, inputs: Iterable[str], output: str, **changes: object):
    attributes = {k: v for k, v in (_attributes(node) | changes).items() if v is not None}
    return helper.make_node(node.op_type, list(inputs), [output], node.name, **attributes)


def explicit_pads(r: Rewriter) -> None:
    """Padding is a node of its own, as PyTorch and Keras write ZeroPad2d."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        pads = list(_attributes(node).get("pads", ()))
        if not any(pads):
            return [node]
        amounts = r.constant([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)
        padded = r.node("Pad", [node.input[0], amounts], mode="constant")
        conv = _again(node, [padded.output[0], *node.input[1:]], node.output[0], pads=[0] * 4)
        return [padded, conv]

    r.each("Conv", change=change)


def automatic_pads(r: Rewriter) -> None:
    """Padding is left to ``auto_pad``, as tf2onnx writes it."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if not any(_attributes(node).get("pads", ())):
            return [node]
        return [_again(node, node.input, node.output[0], pads=None, auto_pad="SAME_UPPER")]

    r.each("Conv", change=change)


def batch_normalization(r: Rewriter) -> None:
    """Convolutions without bias, and batch normalization behind them."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        channels = r.values[node.input[1]].shape[0]
        conv = _again(node, node.input[:2], r.fresh())
        gamma, beta, mean, variance = (
            r.constant(np.linspace(low, 1, channels)) for low in (0.5, -1, -1, 0.1)
        )
        inputs = [conv.output[0], gamma, beta, mean, variance]
        return [conv, r.node("BatchNormalization", inputs, node.output[0])]

    r.each("Conv", change=change)


def factors_and_offsets(r: Rewriter) -> None:
    """Batch normalization spelled out as Mul and Add of constants per channel."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        channels = r.values[node.input[1]].shape[0]
        conv = _again(node, node.input[:2], r.fresh())
        per_channel = np.linspace(0.5, 1, channels).reshape(1, channels, 1, 1)
        product = r.node("Mul", [conv.output[0], r.constant(per_channel)])
        total = r.node("Add", [r.constant(per_channel[0]), product.output[0]], node.output[0])
        return [conv, product, total]

    r.each("Conv", change=change)


def _input_last(r: Rewriter) -> None:
    (given,) = r.model.graph.input
    dims = given.type.tensor_type.shape.dim
    sizes = [dims[axis].dim_value for axis in _TO_LAST]
    for dim, size in zip(dims, sizes, strict=True):
        dim.dim_value = size


def channels_last_input(r: Rewriter) -> None:
    """The image comes channels last and is transposed, as tf2onnx writes it."""
    _input_last(r)
    name = r.model.graph.input[0].name
    transposed = r.node("Transpose", [name], perm=_TO_FIRST)

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        inputs = [transposed.output[0] if x == name else x for x in node.input]
        return [_again(node, inputs, node.output[0])]

    r.each(change=change)
    r.model.graph.node.insert(0, transposed)


def channels_last_everywhere(
    r: Rewriter, change: Callable[[onnx.NodeProto], list[onnx.NodeProto]] | None = None
) -> None:
    """Every map is channels last; convolutions and pools stand between transpositions.

    Args:
        r: is rewritten.
        change: for convolutions, if they are written otherwise.
    """
    _input_last(r)

    def default(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type == "Concat":
            return [_again(node, node.input, node.output[0], axis=3)]
        if node.op_type == "Conv" and change is not None:
            return change(node)
        before, inner, after = _between_transpositions(r, node, node.input[0], node.input[1:])
        return [before, inner, _again(after, after.input, node.output[0])]

    r.each("Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", change=default)


def _between_transpositions(
    r: Rewriter, node: onnx.NodeProto, source: str, others: Iterable[str]
) -> list[onnx.NodeProto]:
    before = r.node("Transpose", [source], perm=_TO_FIRST)
    inner = _again(node, [before.output[0], *others], r.fresh())
    return [before, inner, r.node("Transpose", inner.output, perm=_TO_LAST)]


def unfused_and_channels_last(r: Rewriter) -> None:
    """What tf2onnx writes without its optimizer: pads and offsets on maps that are channels last."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        inner, nodes, source = node, [], node.input[0]
        pads = list(_attributes(node).get("pads", ()))
        if any(pads):
            amounts = r.constant([0, *pads[:2], 0, 0, *pads[2:], 0], np.int64)
            nodes.append(r.node("Pad", [source, amounts]))
            source = nodes[-1].output[0]
            inner = _again(node, node.input, node.output[0], pads=[0] * 4)
        before, conv, after = _between_transpositions(r, inner, source, inner.input[1:2])
        added = r.node("Add", [after.output[0], node.input[2]], node.output[0])
        return [*nodes, before, conv, after, added]

    channels_last_everywhere(r, change)


def means_as_reductions(r: Rewriter) -> None:
    """Global pools are means over rows and columns."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [r.node("ReduceMean", node.input, node.output[0], axes=[2, 3], keepdims=1)]

    r.each("GlobalAveragePool", change=change)


def means_as_pools(r: Rewriter) -> None:
    """Global pools are average pools with a window of the whole map."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        window = list(r.shapes[node.input[0]][2:])
        return [r.node("AveragePool", node.input, node.output[0], kernel_shape=window)]

    r.each("GlobalAveragePool", change=change)


def means_without_dimensions(r: Rewriter) -> None:
    """Global pools drop rows and columns, and a reshape brings them back, as Keras writes gates."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        mean = r.node("ReduceMean", node.input, axes=[2, 3], keepdims=0)
        shape = r.constant(r.shapes[node.output[0]], np.int64)
        return [mean, r.node("Reshape", [mean.output[0], shape], node.output[0])]

    r.each("GlobalAveragePool", change=change)


def vectors_as_products(r: Rewriter) -> None:
    """Convolutions of a single pixel are fully connected layers between reshapes."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if r.shapes[node.input[0]][2:] != (1, 1):
            return [node]
        weights = r.values[node.input[1]]
        flat = r.node("Flatten", node.input[:1])
        inputs = [flat.output[0], r.constant(weights[:, :, 0, 0]), node.input[2]]
        product = r.node("Gemm", inputs, transB=1)
        axes = r.constant([2, 3], np.int64)
        return [flat, product, r.node("Unsqueeze", [product.output[0], axes], node.output[0])]

    r.each("Conv", change=change)


def hard_functions(r: Rewriter) -> None:
    """Sigmoids are spelled out as clipped ramps: ``min(max(x + 3, 0), 6) / 6``."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        moved = r.node("Add", [node.input[0], r.constant(3)])
        clipped = r.node("Clip", [moved.output[0], r.constant(0), r.constant(6)])
        return [moved, clipped, r.node("Div", [clipped.output[0], r.constant(6)], node.output[0])]

    r.each("Sigmoid", change=change)


def other_order(r: Rewriter) -> None:
    """Of branches that do not wait for one another, the file has the last ones first."""
    writers = {node.output[0]: node for node in r.model.graph.node}
    places = {name: place for place, name in enumerate(writers)}
    ordered: list[onnx.NodeProto] = []

    def visit(name: str) -> None:
        node = writers.pop(name, None)
        if node is not None:
            for source in sorted(node.input, key=lambda name: -places.get(name, -1)):
                visit(source)
            ordered.append(node)

    for output in r.model.graph.output:
        visit(output.name)
    del r.model.graph.node[:]
    r.model.graph.node.extend(ordered)


def computed_reshapes(r: Rewriter) -> None:
    """Flattening computes the shape it needs from the shape it has, as PyTorch writes ``view``."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        shape = r.node("Shape", node.input)
        batch = r.node("Gather", [shape.output[0], r.constant(0, np.int64)], axis=0)
        axes = r.constant([0], np.int64)
        parts = [r.node("Unsqueeze", [batch.output[0], axes])]
        rest = r.constant([-1], np.int64)
        joined = r.node("Concat", [parts[0].output[0], rest], axis=0)
        result = r.node("Reshape", [node.input[0], joined.output[0]], node.output[0])
        return [shape, batch, *parts, joined, result]

    r.each("Flatten", change=change)


def squeezes(r: Rewriter) -> None:
    """Flattening takes out the dimensions of one element."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [r.node("Squeeze", [node.input[0], r.constant([2, 3], np.int64)], node.output[0])]

    r.each("Flatten", change=change)


def products_and_offsets(r: Rewriter) -> None:
    """Fully connected layers are MatMul and Add."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        weights = r.constant(r.values[node.input[1]].T)
        product = r.node("MatMul", [node.input[0], weights])
        return [product, r.node("Add", [product.output[0], node.input[2]], node.output[0])]

    r.each("Gemm", change=change)


def fully_connected_as_convolutions(r: Rewriter) -> None:
    """Fully connected layers are 1 x 1 convolutions, flattened afterwards."""
    flattened = {n.output[0]: n.input[0] for n in r.model.graph.node if n.op_type == "Flatten"}

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.op_type == "Flatten" and node.output[0] in gemms:
            return []
        if node.op_type == "Flatten":
            return [node]
        weights = r.constant(r.values[node.input[1]][:, :, None, None])
        conv = r.node("Conv", [flattened[node.input[0]], weights, node.input[2]])
        return [conv, r.node("Flatten", conv.output, node.output[0])]

    gemms = {n.input[0] for n in r.model.graph.node if n.op_type == "Gemm"}
    r.each("Gemm", "Flatten", change=change)


def clipping_spelled_out(r: Rewriter) -> None:
    """ReLU is Max with 0, ReLU6 is Max and Min."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        zero = r.constant(0)
        if node.op_type == "Relu":
            return [r.node("Max", [node.input[0], zero], node.output[0])]
        clipped = r.node("Max", [node.input[0], zero])
        return [clipped, r.node("Min", [clipped.output[0], r.constant(6)], node.output[0])]

    r.each("Relu", "Clip", change=change)


def old_clipping(r: Rewriter) -> None:
    """Operator set 9, in which Clip has attributes."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [r.node("Clip", node.input[:1], node.output[0], min=0.0, max=6.0)]

    r.each("Clip", change=change)
    r.model.opset_import[0].version = 9


def constants_as_nodes(r: Rewriter) -> None:
    """Weights are Constant nodes."""
    made = [
        helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in r.model.graph.initializer
    ]
    nodes = list(r.model.graph.node)
    del r.model.graph.node[:]
    del r.model.graph.initializer[:]
    r.model.graph.node.extend([*made, *nodes])


def idle_nodes(r: Rewriter) -> None:
    """Identity and Dropout stand behind every layer."""

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        if node.output[0] == r.model.graph.output[0].name:
            return [node]
        layer = _again(node, node.input, r.fresh())
        dropped = r.node("Dropout", layer.output)
        return [layer, dropped, r.node("Identity", dropped.output, node.output[0])]

    r.each(change=change)


def half_precision(r: Rewriter) -> None:
    """Weights and the image in 16 bits."""
    tensors = [numpy_helper.to_array(x) for x in r.model.graph.initializer]
    for tensor, value in zip(r.model.graph.initializer, tensors, strict=True):
        half = value.astype(np.float16) if value.dtype == np.float32 else value
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for value in (*r.model.graph.input, *r.model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16


def quantized(r: Rewriter, *, per_channel: bool = True, offsets: bool = True) -> None:
    """Every map and weight goes through QuantizeLinear and DequantizeLinear.

    Args:
        r: is rewritten.
        per_channel: weights have a scale per output channel.
        offsets: biases are int32 and dequantized too.
    """
    (given,) = r.model.graph.input
    result = r.model.graph.output[0].name
    first = _pair(r, given.name, f"{given.name}_real")

    def change(node: onnx.NodeProto) -> list[onnx.NodeProto]:
        inputs, before = list(node.input), []
        inputs = [first[1].output[0] if x == given.name else x for x in inputs]
        if node.op_type in ("Conv", "Gemm"):
            weights = r.values[inputs[1]]
            before.append(_stored(r, weights, np.int8, per_channel=per_channel))
            inputs[1] = before[-1].output[0]
            if offsets:
                before.append(_stored(r, r.values[inputs[2]], np.int32, per_channel=per_channel))
                inputs[2] = before[-1].output[0]
        raw = r.fresh()
        layer = _again(node, inputs, raw)
        return [*before, layer, *_pair(r, raw, node.output[0])]

    r.each(change=change)
    for node in reversed(first):
        r.model.graph.node.insert(0, node)
    assert result == r.model.graph.output[0].name


def _pair(r: Rewriter, source: str, target: str) -> list[onnx.NodeProto]:
    scale, zero = r.constant(0.05), r.constant(3, np.int8)
    codes = r.node("QuantizeLinear", [source, scale, zero])
    return [codes, r.node("DequantizeLinear", [codes.output[0], scale, zero], target)]


def _stored(r: Rewriter, values: NDArray[np.float32], dtype: type, *, per_channel: bool):
    first = values.reshape(values.shape[0], -1)
    largest = np.abs(first).max(axis=1) if per_channel else np.abs(first).max()
    scale = np.maximum(largest, 1e-6) / 127
    spread = scale.reshape(-1, *[1] * (values.ndim - 1)) if per_channel else scale
    codes = r.constant(np.clip(np.rint(values / spread), -127, 127), dtype)
    zero = r.constant(np.zeros(np.shape(scale)), dtype)
    axis = {"axis": 0} if per_channel else {}
    return r.node("DequantizeLinear", [codes, r.constant(scale), zero], **axis)


def quantized_per_tensor(r: Rewriter) -> None:
    """QDQ with one scale per tensor and float biases."""
    quantized(r, per_channel=False, offsets=False)


def quantized_and_channels_last(r: Rewriter) -> None:
    """What tf2onnx makes of an int8 TFLite file: QDQ, and transpositions around every layer."""
    channels_last_everywhere(r)
    quantized(r)


def quantized_and_padded(r: Rewriter) -> None:
    """QDQ around pads that are nodes of their own."""
    explicit_pads(r)
    quantized(r)


def unfolded_and_padded(r: Rewriter) -> None:
    """What PyTorch writes in training mode of a network with explicit padding."""
    batch_normalization(r)
    explicit_pads(r)
    computed_reshapes(r)


STYLES: Mapping[str, Style] = {
    style.__name__: style
    for style in (
        automatic_pads,
        batch_normalization,
        channels_last_everywhere,
        channels_last_input,
        clipping_spelled_out,
        computed_reshapes,
        constants_as_nodes,
        explicit_pads,
        factors_and_offsets,
        fully_connected_as_convolutions,
        half_precision,
        hard_functions,
        idle_nodes,
        means_as_pools,
        means_as_reductions,
        means_without_dimensions,
        other_order,
        products_and_offsets,
        quantized,
        quantized_and_channels_last,
        quantized_and_padded,
        quantized_per_tensor,
        squeezes,
        unfolded_and_padded,
        unfused_and_channels_last,
        vectors_as_products,
    )
}
"""Those that any network can be written in."""
