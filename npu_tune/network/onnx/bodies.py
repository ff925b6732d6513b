"""Graphs within graphs: the bodies of If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from npu_tune.network.onnx.graph import Array

if TYPE_CHECKING:
    import onnx


def all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes, and those of their bodies."""
    for node in nodes:
        yield node
        for body in bodies(node):
            yield from all_nodes(body.node)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node runs."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def captured(node: onnx.NodeProto) -> list[str]:
    """Tensors from outside that the bodies of a node read, each once."""
    return list(dict.fromkeys(name for body in bodies(node) for name in _read_outside(body)))


def _read_outside(body: onnx.GraphProto) -> Iterator[str]:
    inside = {tensor.name for tensor in body.initializer}
    inside.update(tensor.values.name for tensor in body.sparse_initializer)
    inside.update(value.name for value in body.input)
    for node in body.node:
        yield from (x for x in (*node.input, *captured(node)) if x and x not in inside)
        inside.update(node.output)
    yield from (value.name for value in body.output if value.name not in inside)


def inline_known_branches(model: onnx.ModelProto, known: Mapping[str, Array]) -> bool:
    """Replaces every If of a known condition by the branch that runs.

    Exporters leave such an If where a size decides, for example whether to squeeze.

    Args:
        model: is changed in place.
        known: values of tensors.

    Returns:
        Whether there were any.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - heavy

    graph = model.graph
    given = {tensor.name: tensor for tensor in graph.initializer}
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | set(given)
    nodes: list[onnx.NodeProto] = []
    found = False
    for node in graph.node:
        condition = node.input[0] if node.op_type == "If" and node.input else ""
        value = known.get(condition)
        if value is None and condition in given:
            value = numpy_helper.to_array(given[condition])
        branches = {each.name: each.g for each in node.attribute}
        if value is None or value.size != 1 or not {"then_branch", "else_branch"} <= set(branches):
            nodes.append(node)
            continue
        found = True
        branch = branches["then_branch" if value.reshape(-1)[0] else "else_branch"]
        _rename_taken(branch, taken)
        graph.initializer.extend(branch.initializer)
        graph.sparse_initializer.extend(branch.sparse_initializer)
        nodes += [*branch.node, *_hand_over(branch, node)]
    if found:
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)
    return found


def _hand_over(branch: onnx.GraphProto, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """Nodes that give the results of a branch the names of the If's outputs."""
    from onnx import helper  # noqa: PLC0415 - heavy

    for value, name in zip(branch.output, node.output, strict=False):
        if name:
            yield helper.make_node("Identity", [value.name], [name], name=name)


def _rename_taken(branch: onnx.GraphProto, taken: set[str]) -> None:
    """Gives what a branch computes names that the graph around it does not have."""
    made = [tensor.name for tensor in branch.initializer]
    made += [name for node in branch.node for name in node.output if name]
    new = {}
    for name in made:
        fresh, count = name, 1
        while fresh in taken:
            count += 1
            fresh = f"{name}#{count}"
        taken.add(fresh)
        new[name] = fresh
    for tensor in branch.initializer:
        tensor.name = new[tensor.name]
    for value in branch.output:
        value.name = new.get(value.name, value.name)
    _rename(branch, new)


def _rename(graph: onnx.GraphProto, new: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
        for body in bodies(node):
            own = {value.name for value in body.input}
            own.update(tensor.name for tensor in body.initializer)
            own.update(name for inner in body.node for name in inner.output)
            outside = {old: name for old, name in new.items() if old not in own}
            _rename(body, outside)
            for value in body.output:
                value.name = outside.get(value.name, value.name)
