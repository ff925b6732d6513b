"""Imports convolutions, pools and reductions, from parameters that both file formats give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from npu_tune.network.onnx.graph import Array, OnnxNode
from npu_tune.targets.neural_art.graph import roles as axes
from npu_tune.targets.neural_art.graph.builder import Builder
from npu_tune.targets.neural_art.graph.model import OperationKind, Weights
from npu_tune.targets.neural_art.graph.unfused import Trait

Pair = tuple[int, int]

_RUN_TIME_WEIGHTS = "its weights are computed at run time"


def pair(values: Sequence[int]) -> Pair:
    """(rows, columns) of one or two spatial sizes; one dimension counts as rows."""
    return (int(values[0]), int(values[1]) if len(values) > 1 else 1)


def constant_weights(
    builder: Builder, node: OnnxNode, *, position: int = 1, source: int = 0
) -> Array | None:
    """The weights of a node; None, and the node runs in software, if they are not constant.

    Args:
        builder: gets the software operation.
        node: a convolution or matrix product; its bias must be constant too.
        position: of the weights among its inputs.
        source: position of the feature map among them.
    """
    weights = builder.graph.constant(node, position)
    if weights is not None and builder.run_time(node) == [node.inputs[source]]:
        return weights
    builder.software(node, _RUN_TIME_WEIGHTS)
    return None


def convolution(
    builder: Builder,
    node: OnnxNode,
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
    """Imports a dense, grouped, depthwise or transposed convolution.

    Args:
        builder: gets the operation.
        node: the convolution.
        source: the tensor it reads.
        order: of the dimensions of input and output, such as ``NCHW``.
        weights: its constants.
        kernel: (rows, columns), like the following ones.
        stride: of the window.
        dilation: of the window.
        groups: of channels.
        activation: as of :class:`~.model.Operation`.
    """
    builder.add(
        node,
        OperationKind.CONVOLUTION,
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
    node: OnnxNode,
    *,
    source: str,
    weights: Weights,
    inner: int,
    activation: str = "",
) -> None:
    """Imports a matrix product: a 1 x 1 convolution of vectors of ``inner`` elements."""
    shape, result = builder.shape(source), builder.shape(node.output)
    whole = shape[-1] == inner
    order = axes.letters(len(shape), channels_last=True) if whole else None
    builder.add(
        node,
        OperationKind.CONVOLUTION,
        [builder.read(source, order)],
        builder.write(node.output, axes.letters(len(result), channels_last=True)),
        macs=builder.macs(node),
        weights=weights,
        activation=activation,
    )


def pool(
    builder: Builder,
    node: OnnxNode,
    *,
    order: str,
    kernel: Pair,
    stride: Pair,
    dilation: Pair = (1, 1),
    activation: str = "",
) -> None:
    """Imports a pool that keeps the number of dimensions."""
    if not node.output:
        builder.software(node, "no unit computes its other outputs")
        return
    source = builder.read(node.inputs[0], order)
    output = builder.write(node.output, order)
    before, after = (_rows_and_columns(builder, x, order) for x in (node.inputs[0], node.output))
    whole = before == kernel and after == (1, 1)
    builder.add(
        node,
        OperationKind.POOL,
        [source],
        output,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        global_pool=whole,
        activation=activation,
    )


def _rows_and_columns(builder: Builder, tensor: str, order: Sequence[str]) -> Pair:
    """(rows, columns) of one element of the batch."""
    sizes = dict(zip(order, builder.shape(tensor), strict=True))
    return sizes.get("H", 1), sizes.get("W", 1)


def reduction(
    builder: Builder, node: OnnxNode, reduced: Iterable[int] | None, *, is_mean: bool
) -> None:
    """Imports a mean or maximum over dimensions: a pool if these are rows and columns."""
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
        rows, columns = _rows_and_columns(builder, source, order)
        kernel = (rows if "H" in letters else 1, columns if "W" in letters else 1)
        keeps = len(builder.shape(node.output)) == len(shape)
        kept = [r for axis, r in enumerate(roles) if keeps or axis not in chosen]
        output = builder.write(node.output, kept)
        builder.add(
            node,
            OperationKind.POOL,
            [map_name],
            output,
            kernel=kernel,
            stride=kernel,
            global_pool=kernel == (rows, columns),
            traits=[Trait.MEAN] if is_mean else [],
        )
    else:
        builder.software(node, "it reduces other dimensions than rows and columns")


def _order_of_reduction(rank: int, chosen: set[int], builder: Builder) -> str | None:
    """The order of dimensions under which the reduced ones are rows and columns."""
    usual = builder.usual(rank)
    other = axes.letters(rank, channels_last=not builder.channels_last)
    reduces_channels = usual is not None and "C" in {usual[axis] for axis in chosen}
    if reduces_channels and other and {other[axis] for axis in chosen} == set(other) - {"N", "C"}:
        return other
    return usual
