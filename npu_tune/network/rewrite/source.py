"""The ONNX file that is rewritten: its nodes by layer, with the shape of every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import bodies
from npu_tune.network.onnx.external import all_tensors
from npu_tune.network.onnx.graph import Array
from npu_tune.network.onnx.model import parse_onnx
from npu_tune.network.onnx.proto import OLDEST_OPSET, OWN_DOMAINS, known_shape, opset_of
from npu_tune.network.onnx.reader import named_nodes
from npu_tune.network.onnx.shapes import infer_shapes

if TYPE_CHECKING:
    import onnx

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True, eq=False)
class SourceModel:
    """An ONNX file that can be rewritten, with what is known of its tensors.

    Args:
        model: as it was given, functions of its own expanded; is not changed.
        nodes: in execution order.
        names: of each node, readable: that of its layer.
        layers: place of each layer's node among ``nodes``, by the layer's name.
        shapes: of every tensor.
        types: ONNX's element type of every tensor.
        opset: version of ONNX's operator set.
    """

    model: onnx.ModelProto = field(repr=False)
    nodes: tuple[onnx.NodeProto, ...] = field(repr=False)
    names: tuple[str, ...]
    layers: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...]]
    types: Mapping[str, int]
    opset: int

    @cached_property
    def producers(self) -> Mapping[str, int]:
        """The node that computes each tensor."""
        return {name: i for i, node in enumerate(self.nodes) for name in node.output if name}

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """The nodes that read each tensor."""
        found: dict[str, dict[int, None]] = {}
        for i, node in enumerate(self.nodes):
            for name in node.input:
                found.setdefault(name, {})[i] = None
        return {name: tuple(each) for name, each in found.items()}

    @cached_property
    def outputs(self) -> frozenset[str]:
        """Names of the network's outputs."""
        return frozenset(value.name for value in self.model.graph.output)

    @cached_property
    def initializers(self) -> Mapping[str, onnx.TensorProto]:
        """The constants that the file stores."""
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def constants(self) -> frozenset[str]:
        """Tensors that depend on no input of the network."""
        found = set(self.initializers)
        found.update(each.values.name for each in self.model.graph.sparse_initializer)
        for node in self.nodes:
            if all(name in found for name in node.input if name):
                found.update(name for name in node.output if name)
        return frozenset(found)

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """The node that computes a tensor; None for inputs and stored constants."""
        place = self.producers.get(tensor)
        return None if place is None else self.nodes[place]

    def value(self, tensor: str) -> Array | None:
        """The value of a stored constant or of a Constant's output; None if it is neither."""
        from onnx import helper, numpy_helper  # noqa: PLC0415 - heavy

        if tensor in self.initializers:
            return numpy_helper.to_array(self.initializers[tensor])
        node = self.producer(tensor)
        if node is None or node.op_type != "Constant":
            return None
        given = node.attribute[0]
        found: Any = helper.get_attribute_value(given)
        return (
            numpy_helper.to_array(found) if given.name == "value" else _listed(given.name, found)
        )

    def describe(self, place: int) -> str:
        """What messages call a node."""
        return f"the node {self.names[place]!r} ({self.nodes[place].op_type})"

    def quantizer(self, tensor: str, op: str) -> onnx.NodeProto | None:
        """The QuantizeLinear or DequantizeLinear that computes a tensor; None if none does."""
        node = self.producer(tensor)
        return node if node is not None and is_operator(node, op) else None


def _listed(name: str, value: Any) -> Array | None:
    import numpy as np  # noqa: PLC0415

    kinds = {"value_int": "i8", "value_ints": "i8", "value_float": "f4", "value_floats": "f4"}
    return np.asarray(value, kinds[name]) if name in kinds else None


def is_operator(node: onnx.NodeProto, *ops: str) -> bool:
    """Tells whether a node is one of some operators of ONNX's own set."""
    return node.op_type in ops and node.domain in OWN_DOMAINS


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name; text as ``str``."""
    from onnx import helper  # noqa: PLC0415 - heavy

    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def open_source(model: onnx.ModelProto, *, name: str = "the network") -> SourceModel:
    """Opens a model for rewriting.

    Args:
        model: is not changed.
        name: of the network, for errors.

    Raises:
        ModelError: if it is damaged, keeps weights in other files, has open sizes or is older
            than operator set 7.
        UnsupportedOperatorError: if it has control flow; names the node.
    """
    _require_rewritable(model, name)
    content = model.SerializeToString(deterministic=True)
    parsed = parse_onnx(content, name=name, budget=ReadingBudget(name))
    inferred = infer_shapes(_copy(parsed), name=name, budget=ReadingBudget(name)).graph
    nodes = tuple(parsed.graph.node)
    places = {node.output[0]: i for i, node in enumerate(nodes)}
    layers = {label: places[node.output[0]] for label, node in named_nodes(inferred).items()}
    by_place = {place: label for label, place in layers.items()}
    values = [*inferred.input, *inferred.output, *inferred.value_info]
    known = {each.name: known_shape(each) for each in values}
    stored = [*parsed.graph.initializer, *inferred.initializer]
    return SourceModel(
        model=parsed,
        nodes=nodes,
        names=tuple(by_place.get(i, node.output[0]) for i, node in enumerate(nodes)),
        layers=layers,
        shapes={label: shape for label, shape in known.items() if shape is not None}
        | {tensor.name: tuple(tensor.dims) for tensor in stored},
        types={each.name: each.type.tensor_type.elem_type for each in values}
        | {tensor.name: tensor.data_type for tensor in stored},
        opset=opset_of(parsed),
    )


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


def _require_rewritable(model: onnx.ModelProto, name: str) -> None:
    """Raises an error for what no rewriting can keep, see :func:`open_source`."""
    graph = model.graph
    opset = opset_of(model)
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"{name!r} uses operator set {opset}, and {OLDEST_OPSET} is the oldest that is "
            "rewritten.",
            remedy="Export the network with a newer operator set.",
        )
    for tensor in all_tensors(graph):
        if tensor.data_location == type(tensor).EXTERNAL:
            raise ModelError(
                f"The weights of the tensor {tensor.name!r} of {name!r} are in another file.",
                remedy="Load the model with its weights (onnx.load does), or export it as one "
                "file.",
                tensor=tensor.name,
            )
    for node in graph.node:
        if next(bodies(node), None) is not None:
            label = node.name or next(filter(None, node.output), "")
            raise UnsupportedOperatorError(
                f"The node {label!r} of {name!r} is control flow ({node.op_type}), in which what "
                "runs is not known before run time.",
                remedy="Simplify the network (for example with onnxsim), or export it without.",
                node=label,
                op=node.op_type,
            )
    given = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in given and known_shape(value) is None:
            raise ModelError(
                f"The input {value.name!r} of {name!r} has sizes that are not fixed.",
                remedy="Export the network with a fixed shape for every input, the batch included.",
                input=value.name,
            )
