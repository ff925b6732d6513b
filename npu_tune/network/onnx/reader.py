"""Reads ONNX files into networks."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Layer, Network, Tensor, printable_names
from npu_tune.network.onnx.bodies import captured
from npu_tune.network.onnx.elements import (
    constant_value,
    element_type,
    require_tensor,
    tensor_array,
)
from npu_tune.network.onnx.external import embed_weights
from npu_tune.network.onnx.model import parse_onnx
from npu_tune.network.onnx.proto import known_shape, operator_name
from npu_tune.network.onnx.shapes import infer_shapes

if TYPE_CHECKING:
    import onnx

# Raised by onnx and protobuf for fields of a wrong type, which protobuf parses without error.
_DAMAGE = (
    TypeError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)
_LISTED_BYTES = 40
"""At most what a byte of an attribute's tensor takes as an element of a Python list."""


def read_onnx(
    model_bytes: bytes, *, name: str, weights_folder: Path | None = None, budget: ReadingBudget
) -> Network:
    """Reads a float or QDQ ONNX file.

    External weights become part of the network's ``model_bytes``, so that a compiler needs
    nothing else.

    Args:
        model_bytes: content of the file.
        name: of the network.
        weights_folder: folder of external weights.
        budget: that everything read is counted in.

    Raises:
        ModelError: if the file is damaged or too large, holds something else than dense numbers,
            or a shape is unknown before run time.
    """
    try:
        return _read(model_bytes, name, weights_folder, budget)
    except ModelError:
        raise
    except _DAMAGE as error:
        raise ModelError(
            f"The ONNX file of {name!r} is damaged ({error}).", remedy="Copy or export it again."
        ) from error


def _read(
    model_bytes: bytes, name: str, weights_folder: Path | None, budget: ReadingBudget
) -> Network:
    parsed = parse_onnx(model_bytes, name=name, budget=budget)
    if embed_weights(parsed, weights_folder, name=name, budget=budget):
        model_bytes = parsed.SerializeToString(deterministic=True)
    graph = infer_shapes(parsed, name=name, budget=budget).graph
    constants = _constants(graph, name, budget)
    named = named_nodes(graph)
    if not named:
        raise ModelError(f"The network {name!r} has no operators.", remedy="Give a whole network.")
    inputs = [[*node.input, *captured(node)] for node in named.values()]
    known = {v.name for v in (*graph.value_info, *graph.output) if known_shape(v) is not None}
    read = {label for names in inputs for label in names}
    layers = tuple(
        Layer(
            name=layer_name,
            op=operator_name(node),
            inputs=tuple(read_here),
            # Unread further outputs, such as Dropout's mask, often have no shape.
            outputs=tuple(x if x in known or x in read else "" for x in node.output),
            attributes=_attributes(node, name, budget),
        )
        for (layer_name, node), read_here in zip(named.items(), inputs, strict=True)
    )
    return Network(
        name=name,
        format="onnx",
        layers=layers,
        tensors=MappingProxyType(
            constants | _run_time_tensors(graph, layers, constants, name, budget)
        ),
        inputs=tuple(value.name for value in graph.input if value.name not in constants),
        outputs=tuple(value.name for value in graph.output),
        model_bytes=model_bytes,
    )


def named_nodes(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The nodes that become layers, in execution order, by the names of these layers.

    Args:
        graph: with shapes, see :func:`.shapes.infer_shapes`.
    """
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    labels = [node.name or next(filter(None, node.output), node.op_type) for node in nodes]
    return dict(zip(printable_names(labels), nodes, strict=True))


def _constants(graph: onnx.GraphProto, name: str, budget: ReadingBudget) -> dict[str, Tensor]:
    """Tensors of the initializers and of the outputs of Constant nodes."""
    from onnx import helper  # noqa: PLC0415 - heavy

    for sparse in graph.sparse_initializer:
        raise ModelError(
            f"The constant {sparse.values.name!r} of {name!r} is sparse.",
            remedy="Export the network with dense constants.",
            tensor=sparse.values.name,
        )
    values = {
        proto.name: tensor_array(proto, proto.name, name=name, budget=budget)
        for proto in graph.initializer
    }
    for node in graph.node:
        if node.op_type == "Constant":
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            label = node.output[0]
            values[label] = constant_value(attributes, label, name=name, budget=budget)
    constants = {}
    for label, value in values.items():
        data = np.array(value)
        data.flags.writeable = False
        constants[label] = Tensor(label, data.shape, data.dtype.name, data=data)
    return constants


def _run_time_tensors(
    graph: onnx.GraphProto,
    layers: tuple[Layer, ...],
    constants: dict[str, Tensor],
    name: str,
    budget: ReadingBudget,
) -> dict[str, Tensor]:
    """Tensors of the inputs and of everything that is computed at run time.

    Raises:
        ModelError: if a shape is unknown, an output has no elements, or values are no numbers.
    """
    known = {v.name: v for v in (*graph.value_info, *graph.output, *graph.input)}
    named = dict.fromkeys(value.name for value in (*graph.input, *graph.output))
    named |= dict.fromkeys(
        label for layer in layers for label in (*layer.inputs, *layer.outputs) if label
    )
    outputs = {value.name for value in graph.output}
    tensors = {}
    for label in named:
        if label in constants:
            continue
        if label in known:
            require_tensor(known[label], name=name)
        shape = known_shape(known[label]) if label in known else None
        if shape is None or min(shape, default=0) < 0:
            raise ModelError(
                f"The shape of the tensor {label!r} of {name!r} is not known before run time.",
                remedy="Simplify the network (for example with onnxsim) or export it with fixed "
                "shapes.",
                tensor=label,
            )
        if 0 in shape and label in outputs:
            raise ModelError(
                f"The output {label!r} of {name!r} has no elements: its shape is {shape}.",
                remedy="Export the network without that output.",
                tensor=label,
            )
        dtype = element_type(known[label].type.tensor_type.elem_type, label, name=name)
        tensors[label] = Tensor(label, shape, dtype.name)
        budget.scratch().take(tensors[label].size_bytes, f"the tensor {label!r}")
    return tensors


def _attributes(
    node: onnx.NodeProto, name: str, budget: ReadingBudget
) -> MappingProxyType[str, Any]:
    from onnx import helper  # noqa: PLC0415 - heavy

    return MappingProxyType(
        {
            attribute.name: _plain_value(helper.get_attribute_value(attribute), name, budget)
            for attribute in node.attribute
        }
    )


def _plain_value(value: Any, name: str, budget: ReadingBudget) -> Any:
    """Converts an attribute to plain Python; tensors become nested lists, graphs their names."""
    from onnx import GraphProto, TensorProto, TypeProto, numpy_helper  # noqa: PLC0415 - heavy

    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, TensorProto):
        budget.take(_LISTED_BYTES * value.ByteSize(), f"the attribute {value.name!r} of {name!r}")
        return numpy_helper.to_array(value).tolist()
    if isinstance(value, GraphProto):
        return value.name
    if isinstance(value, TypeProto):
        return str(value)
    if isinstance(value, (str, int, float)):
        return value
    return tuple(_plain_value(item, name, budget) for item in value)
