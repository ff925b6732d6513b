"""One network in ncnn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from npu_tune.space import Configuration, SearchSpace, Value
from npu_tune.targets.measured.calibration import METHODS, Histogram, Method, observe_histograms
from npu_tune.targets.measured.engine import Feed
from npu_tune.targets.measured.knobs import PRECISION, RANGE
from npu_tune.targets.measured.layers import FoldedLayer, LayeredGraph
from npu_tune.targets.ncnn.choices import WINOGRAD, Choices
from npu_tune.targets.ncnn.engine import PARAM, NcnnEngine
from npu_tune.targets.ncnn.files import write_files
from npu_tune.targets.ncnn.plan import CHAINED, FLOAT, IN_INT8, INT8, range_owners
from npu_tune.targets.ncnn.program import NcnnProgram
from npu_tune.targets.ncnn.script import script
from npu_tune.targets.ncnn.writer import ENDINGS, Limits, NcnnWriter


class NcnnBackEnd:
    """Choices, files and names.

    Args:
        layered: the network.
        program: the same in ncnn's layers.
        choices: what may be chosen.
        engine: that runs it.
        feeds: typical inputs, that ranges are made from.
    """

    def __init__(
        self,
        layered: LayeredGraph,
        program: NcnnProgram,
        *,
        choices: Choices,
        engine: NcnnEngine,
        feeds: Iterable[Feed],
    ) -> None:
        self._layered = layered
        self._program = program
        self._choices = choices
        self.engine = engine
        self._feeds = tuple(feeds)
        self._writer = NcnnWriter(program)
        self._limits: dict[tuple[str, Method], float] = {}

    @property
    def space(self) -> SearchSpace:
        return self._choices.space

    @property
    def main_file(self) -> str:
        """The layers; their weights lie beside them."""
        return PARAM

    @property
    def layers(self) -> tuple[FoldedLayer, ...]:
        known = frozenset(self.space.layers)
        return tuple(each for each in self._layered.layers if each.name in known)

    def write(self, configuration: Configuration, folder: Path) -> Mapping[str, Any]:
        """Writes ``model.param``, ``model.bin`` and the names of inputs and outputs."""
        plan = self._choices.plan(configuration)
        write_files(self._writer, plan, self._limits_of(configuration), folder)
        return self._choices.options(configuration)

    def layer_of(self, label: str) -> str:
        """By the blob that ncnn's layer computes, and what the writer adds to its name."""
        for ending in ENDINGS:
            if label not in self._owners:
                label = label.removesuffix(ending)
        return self._owners.get(label, "")

    def constant_bytes(self, configuration: Configuration) -> Mapping[str, int]:
        """Weights and biases, of int8 with their scales."""
        precisions = self._choices.plan(configuration).precisions
        stored = {}
        for name, layer in self._program.products.items():
            weights, bias = layer.weights
            in_int8 = precisions[name] in IN_INT8
            size = weights.size + 4 * bias.size + 4 if in_int8 else weights.nbytes
            stored[name] = size + bias.nbytes
        return stored

    def noisy_choice(self, configuration: Configuration, layer: str) -> Configuration | None:
        """The layer alone in int8 or bf16, with the range that it has here."""
        if configuration.get(f"{layer}/{PRECISION}", FLOAT) == FLOAT:
            return None
        names = [name for name in configuration if name.rpartition("/")[0] == layer]
        alone = {name: configuration[name] for name in names}
        if f"{layer}/{RANGE}" in alone:
            tensor = self._program.tensors[self._program.products[layer].inputs[0]]
            owner = self._range_owners(configuration).get(tensor, layer)
            alone[f"{layer}/{RANGE}"] = configuration[f"{owner}/{RANGE}"]
        return self.space.effective(self.space.default.replace(alone))

    def in_int8(self, layers: Collection[str]) -> Configuration:
        """The default with some layers in int8, chained where that can be.

        Depthwise convolutions stay in float32, in which ncnn is faster, and Winograd's algorithm
        is left to float32: in int8 it takes twice the memory and no less time (ResNet-50 on x86:
        0.50 of the float default's time and 119 MiB with it, 0.46 and 59 MiB without).
        """
        changes: dict[str, Value] = {}
        for name in layers:
            knob = self.space.by_name.get(f"{name}/{PRECISION}")
            product = self._program.products[name].product
            if knob is not None and product is not None and not product.is_depthwise:
                changes[knob.full_name] = CHAINED if CHAINED in knob.values else INT8
                if f"{name}/{WINOGRAD}" in self.space.by_name:
                    changes[f"{name}/{WINOGRAD}"] = False
        return self.space.effective(self.space.default.replace(changes))

    def work(self, layer: str) -> float:
        """Multiply-accumulates."""
        weights = self._program.products[layer].weights[0]
        channels = weights.shape[0]
        return float(self._elements[layer] * weights.size / channels)

    def script(self, configuration: Configuration) -> str:
        """A program of ten lines."""
        return script(self.engine, self._choices.options(configuration))

    def _range_owners(self, configuration: Configuration) -> dict[str, str]:
        return range_owners(self._program, self._choices.plan(configuration).precisions)

    def _limits_of(self, configuration: Configuration) -> Limits:
        owners = self._range_owners(configuration)

        def limit(tensor: str) -> float:
            return self._limit(tensor, str(configuration[f"{owners[tensor]}/{RANGE}"]))

        return limit

    def _limit(self, tensor: str, name: str) -> float:
        method = next(each for each in METHODS if each == name)
        if (tensor, method) not in self._limits:
            ends = self._histograms[tensor].range(method)
            self._limits[tensor, method] = max(map(abs, ends))
        return self._limits[tensor, method]

    @cached_property
    def _histograms(self) -> Mapping[str, Histogram]:
        """Of every tensor that a layer may read in int8."""
        names = {
            self._program.tensors[layer.inputs[0]]: None
            for layer in self._program.products.values()
        }
        return observe_histograms(self._layered.graph, names, self._feeds)

    @cached_property
    def _elements(self) -> Mapping[str, int]:
        """Of a layer's result."""
        return {x.name: self._layered.graph.size(x.node.output) for x in self._layered.layers}

    @cached_property
    def _owners(self) -> Mapping[str, str]:
        """Layers with choices by the blobs of their layers and of those behind them."""
        known = {layer.name for layer in self.layers}
        owners: dict[str, str] = {}
        for layer in self._program.layers:
            own = layer.product.layer if layer.product is not None else ""
            before = (owners[blob] for blob in layer.inputs if blob in owners)
            owner = own if own in known else next(before, "")
            if owner:
                owners[layer.output] = owner
        return owners
