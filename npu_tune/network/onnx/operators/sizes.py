"""Sizes of a node's inputs: whether they fit each other, and whether they make a bias."""

from __future__ import annotations

from npu_tune.errors import ModelError
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode

_CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
_WINDOWS = _CONVOLUTIONS | {"AveragePool", "MaxPool"}


def check_sizes(graph: OnnxGraph, node: OnnxNode) -> None:
    """Checks that pads are not negative, and that sizes of parameters and input fit each other.

    Raises:
        ModelError: if not; names the node.
    """
    pads = node.ints("pads") if node.op in _WINDOWS else ()
    if pads and min(pads) < 0:
        raise _contradiction(node, f"pads are {pads}", "input is nowhere cut off")
    if node.op == "BatchNormalization":
        _check_normalization(graph, node)
    if node.op == "Gemm" and len(node.inputs) > 2 and node.inputs[2]:
        result, added = (graph.shapes[name] for name in (node.output, node.inputs[2]))
        sizes = zip(added[::-1], result[::-1], strict=False)
        if len(added) > len(result) or any(size not in (1, other) for size, other in sizes):
            raise _contradiction(node, f"C has the shape {added}", f"result the shape {result}")
    if node.op == "Pad":
        _check_padding(graph, node)
    if node.op not in _CONVOLUTIONS:
        return
    source, weights = (graph.shapes[name] for name in node.inputs[:2])
    kernel, groups = node.ints("kernel_shape", weights[2:]), int(node.attributes.get("group", 1))
    if kernel != weights[2:]:
        raise _contradiction(node, f"kernel_shape is {kernel}", f"weights are {weights[2:]}")
    inputs = weights[0] if node.op == "ConvTranspose" else weights[1] * groups
    if source[1] != inputs or groups < 1 or weights[0] % groups:
        raise _contradiction(
            node,
            f"input has {source[1]} channels in {groups} groups",
            f"weights of shape {weights} have other numbers of these",
        )


def _check_normalization(graph: OnnxGraph, node: OnnxNode) -> None:
    source, *parameters = (graph.shapes[name] for name in node.inputs)
    channels = source[1] if len(source) > 1 else 1
    wrong = next((shape for shape in parameters if shape != (channels,)), None)
    if wrong is not None:
        raise _contradiction(
            node, f"input has {channels} channels", f"parameters have the shape {wrong}"
        )


def _check_padding(graph: OnnxGraph, node: OnnxNode) -> None:
    given, axes = graph.constant(node, 1), graph.constant(node, 3)
    pads = node.ints("pads") if given is None else tuple(given.reshape(-1).tolist())
    rank = len(graph.shapes[node.inputs[0]])
    places = range(rank) if axes is None else axes.reshape(-1).tolist()
    padded = len({place % rank for place in places if -rank <= place < rank})
    if (pads or given is not None) and (len(pads) != 2 * padded or padded != len(places)):
        raise _contradiction(
            node, f"pads are {pads}", f"input has {rank} dimensions, of which it pads {[*places]}"
        )


def is_bias(graph: OnnxGraph, name: str) -> bool:
    """Tells whether an addend is constant and at most varies along the last dimension."""
    constant = graph.constants.get(name)
    return constant is not None and all(size == 1 for size in constant.shape[:-1])


def _contradiction(node: OnnxNode, one: str, other: str) -> ModelError:
    return ModelError(
        f"The {node} contradicts itself: its {one}, and its {other}.",
        remedy="Check the file with onnx.checker and export it again.",
        node=node.name or node.output,
        op=node.op,
    )
