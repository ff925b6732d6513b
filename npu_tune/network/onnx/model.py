"""Opens ONNX files: parses them, loads external weights, fixes and infers shapes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.onnx.fold import fold_constants
from npu_tune.network.onnx.proto import graph_from_onnx, known_shape

if TYPE_CHECKING:
    import onnx

_SHAPES_REMEDY = "Export the network with a fixed shape for every input."


def open_onnx(model_bytes: bytes, *, name: str) -> onnx.ModelProto:
    """Parses an ONNX file without external weights, and infers all shapes.

    Raises:
        ModelError: if the file is damaged or a shape stays unknown.
    """
    model = parse_onnx(model_bytes, name=name)
    embed_weights(model, None, name=name)
    return infer_shapes(model, name=name)


def infer_shapes(model: onnx.ModelProto, *, name: str) -> onnx.ModelProto:
    """Sets an open batch size to one, and infers the shape of every tensor.

    Raises:
        ModelError: if the shape of an input is open, or the file contradicts itself.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in constants:
            _fix_shape(value, name)
    # Shapes that the file states for other tensors may contain the open batch size.
    del model.graph.value_info[:]
    for value in model.graph.output:
        if known_shape(value) is None:
            value.type.tensor_type.ClearField("shape")
    inferred = _run_shape_inference(model, name)
    while _has_unknown_shapes(inferred) and _fold_shape_arithmetic(inferred):
        inferred = _run_shape_inference(inferred, name)
    return inferred


def _has_unknown_shapes(model: onnx.ModelProto) -> bool:
    values = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    produced = (name for node in model.graph.node for name in node.output if name)
    return any(name not in values or known_shape(values[name]) is None for name in produced)


def _fold_shape_arithmetic(model: onnx.ModelProto) -> bool:
    """Replaces nodes that compute sizes by constants; returns whether there were any.

    Exporters compute the sizes of a Reshape from the shapes of tensors, in several nodes, and
    shape inference does not follow all of these.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - heavy

    graph = graph_from_onnx(model)
    fold_constants(graph)
    computed = {name for node in model.graph.node for name in node.output}
    sizes = {
        name: value
        for name, value in graph.constants.items()
        if name in computed and value.dtype.kind == "i"
    }
    kept = [node for node in model.graph.node if not sizes.keys() & set(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in sizes.items()
    )
    return bool(sizes)


def _run_shape_inference(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - heavy, and needed here only

    try:
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise ModelError(
            f"The ONNX file of {name!r} contradicts itself: {reason}",
            remedy="Check it with onnx.checker and export it again.",
        ) from error


def parse_onnx(model_bytes: bytes, *, name: str) -> onnx.ModelProto:
    """Parses an ONNX file.

    Raises:
        ModelError: if it is damaged or no ONNX file.
    """
    import onnx  # noqa: PLC0415 - heavy, and needed here only

    try:
        model = onnx.load_model_from_string(model_bytes)
    except Exception as error:  # protobuf has several errors of its own for damaged messages
        raise ModelError(
            f"The file of {name!r} is damaged or no ONNX file.", remedy="Copy or export it again."
        ) from error
    if not model.graph.node:
        raise ModelError(
            f"The ONNX file of {name!r} holds no operators.", remedy="Copy or export it again."
        )
    return model


def embed_weights(model: onnx.ModelProto, folder: Path | None, *, name: str) -> bool:
    """Loads external weights into the model; returns whether there were any.

    Args:
        model: is changed in place.
        folder: that the weights' files are in; None if unknown.
        name: of the network, for errors.

    Raises:
        ModelError: if a file of weights is missing or damaged; names the tensor.
    """
    from onnx import external_data_helper as external  # noqa: PLC0415 - heavy

    found = False
    for tensor in model.graph.initializer:
        if not external.uses_external_data(tensor):
            continue
        found = True
        location = external.ExternalDataInfo(tensor).location
        try:
            if folder is None:
                raise FileNotFoundError(location)
            external.load_external_data_for_tensor(tensor, str(folder))
        except Exception as error:
            raise ModelError(
                f"The weights of the tensor {tensor.name!r} of {name!r} are not in the file "
                f"{location!r}, where they should be.",
                remedy="Put that file beside the .onnx file, or export the network as one file.",
                tensor=tensor.name,
            ) from error
        tensor.data_location = type(tensor).DEFAULT
        del tensor.external_data[:]
    return found


def _fix_shape(value: onnx.ValueInfoProto, name: str) -> None:
    """Sets an unknown batch size to one.

    Raises:
        ModelError: if any other size is unknown, or the input has no elements.
    """
    tensor_type = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor_type.HasField("shape"):
        raise ModelError(
            f"The input {value.name!r} of {name!r} has no shape.", remedy=_SHAPES_REMEDY
        )
    sizes = list(tensor_type.shape.dim)
    unknown = [index for index, size in enumerate(sizes) if not size.HasField("dim_value")]
    if unknown == [0]:
        sizes[0].dim_value = 1
    elif unknown:
        symbols = ", ".join(sizes[index].dim_param or "?" for index in unknown)
        raise ModelError(
            f"The input {value.name!r} of {name!r} has sizes that are not fixed ({symbols}).",
            remedy=_SHAPES_REMEDY,
            input=value.name,
        )
    if math.prod(size.dim_value for size in sizes) < 1:
        raise ModelError(
            f"The input {value.name!r} of {name!r} has no elements: its shape is "
            f"{tuple(size.dim_value for size in sizes)}.",
            remedy=_SHAPES_REMEDY,
            input=value.name,
        )
