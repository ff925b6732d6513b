"""Opens ONNX files: parses them, and gives every tensor a shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.external import embed_weights
from npu_tune.network.onnx.local_functions import expand_functions
from npu_tune.network.onnx.proto import OLDEST_OPSET, opset_of
from npu_tune.network.onnx.shapes import infer_shapes
from npu_tune.network.onnx.wellformed import require_well_formed

if TYPE_CHECKING:
    import onnx


def open_onnx(
    model_bytes: bytes, *, name: str, budget: ReadingBudget | None = None
) -> onnx.ModelProto:
    """Parses an ONNX file without external weights, and infers all shapes.

    Args:
        model_bytes: content of the file.
        name: of the network, for errors.
        budget: that everything is counted in; one of its own if None.

    Raises:
        ModelError: if the file is damaged or a shape stays unknown.
    """
    budget = budget or ReadingBudget(name)
    model = parse_onnx(model_bytes, name=name, budget=budget)
    embed_weights(model, None, name=name, budget=budget)
    return infer_shapes(model, name=name, budget=budget)


def parse_onnx(model_bytes: bytes, *, name: str, budget: ReadingBudget) -> onnx.ModelProto:
    """Parses an ONNX file, and expands its own functions.

    Raises:
        ModelError: if it is damaged, no ONNX file, too old or too large.
    """
    import onnx  # noqa: PLC0415 - heavy, and needed here only

    budget.take(len(model_bytes), "the file")
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
    budget.check_layers(len(model.graph.node))
    model = _with_known_opset(expand_functions(model, name=name, budget=budget))
    require_well_formed(model, name=name)
    return model


def _with_known_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts a model of an operator set that is too old to the oldest that is known here.

    Raises:
        ModelError: if onnx cannot.
    """
    from onnx import version_converter  # noqa: PLC0415 - heavy

    opset = opset_of(model)
    if opset >= OLDEST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter has no errors of its own
        raise ModelError(
            f"The ONNX file uses operator set {opset}; {OLDEST_OPSET} is the oldest that is known.",
            remedy="Export the network again with a newer operator set.",
        ) from error
