"""Imports a network into the graph that is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from npu_tune.errors import ModelError
from npu_tune.network.model import Network
from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.neural_art.graph import from_onnx, from_tflite, operators, software
from npu_tune.targets.neural_art.graph.builder import Builder, Handler
from npu_tune.targets.neural_art.graph.fuse import fuse_operations
from npu_tune.targets.neural_art.graph.model import OperationGraph, OperationKind
from npu_tune.targets.neural_art.graph.nodes import onnx_nodes, tflite_nodes
from npu_tune.targets.neural_art.graph.refused import require_costed
from npu_tune.targets.neural_art.graph.roles import Shape


def graph_of(network: Network) -> OperationGraph:
    """Imports an ONNX or TFLite network: folds constants, maps operators to units and fuses.

    Only shapes and weights matter, so a float network gives the same graph as its int8 form.
    Operators that no unit computes become software operations, one for each whatever the number
    of its outputs. A split becomes a copy for each output that is read (``name``, ``name#2``,
    ...).

    Args:
        network: in ONNX or TFLite format.

    Raises:
        ModelError: if the network is of another format, computes nothing from its inputs, or
            has a node that contradicts itself, or that can be neither folded nor costed; names the
            node.
    """
    if network.format == "onnx":
        builder = Builder(network, onnx_nodes(network), channels_last=False)
        _import_nodes(builder, from_onnx.HANDLERS, from_onnx.reason_against)
    elif network.format == "tflite":
        require_costed(network)
        builder = Builder(network, tflite_nodes(network), channels_last=True)
        _import_nodes(builder, from_tflite.HANDLERS, lambda *_: "")
    else:
        raise ModelError(
            f"The network {network.name!r} is {network.format}, which holds no layers that can be "
            "read here.",
            remedy="Give a .tflite or .onnx file.",
        )
    return _build_graph(builder)


def _import_nodes(
    builder: Builder,
    handlers: Mapping[str, Handler],
    reason_against: Callable[[Builder, OnnxNode], str],
) -> None:
    for node in builder.graph.nodes:
        reason = reason_against(builder, node)
        if reason:
            builder.software(node, reason)
            continue
        if node.inputs[0] in builder.graph.constants and node.op not in operators.CONSTANT_FIRST:
            builder.software(node, "it looks up a constant with values of the run time")
            continue
        handlers.get(node.op, software.unknown)(builder, node)
        # Further outputs, such as the positions of maxima or Dropout's mask.
        builder.software(node, "no unit computes its other outputs")


def _build_graph(builder: Builder) -> OperationGraph:
    network = builder.network
    known = [name for name in network.outputs if name in builder.graph.constants]
    if known:
        raise ModelError(
            f"The output {known[0]!r} of {network.name!r} does not depend on any input.",
            remedy="Export the network without that output.",
            tensor=known[0],
        )
    _settle_inputs(builder)
    outputs = tuple(dict.fromkeys(builder.map_of(name) for name in network.outputs))
    handed_through = set(outputs).intersection(builder.graph.inputs)
    for name in sorted(handed_through):
        builder.notes[f"the output that is the input {name!r} is left out"] += 1
    outputs = tuple(name for name in outputs if name not in handed_through)
    operations = fuse_operations(builder.unfused, outputs, builder.maps)
    if not operations:
        raise ModelError(
            f"The network {network.name!r} computes nothing: its outputs are its inputs.",
            remedy="Give a network with layers that compute.",
        )
    read = {name for operation in operations for name in operation.inputs}
    named = read.union(outputs, *(operation.outputs for operation in operations))
    state = tuple(name for name in network.state if name in read)
    return OperationGraph(
        name=network.name,
        operations=tuple(operations),
        maps={name: given for name, given in builder.maps.items() if name in named},
        inputs=(*(name for name in builder.graph.inputs if name in read), *state),
        outputs=(*outputs, *(name for name in state if name not in outputs)),
        notes=tuple(
            f"{note} ({count} x)" if count > 1 else note for note, count in builder.notes.items()
        ),
        batch=max((shape[0] for shape in _images(builder)), default=1),
    )


def _images(builder: Builder) -> list[Shape]:
    """Shapes of the inputs that have samples, channels, rows and columns."""
    shapes = [builder.shape(name) for name in builder.graph.inputs]
    return [shape for shape in shapes if len(shape) == 4]


def _settle_inputs(builder: Builder) -> None:
    """Gives maps of unsettled sizes those of the element-wise results computed from them."""
    for step in reversed(builder.unfused):
        operation = step.operation
        elementwise = operation.kind in (OperationKind.ARITHMETIC, OperationKind.ACTIVATION)
        if not elementwise or operation.output in builder.open_maps:
            continue
        result = builder.maps[operation.output]
        for name in builder.open_maps.intersection(operation.inputs):
            given = builder.maps[name]
            if given.elements == result.elements:
                builder.maps[name] = replace(result, name=name, bits=given.bits)
                builder.open_maps.discard(name)
