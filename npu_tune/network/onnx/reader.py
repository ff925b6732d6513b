"""Reads ONNX files into networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.model import Layer, Network, Tensor, printable_names
from npu_tune.network.onnx.model import embed_weights, infer_shapes, parse_onnx
from npu_tune.network.onnx.proto import known_shape

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
)


def read_onnx(model_bytes: bytes, *, name: str, weights_folder: Path | None = None) -> Network:
    """Reads a float or QDQ ONNX file.

    External weights become part of the network's ``model_bytes``, so that a compiler needs
    nothing else.

    Args:
        model_bytes: content of the file.
        name: of the network.
        weights_folder: folder of external weights.

    Raises:
        ModelError: if the file is damaged, or a shape is unknown before run time.
    """
    try:
        return _read(model_bytes, name, weights_folder)
    except ModelError:
        raise
    except _DAMAGE as error:
        raise ModelError(
            f"The ONNX file of {name!r} is damaged ({error}).", remedy="Copy or export it again."
        ) from error


def _read(model_bytes: bytes, name: str, weights_folder: Path | None) -> Network:
    parsed = parse_onnx(model_bytes, name=name)
    if embed_weights(parsed, weights_folder, name=name):
        model_bytes = parsed.SerializeToString(deterministic=True)
    graph = infer_shapes(parsed, name=name).graph
    constants = _constants(graph, name)
    nodes = [node for node in graph.node if node.op_type != "Constant"]
    if not nodes:
        raise ModelError(f"The network {name!r} has no operators.", remedy="Give a whole network.")
    labels = [node.name or next(filter(None, node.output), node.op_type) for node in nodes]
    known = {v.name for v in (*graph.value_info, *graph.output) if known_shape(v) is not None}
    read = {label for node in nodes for label in node.input}
    layers = tuple(
        Layer(
            name=layer_name,
            op=node.op_type,
            inputs=tuple(node.input),
            # Unread further outputs, such as Dropout's mask, often have no shape.
            outputs=tuple(x if x in known or x in read else "" for x in node.output),
            attributes=_attributes(node),
        )
        for node, layer_name in zip(nodes, printable_names(labels), strict=True)
    )
    return Network(
        name=name,
        format="onnx",
        layers=layers,
        tensors=MappingProxyType(constants | _run_time_tensors(graph, layers, constants, name)),
        inputs=tuple(value.name for value in graph.input if value.name not in constants),
        outputs=tuple(value.name for value in graph.output),
        model_bytes=model_bytes,
    )


def _constants(graph: onnx.GraphProto, name: str) -> dict[str, Tensor]:
    """Tensors of the initializers and of the outputs of Constant nodes."""
    from onnx import numpy_helper  # noqa: PLC0415 - heavy

    makers: dict[str, Callable[[], Any]] = {
        proto.name: partial(numpy_helper.to_array, proto) for proto in graph.initializer
    }
    makers |= {
        node.output[0]: partial(_constant_value, node)
        for node in graph.node
        if node.op_type == "Constant"
    }
    constants = {}
    for label, make in makers.items():
        try:
            data = np.array(make())
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            raise ModelError(
                f"The constant {label!r} of {name!r} is damaged ({error}).",
                remedy="Copy or export the file again.",
            ) from error
        data.flags.writeable = False
        constants[label] = Tensor(label, data.shape, data.dtype.name, data=data)
    return constants


def _constant_value(node: onnx.NodeProto) -> Any:
    from onnx import helper, numpy_helper  # noqa: PLC0415 - heavy

    attribute = node.attribute[0]
    if attribute.name == "value":
        return numpy_helper.to_array(attribute.t)
    value = helper.get_attribute_value(attribute)
    return np.asarray(value, np.float32 if "float" in attribute.name else None)


def _run_time_tensors(
    graph: onnx.GraphProto, layers: tuple[Layer, ...], constants: dict[str, Tensor], name: str
) -> dict[str, Tensor]:
    """Tensors of the inputs and of everything that is computed at run time.

    Raises:
        ModelError: if a shape is unknown, or a tensor has no elements.
    """
    from onnx import helper  # noqa: PLC0415 - heavy

    known = {v.name: v for v in (*graph.value_info, *graph.output, *graph.input)}
    named = dict.fromkeys(value.name for value in (*graph.input, *graph.output))
    named |= dict.fromkeys(
        label for layer in layers for label in (*layer.inputs, *layer.outputs) if label
    )
    tensors = {}
    for label in named:
        if label in constants:
            continue
        shape = known_shape(known[label]) if label in known else None
        if shape is None:
            raise ModelError(
                f"The shape of the tensor {label!r} of {name!r} is not known before run time.",
                remedy="Simplify the network (for example with onnxsim) or export it with fixed "
                "shapes.",
                tensor=label,
            )
        if math.prod(shape) < 1:
            raise ModelError(
                f"The tensor {label!r} of {name!r} has no elements: its shape is {shape}.",
                remedy="Export the network with positive sizes.",
                tensor=label,
            )
        element_type = known[label].type.tensor_type.elem_type
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(element_type))
        tensors[label] = Tensor(label, shape, dtype.name)
    return tensors


def _attributes(node: onnx.NodeProto) -> MappingProxyType[str, Any]:
    from onnx import helper  # noqa: PLC0415 - heavy

    return MappingProxyType(
        {
            attribute.name: _plain_value(helper.get_attribute_value(attribute))
            for attribute in node.attribute
        }
    )


def _plain_value(value: Any) -> Any:
    """Converts an attribute to plain Python; tensors become nested lists, graphs their names."""
    from onnx import GraphProto, TensorProto, numpy_helper  # noqa: PLC0415 - heavy

    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, TensorProto):
        return numpy_helper.to_array(value).tolist()
    if isinstance(value, GraphProto):
        return value.name
    if isinstance(value, (str, int, float)):
        return value
    return tuple(_plain_value(item) for item in value)
