"""The operations that both file formats have, from what their front ends read out of nodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from npu_tune.network.quantize.graph import Array, Node
from npu_tune.targets.neural_art.graph import roles as axes
from npu_tune.targets.neural_art.graph.builder import Builder, Trait
from npu_tune.targets.neural_art.graph.model import Kind, Weights

Pair = tuple[int, int]

RUN_TIME_WEIGHTS = "its weights are computed at run time"


def pair(values: Sequence[int]) -> Pair:
    """Rows and columns; something with one spatial dimension has one column."""
    return (int(values[0]), int(values[1]) if len(values) > 1 else 1)


def convolution(
    builder: Builder,
    node: Node,
    *,
    source: str,
    order: str,
    weights: Weights,
    kernel: Pair,
    stride: Pair = (1, 1),
    dilation: Pair = (1, 1),
    groups: int = 1,
    activation: str = "",
) -> None:
    """A convolution of any sort; ``order`` is that of the dimensions of input and output."""
    builder.add(
        node,
        Kind.CONVOLUTION,
        [builder.read(source, order)],
        builder.write(node.output, order),
        macs=builder.macs(node),
        groups=groups,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        weights=weights,
        activation=activation,
    )


def product(
    builder: Builder,
    node: Node,
    *,
    source: str,
    weights: Weights,
    inner: int,
    activation: str = "",
) -> None:
    """A fully connected layer: a 1 x 1 convolution of one or more vectors of ``inner`` elements."""
    shape, result = builder.shape(source), builder.shape(node.output)
    whole = shape[-1] == inner
    order = axes.letters(len(shape), channels_last=True) if whole else None
    builder.add(
        node,
        Kind.CONVOLUTION,
        [builder.read(source, order)],
        builder.write(node.output, axes.letters(len(result), channels_last=True)),
        macs=builder.macs(node),
        weights=weights,
        activation=activation,
    )


def pool(
    builder: Builder,
    node: Node,
    *,
    order: str,
    kernel: Pair,
    stride: Pair,
    dilation: Pair = (1, 1),
    activation: str = "",
) -> None:
    """A pool that keeps the number of dimensions."""
    source = builder.read(node.inputs[0], order)
    output = builder.write(node.output, order)
    before, after = builder.maps[source], builder.maps[output]
    whole = (before.height, before.width) == kernel and (after.height, after.width) == (1, 1)
    builder.add(
        node,
        Kind.POOL,
        [source],
        output,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        global_pool=whole,
        activation=activation,
    )


def reduction(
    builder: Builder, node: Node, reduced: Iterable[int] | None, *, is_mean: bool
) -> None:
    """A mean or maximum over dimensions: a pool where these are rows and columns."""
    source = node.inputs[0]
    shape = builder.shape(source)
    chosen = set(range(len(shape)) if reduced is None else (a % len(shape) for a in reduced))
    roles = builder.roles(source)
    order = roles if roles is not None else _order_of_reduction(len(shape), chosen, builder)
    if order is None:
        builder.software(node, "it reduces other dimensions than rows and columns")
        return
    roles = axes.roles_of(shape, order)
    letters = {roles[axis] for axis in chosen if shape[axis] != 1}
    if not letters:
        builder.view(source, node.output)
    elif letters <= {"H", "W"}:
        map_name = builder.read(source, order)
        given = builder.maps[map_name]
        kernel = (
            given.height if "H" in letters else 1,
            given.width if "W" in letters else 1,
        )
        keeps = len(builder.shape(node.output)) == len(shape)
        kept = [r for axis, r in enumerate(roles) if keeps or axis not in chosen]
        output = builder.write(node.output, kept)
        builder.add(
            node,
            Kind.POOL,
            [map_name],
            output,
            kernel=kernel,
            stride=kernel,
            global_pool=kernel == (given.height, given.width),
            traits=[Trait.MEAN] if is_mean else [],
        )
    else:
        builder.software(node, "it reduces other dimensions than rows and columns")


def _order_of_reduction(rank: int, chosen: set[int], builder: Builder) -> str | None:
    """The order of dimensions that makes those to be reduced rows and columns."""
    for channels_last in (builder.channels_last, not builder.channels_last):
        order = axes.letters(rank, channels_last=channels_last)
        if order is not None and {order[axis] for axis in chosen} <= {"H", "W"}:
            return order
    return builder.usual(rank)


def arithmetic(builder: Builder, node: Node, function: str, *, activation: str = "") -> None:
    """Add, subtract, multiply, divide, larger or smaller of: of maps and constants."""
    inputs = builder.run_time(node)
    if len(inputs) == 1 and len(node.inputs) == 2:
        _with_constant(builder, node, function, inputs[0], activation)
        return
    if len(inputs) == 1:
        builder.view(inputs[0], node.output)
        return
    shape = builder.shape(node.output)
    order = axes.merged(
        shape, [(builder.shape(x), builder.roles(x)) for x in _widest(builder, inputs)]
    )
    maps = [_aligned(builder, name, order) for name in inputs]
    partial = maps[0]
    for position, other in enumerate(maps[1:], start=1):
        last = position == len(maps) - 1
        target = node.output if last else _partial(builder, node, position)
        result = builder.write(target, order)
        builder.add(
            node,
            Kind.ARITHMETIC,
            [partial, other],
            result,
            activation=activation if last else "",
        )
        partial = result


def _widest(builder: Builder, inputs: list[str]) -> list[str]:
    return sorted(inputs, key=lambda name: -math.prod(builder.shape(name)))


def _aligned(builder: Builder, name: str, order: Sequence[str] | None) -> str:
    if order is None or not builder.shape(name):
        return builder.read(name)
    own = order[len(order) - len(builder.shape(name)) :]
    covered = all(r or s == 1 for r, s in zip(own, builder.shape(name), strict=True))
    return builder.read(name, own if covered else None)


def _partial(builder: Builder, node: Node, position: int) -> str:
    name = builder.graph.new_name(f"{node.output}/{position}")
    builder.graph.shapes[name] = builder.shape(node.output)
    return name


def _with_constant(
    builder: Builder, node: Node, function: str, source: str, activation: str
) -> None:
    constant = next(
        builder.graph.constants[name] for name in node.inputs if name in builder.graph.constants
    )
    shape, roles = builder.shape(node.output), builder.roles(source)
    if shape != builder.shape(source):
        roles = None
    if constant.size == 1 and function in ("max", "min"):
        builder.activation(node, "relu", source)
        return
    if constant.size == 1 and function == "div" and source != node.inputs[0]:
        builder.activation(node, "lut", source)
        return
    traits = _traits(constant, function, shape, roles)
    weights = None
    if constant.size > 1:
        axis = int(np.argmax(constant.shape))
        weights = builder.weights(constant, channel_axis=-1 - axis)
    builder.add(
        node,
        Kind.ARITHMETIC,
        [builder.read(source)],
        builder.write(node.output, roles),
        weights=weights,
        activation=activation,
        traits=traits,
    )


def _traits(
    constant: Array, function: str, shape: axes.Shape, roles: axes.Roles | None
) -> list[Trait]:
    if function not in ("add", "sub", "mul", "div"):
        return []
    offset = [Trait.OFFSET] if function in ("add", "sub") else []
    if constant.size == 1:
        return [Trait.AFFINE, Trait.SCALAR, *offset]
    first = len(shape) - constant.ndim
    varying = [first + axis for axis, size in enumerate(constant.shape) if size > 1]
    if len(varying) == 1 and (roles is None or roles[varying[0]] == "C"):
        return [Trait.AFFINE, *offset]
    return []


def scale_and_offset(builder: Builder, node: Node) -> None:
    """Batch normalization: a factor and an offset per channel."""
    source = node.inputs[0]
    order = builder.usual(len(builder.shape(source)))
    constants = [builder.graph.constant(node, position) for position in (1, 2, 3, 4)]
    if order is None or any(value is None for value in constants):
        builder.software(node, "its statistics are computed at run time")
        return
    gamma = builder.graph.constants[node.inputs[1]]
    builder.add(
        node,
        Kind.ARITHMETIC,
        [builder.read(source, order)],
        builder.write(node.output, order),
        weights=builder.weights(gamma, channel_axis=-1, bias_channels=gamma.size),
        traits=[Trait.AFFINE, Trait.OFFSET],
    )
