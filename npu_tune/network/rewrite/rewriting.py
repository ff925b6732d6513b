"""Rewrites a model by a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from npu_tune.network.rewrite.draft import Draft
from npu_tune.network.rewrite.kernels import add_kernel_parts
from npu_tune.network.rewrite.plan import RewritePlan, StripedSegment
from npu_tune.network.rewrite.segment import Section, find_sections
from npu_tune.network.rewrite.source import SourceModel, open_source
from npu_tune.network.rewrite.stripes import add_stripes

if TYPE_CHECKING:
    import onnx

_CONSTANTS_ALONE = 4
"""The version of the format since which stored constants need not be listed as inputs."""


def rewrite_model(
    model: onnx.ModelProto, plan: RewritePlan, *, name: str = "the network"
) -> onnx.ModelProto:
    """Rewrites a model so that it computes the same in the way that a plan says.

    Inputs, outputs, the operator set and metadata stay as they are, and so does every node that
    the plan does not name; copies are called ``LAYER/stripe1`` or ``LAYER/part1``. Weights that
    stripes share are stored once.

    Args:
        model: float, or with QuantizeLinear and DequantizeLinear; is not changed.
        plan: what is rewritten, by the names of :attr:`npu_tune.network.Network.layers`.
        name: of the network, for errors.

    Raises:
        ModelError: if the model is damaged, or has open sizes, control flow, or weights in other
            files.
        UnsupportedOperatorError: if an operator cannot be cut; names the node.
        UsageError: if the plan does not fit the network.
    """
    source = open_source(model, name=name)
    draft = Draft(source)
    replaced: set[int] = set()
    behind: dict[int, list[onnx.NodeProto]] = {}
    for section in find_sections(source, plan):
        _add_section(draft, section)
        replaced.update(section.nodes)
        behind[source.producers[section.output]] = draft.take_out()
    nodes: list[onnx.NodeProto] = []
    for place, node in enumerate(source.nodes):
        if place not in replaced:
            nodes.append(node)
        nodes += behind.get(place, ())
    return _assembled(source, draft, nodes)


def _add_section(draft: Draft, section: Section) -> None:
    entry = section.entry
    if isinstance(entry, StripedSegment):
        add_stripes(draft, section, entry.stripes)
    elif entry.over == "rows":
        add_stripes(draft, section, entry.parts)
    else:
        add_kernel_parts(draft, section, entry.layer, entry.parts)


def _assembled(source: SourceModel, draft: Draft, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    """The source with other nodes, without what only its own needed, and with all shapes."""
    from onnx import helper, shape_inference  # noqa: PLC0415 - heavy

    needless = _needed(source, source.nodes) - _needed(source, nodes)
    result = type(source.model)()
    result.CopyFrom(source.model)
    graph = result.graph
    for kept, found in (
        (graph.node, [n for n in nodes if not needless.issuperset(filter(None, n.output))]),
        (graph.initializer, [t for t in graph.initializer if t.name not in needless]),
        (graph.input, [v for v in graph.input if v.name not in needless & {*source.initializers}]),
    ):
        copies = [type(each).FromString(each.SerializeToString()) for each in found]
        del kept[:]
        kept.extend(copies)
    graph.initializer.extend(draft.initializers)
    if result.ir_version < _CONSTANTS_ALONE:
        graph.input.extend(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in draft.initializers
        )
    computed = {name for node in graph.node for name in node.output}
    described = [value for value in graph.value_info if value.name in computed]
    del graph.value_info[:]
    graph.value_info.extend(described)
    return shape_inference.infer_shapes(result, check_type=True, strict_mode=True)


def _needed(source: SourceModel, nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Tensors that the network's outputs depend on."""
    needed = set(source.outputs)
    for node in reversed([*nodes]):
        if needed.intersection(node.output):
            needed.update(name for name in (*node.input, *node.output) if name)
    return needed
