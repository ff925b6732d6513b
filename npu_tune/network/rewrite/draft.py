"""New nodes and constants of a rewritten file, under names that nothing else has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.onnx.graph import Array
from npu_tune.network.rewrite.rows import Rows
from npu_tune.network.rewrite.source import DEQUANTIZE, QUANTIZE, SourceModel, is_operator

if TYPE_CHECKING:
    import onnx

_SLICE_INPUTS = 10
"""The operator set since which the bounds of a Slice are inputs."""
_ALONG = frozenset({"axis", "block_size"})
"""Attributes that say what each scale of a quantizer is for."""


class Draft:
    """What a rewriting adds to a file: nodes in execution order, and constants.

    Where a map is stored in codes, what is cut or joined stands between a DequantizeLinear and a
    QuantizeLinear of the map's own scale, as quantizers write it, which changes no code.

    Args:
        source: the file that is rewritten.
    """

    def __init__(self, source: SourceModel) -> None:
        self.source = source
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._tensors = {name for node in source.nodes for name in (*node.input, *node.output)}
        self._tensors |= {*source.initializers, *source.shapes}
        self._node_names = {node.name for node in source.nodes}
        self._indices: dict[tuple[int, ...], str] = {}

    def tensor_name(self, name: str) -> str:
        """A name that no tensor has yet: the given one, or with ``#2``, ... behind it."""
        return _fresh(name, self._tensors)

    def constant(self, name: str, value: Array) -> str:
        """Stores a constant; returns its name."""
        from onnx import numpy_helper  # noqa: PLC0415 - heavy

        label = self.tensor_name(name)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), label))
        return label

    def integers(self, *values: int) -> str:
        """Stores a list of integers once; returns its name."""
        if values not in self._indices:
            text = "_".join(map(str, values))
            self._indices[values] = self.constant(f"index/{text}", np.array(values, np.int64))
        return self._indices[values]

    def take_out(self) -> list[onnx.NodeProto]:
        """The nodes added since the last call."""
        nodes, self.nodes = self.nodes, []
        return nodes

    def add(self, op: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        """Adds a node called like its output; returns that."""
        from onnx import helper  # noqa: PLC0415 - heavy

        name = _fresh(output, self._node_names)
        self.nodes.append(helper.make_node(op, [*inputs], [output], name=name, **attributes))
        return output

    def copy(
        self,
        node: onnx.NodeProto,
        name: str,
        inputs: Iterable[str],
        outputs: Iterable[str],
        changes: Mapping[str, object] | None = None,
    ) -> None:
        """Adds a copy of a node under another name.

        Args:
            node: the original.
            name: of the copy; with ``#2``, ... behind it where another node has it.
            inputs: of the copy.
            outputs: of the copy.
            changes: attributes of other values; None leaves one out.
        """
        from onnx import helper  # noqa: PLC0415 - heavy

        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = _fresh(name, self._node_names)
        copy.input[:], copy.output[:] = [*inputs], [*outputs]
        changes = changes or {}
        kept = [each for each in node.attribute if each.name not in changes]
        del copy.attribute[:]
        copy.attribute.extend(kept)
        copy.attribute.extend(
            helper.make_attribute(key, value)
            for key, value in changes.items()
            if value is not None
        )
        self.nodes.append(copy)

    def cut(self, tensor: str, part: Rows, *, axis: int, like: str, name: str) -> str:
        """Adds what takes a part of a map; returns the tensor.

        Args:
            tensor: that is cut.
            part: of the dimension.
            axis: the dimension.
            like: the source's tensor that ``tensor`` is (a part of).
            name: of the result.
        """
        codes = self.source.quantizer(like, QUANTIZE)
        real = self.source.quantizer(like, DEQUANTIZE)
        label = self.tensor_name(name)
        if codes is not None:
            tensor = self._dequantize(tensor, codes, f"{label}/dequantize")
        is_plain = codes is None and real is None
        inner = label if is_plain else self.tensor_name(f"{label}/slice")
        taken = self._slice(tensor, part, axis, inner)
        if codes is not None:
            self.copy(codes, f"{label}/quantize", [taken, *codes.input[1:]], [label])
        if real is not None:
            quantized = self._quantize(taken, real, f"{label}/quantize")
            self.copy(real, label, [quantized, *real.input[1:]], [label])
        return label

    def join(self, parts: Iterable[str], output: str, *, axis: int, name: str) -> None:
        """Adds what makes a tensor of the source of its parts.

        Args:
            parts: in order.
            output: the source's tensor.
            axis: the dimension along which they are parts.
            name: of the Concat.
        """
        from onnx import helper  # noqa: PLC0415 - heavy

        codes = self.source.quantizer(output, QUANTIZE)
        joined = output if codes is None else self.tensor_name(name)
        if codes is not None:
            parts = [self._dequantize(part, codes, f"{part}/dequantize") for part in parts]
        label = _fresh(name, self._node_names)
        self.nodes.append(helper.make_node("Concat", [*parts], [joined], name=label, axis=axis))
        if codes is not None:
            self._node_names.discard(codes.name)  # which it takes the place of
            self.copy(codes, codes.name or output, [joined, *codes.input[1:]], [output])

    def sliced_constant(self, tensor: str, part: Rows, *, axis: int, suffix: str) -> str:
        """A part of a constant, such as the weights of some kernels; returns its name.

        Quantizers of constants are copied, and their scales cut along with the values.

        Args:
            tensor: constant of the source.
            part: of the dimension.
            axis: the dimension.
            suffix: behind the names of what is new.

        Raises:
            UnsupportedOperatorError: if it is computed by other operators.
        """
        value = self.source.value(tensor)
        if value is not None:
            return self.constant(f"{tensor}{suffix}", _part_of(value, part, axis))
        node = self.source.producer(tensor)
        if node is None or not is_operator(node, QUANTIZE, DEQUANTIZE):
            raise _computed_error(tensor)
        given = {each.name: each.i for each in node.attribute}
        if given.get("block_size", 0):
            raise _computed_error(tensor)
        rank = len(self.source.shapes[tensor])
        along = given.get("axis", 1) % rank == axis
        values = self.sliced_constant(node.input[0], part, axis=axis, suffix=suffix)
        scales = [
            self._scale(each, part, suffix=suffix) if along and each else each
            for each in node.input[1:]
        ]
        label = self.tensor_name(f"{tensor}{suffix}")
        self.copy(node, label, [values, *scales], [label])
        return label

    def constant_copy(self, tensor: str, suffix: str) -> str:
        """A quantizer's constant computed by a node of its own, as compilers look for.

        Stored constants and those of other nodes are shared.
        """
        node = self.source.producer(tensor)
        if node is None or not is_operator(node, QUANTIZE, DEQUANTIZE):
            return tensor
        inputs = [self.constant_copy(node.input[0], suffix), *node.input[1:]]
        label = self.tensor_name(f"{tensor}{suffix}")
        self.copy(node, label, inputs, [label])
        return label

    def _scale(self, tensor: str, part: Rows, *, suffix: str) -> str:
        if self.source.shapes.get(tensor, ()) in {(), (1,)}:
            return tensor
        return self.sliced_constant(tensor, part, axis=0, suffix=suffix)

    def _slice(self, tensor: str, part: Rows, axis: int, label: str) -> str:
        if self.source.opset < _SLICE_INPUTS:
            return self.add(
                "Slice", [tensor], label, starts=[part.start], ends=[part.stop], axes=[axis]
            )
        bounds = [self.integers(each) for each in (part.start, part.stop, axis)]
        return self.add("Slice", [tensor, *bounds], label)

    def _dequantize(self, tensor: str, codes: onnx.NodeProto, name: str) -> str:
        label = self.tensor_name(name)
        self.add(DEQUANTIZE, [tensor, *codes.input[1:]], label)
        self.nodes[-1].attribute.extend(a for a in codes.attribute if a.name in _ALONG)
        return label

    def _quantize(self, tensor: str, real: onnx.NodeProto, name: str) -> str:
        from onnx import helper  # noqa: PLC0415 - heavy

        label = self.tensor_name(name)
        zero_point = real.input[2] if len(real.input) > 2 else ""
        if not zero_point:
            # Without one a QuantizeLinear gives uint8, whatever the codes are.
            kind = helper.tensor_dtype_to_np_dtype(self.source.types[real.input[0]])
            scale_shape = self.source.shapes.get(real.input[1], ())
            zero_point = self.constant(f"{label}/zero_point", np.zeros(scale_shape, kind))
        self.add(QUANTIZE, [tensor, real.input[1], zero_point], label)
        self.nodes[-1].attribute.extend(a for a in real.attribute if a.name in _ALONG)
        return label


def _fresh(name: str, taken: set[str]) -> str:
    """A name that is not taken, which it is from now on."""
    count, result = 1, name
    while result in taken:
        count += 1
        result = f"{name}#{count}"
    taken.add(result)
    return result


def _part_of(value: Array, part: Rows, axis: int) -> Array:
    index = [slice(None)] * value.ndim
    index[axis] = slice(part.start, part.stop)
    return value[tuple(index)]


def _computed_error(tensor: str) -> UnsupportedOperatorError:
    return UnsupportedOperatorError(
        f"The weights {tensor!r} cannot be divided: they are computed in the network, or have "
        "scales by blocks.",
        remedy="Simplify the network (for example with onnxsim), or leave that layer whole.",
        tensor=tensor,
    )
