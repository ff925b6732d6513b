"""Finds the layer in which a conversion loses most, by bisection.

A network that is cut in two runs partly in int8 and partly in float: the result up to the cut, and
its real values through the source from there on. The noise of an output then is what the layers
before the cut add to it. Halving again and again, always into the half over which the noise rises
more, leaves the layer over which it rises most; ten layers or a thousand differ by seven runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.network.model import Network
from npu_tune.network.onnx.graph import Array
from npu_tune.network.quantize.accuracy import WorstLayer
from npu_tune.network.quantize.noise import Noise
from npu_tune.network.quantize.runtimes import (
    ConvertedNetwork,
    Feed,
    onnx_session,
    run_session,
)

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Source:
    """The float network that a result is compared with.

    Args:
        model: with the type and shape of every tensor.
        session: the same, open in onnxruntime.
    """

    model: onnx.ModelProto
    session: Any


def find_worst_layer(
    network: Network,
    source: Source,
    result: ConvertedNetwork,
    *,
    output: str,
    feeds: Sequence[Feed],
) -> WorstLayer:
    """Finds the layer that adds most noise to an output.

    Args:
        network: the source, whose layers are named.
        source: the same, opened.
        result: its int8 form.
        output: name of an output.
        feeds: what both are run on.
    """
    cuts = _Cuts(source, result, output, feeds)
    first, last = 0, len(cuts.names)
    noise = {first: Noise(), last: cuts.noise(last)}
    while last - first > 1:
        middle = (first + last) // 2
        noise[middle] = cuts.noise(middle)
        rise_before = noise[middle].share - noise[first].share
        rise_after = noise[last].share - noise[middle].share
        first, last = (first, middle) if rise_before >= rise_after else (middle, last)
    tensor = cuts.names[last - 1]
    steps = np.concatenate(
        [np.abs(result.steps(tensor, value)).ravel() for (value,) in cuts.source_values([tensor])]
    )
    return WorstLayer(
        layers=_layers(network, source, tensor, known=cuts.names[: last - 1]),
        tensor=tensor,
        before=noise[first],
        after=noise[last],
        whole=noise[len(cuts.names)],
        rounded=cuts.rounding_noise(last),
        typical_steps=float(np.median(steps[steps > 0.0])) if steps.any() else 0.0,
        reach=result.reach(tensor),
    )


class _Cuts:
    """The places where a network can be cut: behind every tensor that source and result share."""

    def __init__(
        self, source: Source, result: ConvertedNetwork, output: str, feeds: Sequence[Feed]
    ) -> None:
        self._source = source
        self._result = result
        self._output = output
        self._feeds = feeds
        self._inputs = list(feeds[0])
        self._wanted = [run_session(source.session, [output], feed)[0] for feed in feeds]
        graph = source.model.graph
        typed = _infos(graph)
        computed = [
            name for node in _needed(graph, [output], known=()) for name in node.output if name
        ]
        self.names = [
            name
            for name in (*(value.name for value in graph.input), *computed)
            if result.has(name) and name in typed
        ]
        self._codes = [
            dict(zip(self.names, result.codes(feed, self.names), strict=True)) for feed in feeds
        ]

    def noise(self, count: int) -> Noise:
        """Of the output with the first tensors in int8."""
        ends, session = self._rest(count)
        converted = set(self.names[:count])
        values = (
            [
                # Inputs behind the cut are not rounded to int8 either.
                self._result.real(name, codes[name]) if name in converted else feed[name]
                for name in ends
            ]
            for feed, codes in zip(self._feeds, self._codes, strict=True)
        )
        return self._sum(session, ends, values)

    def rounding_noise(self, count: int) -> Noise:
        """Of the output with nothing but the last of the first tensors rounded to its codes."""
        name = self.names[count - 1]
        ends, session = self._rest(count)
        values = self.source_values(ends)
        if name in ends:
            place = ends.index(name)
            for each in values:
                each[place] = self._result.round(name, each[place])
        return self._sum(session, ends, values)

    def source_values(self, names: Sequence[str]) -> list[list[Array]]:
        """Values of some tensors in the float network, for every run."""
        computed = [name for name in names if name not in self._inputs]
        if not computed:
            return [[feed[name] for name in names] for feed in self._feeds]
        session = onnx_session(_part(self._source.model, self._inputs, computed))
        results = (run_session(session, computed, feed) for feed in self._feeds)
        found = [
            {**feed, **dict(zip(computed, result, strict=True))}
            for feed, result in zip(self._feeds, results, strict=True)
        ]
        return [[each[name] for name in names] for each in found]

    def _rest(self, count: int) -> tuple[list[str], Any]:
        """The tensors that the rest of the source reads, and the rest; None if nothing is left."""
        known = self.names[:count]
        if self._output in known:
            return [self._output], None
        known = list(dict.fromkeys([*known, *self._inputs]))
        part = _part(self._source.model, known, [self._output])
        return [value.name for value in part.graph.input], onnx_session(part)

    def _sum(self, session: Any, ends: Sequence[str], values: Iterable[Sequence[Array]]) -> Noise:
        total = Noise()
        for wanted, each in zip(self._wanted, values, strict=True):
            feed = dict(zip(ends, each, strict=True))
            if session is None:
                have = feed[self._output]
            else:
                (have,) = run_session(session, [self._output], feed)
            total += Noise.of(wanted, have)
        return total


def _layers(
    network: Network, source: Source, tensor: str, *, known: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """The layers that compute a tensor from known ones, with their operators."""
    if tensor in network.inputs:
        return ()
    nodes = _needed(source.model.graph, [tensor], known=[*known, *network.inputs])
    outputs = {name for node in nodes for name in node.output}
    return tuple(
        (layer.name, layer.op)
        for layer in network.layers
        if outputs.intersection(layer.outputs) and _depends(network, layer.inputs)
    )


def _depends(network: Network, names: Iterable[str]) -> bool:
    tensors = (network.tensors.get(name) for name in names if name)
    return any(tensor is None or not tensor.is_constant for tensor in tensors)


def _needed(
    graph: onnx.GraphProto, names: Iterable[str], *, known: Iterable[str]
) -> list[onnx.NodeProto]:
    """The nodes that compute some tensors from known ones, in execution order."""
    stop, wanted, nodes = set(known), set(names), []
    wanted -= stop
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(name for name in _reads(node) if name not in stop)
    return nodes[::-1]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The tensors that a node reads, those of the graphs in its attributes among them."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)


def _infos(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    """Types and shapes by tensor."""
    return {value.name: value for value in (*graph.value_info, *graph.output, *graph.input)}


def _without(node: onnx.NodeProto, known: Iterable[str]) -> onnx.NodeProto:
    """The node with other names for what is known of its outputs, since a name has one source."""
    if not set(node.output).intersection(known):
        return node
    copy = type(node)()
    copy.CopyFrom(node)
    copy.output[:] = [f"{name}/unread" if name in known else name for name in node.output]
    return copy


def _part(model: onnx.ModelProto, known: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
    """The part of a model that computes some tensors from those known ones that it reads."""
    from onnx import helper  # noqa: PLC0415 - heavy

    graph = model.graph
    nodes = [_without(node, known) for node in _needed(graph, outputs, known=known)]
    read = {name for node in nodes for name in _reads(node)}
    infos = _infos(graph)
    part = helper.make_graph(
        nodes,
        graph.name,
        [infos[name] for name in known if name in read],
        [infos[name] for name in outputs],
        [tensor for tensor in graph.initializer if tensor.name in read],
    )
    return helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
