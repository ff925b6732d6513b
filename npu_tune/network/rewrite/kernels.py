"""Computes one layer in parts of its output channels, joined at the end."""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.errors import UnsupportedOperatorError, UsageError
from npu_tune.network.rewrite.draft import Draft
from npu_tune.network.rewrite.rows import Rows, even_parts
from npu_tune.network.rewrite.segment import Section
from npu_tune.network.rewrite.source import (
    DEQUANTIZE,
    QUANTIZE,
    SourceModel,
    attributes_of,
    is_operator,
)
from npu_tune.validation import sentence


@dataclass(frozen=True)
class _Kernels:
    """How a layer is divided.

    Args:
        count: of what can be divided: groups of a grouped convolution, else kernels.
        axis: of the weights that holds them.
        output_axis: of the result.
        groups: of a convolution; 1 for none.
        per_unit: kernels, and input channels, of each group; 1 and 0 where there are none.
    """

    count: int
    axis: int
    output_axis: int
    groups: int = 1
    per_unit: tuple[int, int] = (1, 0)


def add_kernel_parts(draft: Draft, section: Section, layer: str, count: int) -> None:
    """Adds the nodes that compute a layer in parts of its kernels.

    Args:
        draft: to add to.
        section: the layer's node, and those fused behind it.
        layer: its name.
        count: of the parts.

    Raises:
        UnsupportedOperatorError: if it has no kernels, or they are not constant; names it.
        UsageError: if it has fewer kernels or groups.
    """
    source = draft.source
    place, *behind = section.nodes
    kernels = _kernels(source, place)
    if count > kernels.count:
        what = "kernels" if kernels.groups == 1 else "groups, which are not divided"
        raise UsageError(
            f"{sentence(str(section.entry))} asks for {count} parts, and the layer has "
            f"{kernels.count} {what}.",
            remedy=f"Ask for {kernels.count} at most.",
            layer=layer,
        )
    parts = []
    for number, part in enumerate(even_parts(kernels.count, count), 1):
        suffix = f"/part{number}"
        made = _add_part(draft, place, kernels, part, suffix)
        for follower in behind:
            node = source.nodes[follower]
            before, made = made, draft.tensor_name(f"{node.output[0]}{suffix}")
            inputs = [
                name if not name or name in source.constants else before for name in node.input
            ]
            draft.copy(node, f"{source.names[follower]}{suffix}", inputs, [made])
        parts.append(made)
    last = source.names[section.nodes[-1]]
    draft.join(parts, section.output, axis=kernels.output_axis, name=f"{last}/parts")


def _kernels(source: SourceModel, place: int) -> _Kernels:
    node, attributes = source.nodes[place], attributes_of(source.nodes[place])
    if not is_operator(node, "Conv", "Gemm", "MatMul"):
        raise _refusal(source, place, "has no kernels that are divided here")
    if node.input[1] not in source.constants:
        raise _refusal(source, place, "reads its weights at run time")
    weights = source.shapes[node.input[1]]
    rank = len(source.shapes[node.output[0]])
    if node.op_type == "Gemm":
        axis = 0 if attributes.get("transB", 0) else 1
        return _Kernels(weights[axis], axis, 1)
    if node.op_type == "MatMul":
        if len(weights) != 2:
            raise _refusal(source, place, f"has weights of the shape {weights}")
        return _Kernels(weights[1], 1, rank - 1)
    groups = attributes.get("group", 1)
    if groups == 1:
        return _Kernels(weights[0], 0, 1)
    if _has_scales(source, node.input[0]):
        raise _refusal(source, place, "reads a map with scales per channel")
    return _Kernels(groups, 0, 1, groups, (weights[0] // groups, weights[1]))


def _has_scales(source: SourceModel, tensor: str) -> bool:
    """Tells whether a map has a scale for each channel."""
    quantizer = source.quantizer(tensor, DEQUANTIZE) or source.quantizer(tensor, QUANTIZE)
    return quantizer is not None and source.shapes.get(quantizer.input[1], ()) not in {(), (1,)}


def _add_part(draft: Draft, place: int, kernels: _Kernels, part: Rows, suffix: str) -> str:
    """Adds the layer with some of its kernels; returns its result."""
    source, node = draft.source, draft.source.nodes[place]
    own, channels = kernels.per_unit
    some = Rows(part.start * own, part.stop * own)
    data = node.input[0]
    if kernels.groups > 1:
        data = draft.cut(
            data,
            Rows(part.start * channels, part.stop * channels),
            axis=1,
            like=data,
            name=f"{data}{suffix}/channels",
        )
    inputs = [data, draft.sliced_constant(node.input[1], some, axis=kernels.axis, suffix=suffix)]
    inputs += [_addend(draft, place, name, some, suffix) for name in node.input[2:]]
    made = draft.tensor_name(f"{node.output[0]}{suffix}")
    changes = {"group": part.height} if kernels.groups > 1 else {}
    draft.copy(node, f"{source.names[place]}{suffix}", inputs, [made], changes)
    return made


def _addend(draft: Draft, place: int, name: str, part: Rows, suffix: str) -> str:
    """The bias of some kernels; one number for all of them stays."""
    source = draft.source
    shape = source.shapes.get(name, ())
    if not name or not shape or shape[-1] == 1:
        return name
    if name not in source.constants:
        raise _refusal(source, place, "reads its bias at run time")
    return draft.sliced_constant(name, part, axis=len(shape) - 1, suffix=suffix)


def _refusal(source: SourceModel, place: int, reason: str) -> UnsupportedOperatorError:
    text = source.describe(place)
    return UnsupportedOperatorError(
        f"{text[0].upper()}{text[1:]} cannot be split over kernels: it {reason}.",
        remedy="Split it over rows, or leave it whole.",
        node=source.names[place],
        op=source.nodes[place].op_type,
    )
