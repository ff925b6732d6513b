"""Collects operations and feature maps while a network's nodes are imported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npu_tune.network.macs import layer_macs
from npu_tune.network.model import Network, printable_names
from npu_tune.network.onnx.graph import Array, OnnxGraph, OnnxNode
from npu_tune.targets.neural_art.graph import roles as axes
from npu_tune.targets.neural_art.graph.constants import entropy_bits
from npu_tune.targets.neural_art.graph.model import FeatureMap, Operation, OperationKind, Weights
from npu_tune.targets.neural_art.graph.roles import Roles, Shape
from npu_tune.targets.neural_art.graph.stored import StoredConstants
from npu_tune.targets.neural_art.graph.unfused import Trait, UnfusedOperation


@dataclass(frozen=True)
class _Location:
    """The feature map that holds a tensor, and the roles of the tensor's dimensions."""

    map_name: str
    roles: Roles | None


class Builder:
    """Turns nodes into operations and feature maps, one call per node.

    Args:
        network: that is imported.
        graph: its nodes, named as the network's layers, with all constants and shapes.
        channels_last: the layout that the file format usually has.
    """

    def __init__(self, network: Network, graph: OnnxGraph, *, channels_last: bool) -> None:
        self.network = network
        self.graph = graph
        self.channels_last = channels_last
        self.unfused: list[UnfusedOperation] = []
        self.maps: dict[str, FeatureMap] = {}
        self.notes: Counter[str] = Counter()
        self._locations: dict[str, _Location] = {}
        self._transposed_by: dict[str, str] = {}
        self.open_maps: set[str] = set()
        self._layers = {layer.name: layer for layer in network.layers}
        self._given_names: set[str] = set()
        self._stored = StoredConstants(network, graph)
        for name in (*graph.inputs, *network.state):
            self.write(name, None)

    # Tensors ------------------------------------------------------------------------------

    def shape(self, tensor: str) -> Shape:
        return self.graph.shapes[tensor]

    def roles(self, tensor: str) -> Roles | None:
        return self._locations[tensor].roles

    def usual(self, rank: int) -> str | None:
        """The order of ``rank`` dimensions that operators of this format expect."""
        return axes.letters(rank, channels_last=self.channels_last)

    def run_time(self, node: OnnxNode) -> list[str]:
        return self.graph.run_time_inputs(node)

    def map_of(self, tensor: str) -> str:
        return self._locations[tensor].map_name

    def write(self, tensor: str, order: Sequence[str] | None) -> str:
        """Makes the feature map of a computed tensor or of an input of the network.

        Args:
            tensor: the tensor.
            order: roles of its dimensions; None if unknown, and then its sizes are guessed.

        Returns:
            The map's name.
        """
        shape = self.shape(tensor)
        roles = None if order is None else axes.roles_of(shape, order)
        if roles is None:
            sizes = axes.guess_sizes(shape, channels_last=self.channels_last)
            self.open_maps.add(tensor)
        else:
            sizes = axes.sizes_of(shape, roles)
        self.maps[tensor] = FeatureMap(tensor, *sizes, bits=self._bits(tensor))
        self._locations[tensor] = _Location(tensor, roles)
        return tensor

    def read(self, tensor: str, order: Sequence[str] | None = None) -> str:
        """The name of the feature map of a tensor, with its dimensions in a given order.

        Inserts a transposing COPY if the tensor has another order; settles the order if it was
        unknown.
        """
        location = self._locations[tensor]
        if order is None:
            return location.map_name
        wanted = axes.roles_of(self.shape(tensor), order)
        if location.roles is None:
            self._settle(location.map_name, tensor, wanted)
            self._locations[tensor] = _Location(location.map_name, wanted)
        elif not axes.are_compatible(location.roles, wanted):
            self._transpose(tensor, location.map_name, wanted)
        return self.map_of(tensor)

    def _settle(self, map_name: str, tensor: str, roles: Roles) -> None:
        if map_name not in self.open_maps:
            return
        sizes = axes.sizes_of(self.shape(tensor), roles)
        known = self.maps[map_name]
        if np.prod(sizes) == known.elements:
            self.maps[map_name] = FeatureMap(map_name, *sizes, bits=known.bits)
            self.open_maps.discard(map_name)

    def _transpose(self, tensor: str, source: str, roles: Roles) -> None:
        name = self._new_map(f"{tensor}/transposed")
        sizes = axes.sizes_of(self.shape(tensor), roles)
        self.maps[name] = FeatureMap(name, *sizes, bits=self.maps[source].bits)
        self._locations[tensor] = _Location(name, roles)
        label = self._transposed_by.get(tensor) or printable_names([f"{tensor}/transposed"])[0]
        self.unfused.append(
            UnfusedOperation(
                Operation(self._unique(label), "Transpose", OperationKind.COPY, (source,), name)
            )
        )

    def _bits(self, tensor: str) -> int:
        described = self.network.tensors.get(tensor)
        integer = re.fullmatch(r"u?int(\d+)", described.dtype) if described else None
        return min(max(int(integer[1]), 8), 32) if integer else 8

    def widen(self, source: str, quantized: str) -> None:
        """Widens the elements of a map to the integers of the tensor it is quantized to."""
        name, bits = self.map_of(source), self._bits(quantized)
        if bits > self.maps[name].bits:
            self.maps[name] = replace(self.maps[name], bits=bits)

    def _new_map(self, base: str) -> str:
        count, name = 1, base
        while name in self.maps or name in self.graph.shapes:
            count += 1
            name = f"{base}#{count}"
        return name

    # Operations ---------------------------------------------------------------------------

    def add(
        self,
        node: OnnxNode,
        kind: OperationKind,
        inputs: Iterable[str],
        output: str,
        *,
        traits: Iterable[Trait] = (),
        **fields: Any,
    ) -> None:
        """Adds an operation named after its node, with ``#2``, ``#3``, ... from the second on."""
        weights = fields.get("weights")
        if weights is not None:
            fields["weights"] = replace(weights, bits=self._stored.weight_bits(node))
        operation = Operation(
            self._unique(node.name), node.op, kind, tuple(inputs), output, **fields
        )
        self.unfused.append(UnfusedOperation(operation, frozenset(traits)))

    def _unique(self, base: str) -> str:
        count, name = 1, base
        while name in self._given_names or (count > 1 and name in self._layers):
            count += 1
            name = f"{base}#{count}"
        self._given_names.add(name)
        return name

    def macs(self, node: OnnxNode) -> int:
        return layer_macs(self.network, self._layers[node.name])

    def weights(
        self, values: Array, *, channel_axis: int | None, bias_channels: int = 0
    ) -> Weights:
        self.graph.budget.check_time()
        bits = entropy_bits(values, channel_axis=channel_axis)
        return Weights(values.size, bias_channels, bits)

    def constants(self, node: OnnxNode) -> Weights | None:
        """All constants of a node, with one scale; None where it has none."""
        found = [value for x in node.inputs if (value := self.graph.constants.get(x)) is not None]
        if not found:
            return None
        return self.weights(np.concatenate([each.ravel() for each in found]), channel_axis=None)

    def view(self, source: str, target: str) -> None:
        """Makes a tensor a view: its readers read the map of its source."""
        location = self._locations[source]
        roles = location.roles
        if roles is not None:
            roles = axes.after_reshape(self.shape(source), roles, self.shape(target))
        self._locations[target] = _Location(location.map_name, roles)
        if location.map_name in self.open_maps and len(self.shape(source)) > 4:
            self._guess_sizes(location.map_name, target)

    def _guess_sizes(self, map_name: str, tensor: str) -> None:
        """Gives a map provisional sizes, until its roles are settled."""
        sizes = axes.guess_sizes(self.shape(tensor), channels_last=self.channels_last)
        known = self.maps[map_name]
        if np.prod(sizes) == known.elements:
            self.maps[map_name] = FeatureMap(map_name, *sizes, bits=known.bits)

    def transpose(self, node: OnnxNode, permutation: Shape) -> None:
        """Imports a transposition: a view if it only changes the layout, else a COPY."""
        source, target = node.inputs[0], node.output
        location = self._locations[source]
        if axes.only_relabels(self.shape(source), location.roles, permutation):
            roles = location.roles
            if roles is not None:
                roles = axes.after_transpose(roles, permutation)
            self._locations[target] = _Location(location.map_name, roles)
            self._transposed_by[target] = node.name
        else:
            self.copy(node, [source], target)

    def copy(self, node: OnnxNode, sources: list[str], target: str, **fields: Any) -> None:
        """Adds a COPY; dimensions keep their roles if their number stays."""
        rank = len(self.shape(target))
        known = [
            roles
            for roles in map(self.roles, sources)
            if roles is not None and len(roles) == rank and node.op not in _MIXING
        ]
        order = axes.complete_roles(self.shape(target), known[0]) if known else None
        maps = [
            self.read(name, order)
            if order is not None and self.roles(name) is not None
            else self.read(name)
            for name in sources
        ]
        self.add(node, OperationKind.COPY, maps, self.write(target, order), **fields)

    def activation(
        self, node: OnnxNode, function: str, source: str | None = None, **fields: Any
    ) -> None:
        """Adds an activation of the kind ``relu`` or ``lut``; with weights, it is not fused."""
        tensor = node.inputs[0] if source is None else source
        inputs = [self.read(tensor)]
        self.add(
            node,
            OperationKind.ACTIVATION,
            inputs,
            self.write(node.output, self.roles(tensor)),
            activation=function,
            **fields,
        )

    def software(self, node: OnnxNode, reason: str) -> None:
        """Adds a software operation that computes all outputs that are read and not yet there."""
        targets = [
            name
            for name in node.outputs
            if name not in self._locations and name in self.graph.shapes and self.is_read(name)
        ]
        if not targets:
            return
        given = self.run_time(node)
        inputs = list(dict.fromkeys(self.read(name) for name in given))
        # State is read, and written in place.
        inputs += [self.map_of(name) for name in self.network.state if name in given]
        outputs = []
        for target in targets:
            same = bool(given) and self.shape(given[0]) == self.shape(target)
            outputs.append(self.write(target, self.roles(given[0]) if same else None))
        is_whole = not any(name in self._locations for name in set(node.outputs) - set(targets))
        self.add(
            node,
            OperationKind.SOFTWARE,
            inputs,
            outputs[0],
            software_reason=reason,
            further_outputs=tuple(outputs[1:]),
            macs=self.macs(node) if is_whole else 0,
            constant_bytes=self._stored.size_bytes(node) if is_whole else 0,
        )

    def is_read(self, tensor: str) -> bool:
        return tensor in self.graph.outputs or bool(self.graph.consumers(tensor))


Handler = Callable[[Builder, OnnxNode], None]
"""Imports one node into a builder."""

_MIXING = frozenset({"Transpose", "TRANSPOSE"})
"""Copies that permute the dimensions, so that roles do not carry over."""
