"""The network as onnxruntime folds it: plain ONNX without what can be computed beforehand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npu_tune.errors import ModelError, ModelFormatError, UnsupportedOperatorError
from npu_tune.network import Network
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.fold import bypass
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.proto import REAL_TYPES, graph_from_onnx, graph_to_onnx
from npu_tune.network.onnx.runtime import import_onnxruntime
from npu_tune.network.quantize.runtimes import onnx_session, run_session
from npu_tune.targets.measured.engine import Array, Feed

if TYPE_CHECKING:
    import onnx

NESTING = ("If", "Loop", "Scan")
"""Operators with graphs of their own, which read tensors from around them."""

_COPIES = 4
"""Of a constant: as it is computed, in the optimised model, in its file and as it is read again."""

LEAST_OPSET = 13
"""From there on, quantizers have a scale per channel (ONNX's operator list, QuantizeLinear)."""


def fold(network: Network) -> onnx.ModelProto:
    """Folds constants and batch normalisations as onnxruntime's basic optimisations do.

    Args:
        network: of an ONNX file.

    Returns:
        Plain ONNX of operator set 13 or later, with the shapes of all tensors.

    Raises:
        ModelFormatError: if it is of another format.
        ModelError: if onnxruntime refuses it; names the operator where onnxruntime does.
        MissingExtraError: if onnxruntime is not installed.
    """
    if network.format != "onnx":
        raise ModelFormatError(
            f"{network.name!r} is {network.format}, and measuring on this CPU takes float ONNX.",
            remedy="Give the float ONNX file that it was made of.",
        )
    _require_small_constants(network)
    return _optimize(_modern(network), network)


def _require_small_constants(network: Network) -> None:
    """Counts what onnxruntime computes of constants alone, which it does without a limit.

    Raises:
        ModelError: if that is more than a budget of reading has.
    """
    budget = ReadingBudget(network.name)
    known = {name for name, tensor in network.tensors.items() if tensor.is_constant}
    for layer in network.layers:
        if known.issuperset(filter(None, layer.inputs)):
            made = [name for name in layer.outputs if name]
            known.update(made)
            size = sum(network.tensors[name].size_bytes for name in made)
            budget.take(_COPIES * size, f"the result of {layer.name!r}")


def _optimize(model: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    """What onnxruntime makes of a model by its basic optimisations, with shapes."""
    runtime = import_onnxruntime("Measuring", extra="cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        try:
            runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise refusal(network.name, error) from error
        return _with_shapes(path, network)


def refusal(name: str, error: Exception) -> ModelError:
    """What onnxruntime says of a network that it does not take."""
    said = str(error).strip().splitlines()
    return ModelError(
        f"onnxruntime refuses {name!r}: {said[0] if said else type(error).__name__}",
        remedy="Export the network with operators that onnxruntime has on a CPU.",
    )


def _modern(network: Network) -> onnx.ModelProto:
    """The model in an operator set with quantizers per channel, with the shapes that were read.

    A size that the file leaves open, such as the batch, is the one that the network was read with.
    """
    import onnx  # noqa: PLC0415 - heavy
    from onnx import version_converter  # noqa: PLC0415

    model = onnx.load_from_string(network.model_bytes)
    for value in (*model.graph.input, *model.graph.output):
        sizes = value.type.tensor_type.shape.dim
        tensor = network.tensors.get(value.name)
        if tensor is not None and len(sizes) == len(tensor.shape):
            for size, known in zip(sizes, tensor.shape, strict=True):
                size.dim_value = known
    version = max((each.version for each in model.opset_import if not each.domain), default=0)
    if version >= LEAST_OPSET:
        return model
    try:
        return version_converter.convert_version(model, LEAST_OPSET)
    except Exception as error:  # it raises what its C++ raises
        raise ModelError(
            f"{network.name!r} uses ONNX's operator set {version}, which cannot be brought to "
            f"{LEAST_OPSET}: {str(error).strip().splitlines()[0]}",
            remedy=f"Export it with operator set {LEAST_OPSET} or later.",
        ) from error


def _with_shapes(path: Path, network: Network) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - heavy

    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    foreign = next((node for node in model.graph.node if node.domain not in ("", "ai.onnx")), None)
    if foreign is not None:
        raise ModelError(
            f"The operator {foreign.op_type!r} of {network.name!r} is of the domain "
            f"{foreign.domain!r}.",
            remedy="Export the network with ONNX's own operators.",
            layer=foreign.name,
        )
    return model


def float_graph(network: Network) -> OnnxGraph:
    """The folded network in float32, as a graph whose constants are arrays; see :func:`fold`.

    A Sum of two tensors becomes an Add, which is the same, and which libraries have in int8 and
    fuse into a convolution; older exporters write residual connections as Sum.

    Raises:
        ModelError: if it reads something else than real numbers.
        UnsupportedOperatorError: if there is control flow.
    """
    graph = graph_from_onnx(fold(network))
    whole = next((name for name in graph.inputs if name in graph.types), None)
    if whole is not None:
        raise ModelError(
            f"The input {whole!r} of {network.name!r} takes no real numbers, and measuring on this "
            "CPU gives such to all inputs.",
            remedy="Cut the network behind what reads it, such as an embedding.",
            tensor=whole,
        )
    nested = next((node for node in graph.nodes if node.op in NESTING), None)
    if nested is not None:
        raise UnsupportedOperatorError(
            f"{network.name!r} chooses or repeats at run time: {nested} has a body.",
            remedy="Export the network without control flow.",
            layer=nested.name,
        )
    if _make_single_precision(graph):
        # What stood between the casts is folded in turn.
        graph = graph_from_onnx(_optimize(graph_to_onnx(graph), network))
    for node in graph.nodes:
        if node.op == "Sum" and len(node.inputs) == 2:
            node.op = "Add"
    return graph


def _make_single_precision(graph: OnnxGraph) -> bool:
    """Makes casts to any real type such to float32; True where some were of such and went."""
    before = len(graph.nodes)
    for node in list(graph.nodes):
        if node.op == "Cast" and node.attributes["to"] in REAL_TYPES:
            node.attributes["to"] = REAL_TYPES[0]
            source = node.inputs[0]
            value = graph.constants.get(source)
            if source not in graph.types and (value is None or value.dtype == np.float32):
                bypass(graph, node)
    return len(graph.nodes) < before


def reference_outputs(network: Network, feeds: Iterable[Feed]) -> list[tuple[Array, ...]]:
    """What the network as it was given computes, without any optimisation.

    Raises:
        ModelError: if onnxruntime does not take it.
    """
    import onnx  # noqa: PLC0415 - heavy

    session = onnx_session(onnx.load_from_string(network.model_bytes))
    names = [value.name for value in session.get_outputs()]
    return [tuple(run_session(session, names, feed)) for feed in feeds]
