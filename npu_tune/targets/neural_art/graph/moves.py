"""Imports operators that only move data: padding, concatenation, slices, resizing."""

from __future__ import annotations

import numpy as np

from npu_tune.network.onnx.graph import Array, OnnxNode
from npu_tune.targets.neural_art.graph.builder import Builder
from npu_tune.targets.neural_art.graph.unfused import Trait


def pad(builder: Builder, node: OnnxNode, amounts: Array | None, *, zeros: bool) -> None:
    """Imports a padding as a copy, marked where a convolution or pool may fold it.

    Args:
        builder: gets the copy.
        node: the padding.
        amounts: elements added before and after each dimension, of shape (dimensions, 2); None
            if unknown.
        zeros: whether zeros are added.
    """
    source = node.inputs[0]
    shape = builder.shape(source)
    if shape == builder.shape(node.output) and (amounts is None or not np.any(amounts)):
        builder.view(source, node.output)
        return
    traits = []
    # Negative amounts crop, which no convolution does.
    if amounts is not None and zeros and np.min(amounts) >= 0:
        padded = {axis for axis, added in enumerate(amounts) if any(added)}
        order = builder.roles(source) or _order_of_padding(builder, len(shape), padded)
        if order and all(order[axis] in ("H", "W") for axis in padded):
            builder.read(source, order)
            traits = [Trait.ZERO_PAD]
    builder.copy(node, [source], node.output, traits=traits)


def _order_of_padding(builder: Builder, rank: int, padded: set[int]) -> str | None:
    """Guesses the order of dimensions from the fact that channels are hardly ever padded."""
    if rank == 4 and padded == {1, 2}:
        return "NHWC"
    return builder.usual(rank)


def concatenation(builder: Builder, node: OnnxNode) -> None:
    """Imports a concatenation: a copy, or a view of its only input."""
    sources = builder.run_time(node)
    if len(node.inputs) == 1:
        builder.view(sources[0], node.output)
    else:
        builder.copy(node, sources, node.output, weights=builder.constants(node))


def rearrangement(builder: Builder, node: OnnxNode, *, may_keep_shape: bool) -> None:
    """Imports slices, repetitions and shuffles of one tensor: a copy for each output read.

    Args:
        builder: gets the copies.
        node: whose inputs but one must be constant.
        may_keep_shape: whether elements may move although the shape stays.
    """
    source = node.inputs[1 if node.op == "SPLIT" else 0]  # TFLite gives the axis first
    if builder.run_time(node) != [source]:
        builder.software(node, "what it moves is decided at run time")
        return
    for target in node.outputs:
        if not target or not builder.is_read(target):
            continue
        keeps = not may_keep_shape and not _reverses(builder, node)
        if builder.shape(source) == builder.shape(target) and keeps:
            builder.view(source, target)
        else:
            builder.copy(node, [source], target)


def _reverses(builder: Builder, node: OnnxNode) -> bool:
    """Tells whether a slice may take elements in reverse, so that they move in any case."""
    place = {"Slice": 4, "STRIDED_SLICE": 3}.get(node.op)
    steps = None if place is None else builder.graph.constant(node, place)
    return steps is not None and bool(np.any(steps < 0))


def resize(builder: Builder, node: OnnxNode, mode: str, *, crops: bool = False) -> None:
    """Imports a resize: a copy for nearest neighbours; interpolation runs in software."""
    source = node.inputs[0]
    if builder.shape(source) == builder.shape(node.output) and not crops:
        builder.view(source, node.output)
    elif mode == "nearest":
        builder.copy(node, [source], node.output)
    else:
        builder.software(node, f"no unit interpolates ({mode})")
