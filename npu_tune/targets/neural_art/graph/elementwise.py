"""Imports element-wise operators."""

from __future__ import annotations

import math
from collections.abc import Sequence

from npu_tune.network.onnx.graph import Array, OnnxNode
from npu_tune.targets.neural_art.graph import roles as axes
from npu_tune.targets.neural_art.graph.builder import Builder
from npu_tune.targets.neural_art.graph.model import OperationKind
from npu_tune.targets.neural_art.graph.unfused import Trait

_WITH_SLOPES = frozenset({"PRelu", "PRELU"})


def arithmetic(builder: Builder, node: OnnxNode, function: str, *, activation: str = "") -> None:
    """Imports sums, differences, products, quotients, maxima and minima of maps and constants."""
    inputs = builder.run_time(node)
    if len(inputs) == 1 and len(node.inputs) == 2:
        _with_constant(builder, node, function, inputs[0], activation)
        return
    if len(inputs) != len(node.inputs):
        builder.software(node, "it joins several constants and tensors")
        return
    if len(inputs) == 1:
        builder.view(inputs[0], node.output)
        return
    shape = builder.shape(node.output)
    order = axes.merge_roles(
        shape, [(builder.shape(x), builder.roles(x)) for x in _widest(builder, inputs)]
    )
    maps = [_read_aligned(builder, name, order) for name in inputs]
    partial = maps[0]
    for position, other in enumerate(maps[1:], start=1):
        last = position == len(maps) - 1
        target = node.output if last else _partial_result(builder, node, position)
        result = builder.write(target, order)
        builder.add(
            node,
            OperationKind.ARITHMETIC,
            [partial, other],
            result,
            activation=activation if last else "",
        )
        partial = result


def _widest(builder: Builder, inputs: list[str]) -> list[str]:
    return sorted(inputs, key=lambda name: -math.prod(builder.shape(name)))


def _read_aligned(builder: Builder, name: str, order: Sequence[str] | None) -> str:
    if order is None or not builder.shape(name):
        return builder.read(name)
    own = order[len(order) - len(builder.shape(name)) :]
    covered = all(r or s == 1 for r, s in zip(own, builder.shape(name), strict=True))
    return builder.read(name, own if covered else None)


def _partial_result(builder: Builder, node: OnnxNode, position: int) -> str:
    name = builder.graph.new_name(f"{node.output}/{position}")
    builder.graph.shapes[name] = builder.shape(node.output)
    return name


def function(builder: Builder, node: OnnxNode, kind: str) -> None:
    """Imports an activation of the kind ``relu`` (clipping, free) or ``lut`` (by table)."""
    if len(builder.run_time(node)) > 1:
        builder.software(node, "its parameters are computed at run time")
        return
    parameters = builder.constants(node)
    # One number is a parameter of the unit, as limits are; slopes are fetched like weights.
    is_fetched = node.op in _WITH_SLOPES and parameters is not None and parameters.elements > 1
    builder.activation(node, kind, weights=parameters if is_fetched else None)


def power(builder: Builder, node: OnnxNode) -> None:
    """Imports a power with a constant exponent."""
    exponent = builder.graph.constant(node, 1)
    if exponent is not None and exponent.size == 1:
        builder.activation(node, "lut")
    else:
        builder.software(node, "its exponent is no single number")


def _with_constant(
    builder: Builder, node: OnnxNode, function: str, source: str, activation: str
) -> None:
    constant = next(
        builder.graph.constants[name] for name in node.inputs if name in builder.graph.constants
    )
    shape, roles = builder.shape(node.output), builder.roles(source)
    is_larger = math.prod(shape) > math.prod(builder.shape(source))
    if shape != builder.shape(source):
        roles = None
    if constant.size == 1 and function in ("max", "min"):
        builder.activation(node, "relu", source)
        return
    if constant.size == 1 and function == "div" and source != node.inputs[0]:
        builder.activation(node, "lut", source)
        return
    # What repeats its input is computed for itself, on all that it writes.
    traits = [] if is_larger else _traits(constant, function, shape, roles)
    # One number is a parameter of the unit; several are fetched like weights, with one scale.
    weights = builder.weights(constant, channel_axis=None) if constant.size > 1 else None
    builder.add(
        node,
        OperationKind.ARITHMETIC,
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


def scale_and_offset(builder: Builder, node: OnnxNode) -> None:
    """Imports a batch normalization: a factor and an offset per channel."""
    source = node.inputs[0]
    order = builder.usual(len(builder.shape(source)))
    constants = [builder.graph.constant(node, position) for position in (1, 2, 3, 4)]
    if order is None or any(value is None for value in constants):
        builder.software(node, "its statistics are computed at run time")
        return
    gamma = builder.graph.constants[node.inputs[1]]
    builder.add(
        node,
        OperationKind.ARITHMETIC,
        [builder.read(source, order)],
        builder.write(node.output, order),
        weights=builder.weights(gamma.reshape(1, -1), channel_axis=0, bias_channels=gamma.size),
        traits=[Trait.AFFINE, Trait.OFFSET],
    )
