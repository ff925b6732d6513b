"""One network in onnxruntime."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.cpu_onnxruntime.engine import MODEL, OnnxRuntimeEngine
from npu_tune.targets.cpu_onnxruntime.knobs import (
    INT8,
    OPTIMIZATION,
    layers_in_int8,
    make_space,
)
from npu_tune.targets.cpu_onnxruntime.plan import make_plan
from npu_tune.targets.cpu_onnxruntime.script import script
from npu_tune.targets.cpu_onnxruntime.writer import QdqWriter
from npu_tune.targets.measured.calibration import Histogram, Method, observe_histograms
from npu_tune.targets.measured.engine import Feed
from npu_tune.targets.measured.knobs import PRECISION, RANGE, THREADS
from npu_tune.targets.measured.layers import FoldedLayer, LayeredGraph


class OnnxRuntimeBackEnd:
    """Choices, files and names.

    Args:
        layered: the network.
        feeds: typical inputs, that ranges are made from.
        threads: that may be chosen.
    """

    def __init__(
        self, layered: LayeredGraph, feeds: Iterable[Feed], threads: Sequence[int]
    ) -> None:
        self._layered = layered
        self._feeds = tuple(feeds)
        self._writer = QdqWriter(layered)
        self._ranges: dict[tuple[str, Method], tuple[float, float]] = {}
        self.space: SearchSpace = make_space(layered, threads)
        self.engine = OnnxRuntimeEngine(max(threads))

    main_file: ClassVar[str] = MODEL

    @property
    def layers(self) -> tuple[FoldedLayer, ...]:
        return tuple(each for each in self._layered.layers if each.name in self._with_knobs)

    def write(self, configuration: Configuration, folder: Path) -> Mapping[str, Any]:
        """Writes ``model.onnx`` and ``model.weights``."""
        methods = {layer.output: configuration[f"{layer.name}/{RANGE}"] for layer in self.layers}

        def ranges(tensor: str) -> tuple[float, float]:
            return self._range(tensor, methods.get(tensor, "minmax"))  # type: ignore[arg-type]

        self._writer.write(layers_in_int8(configuration), ranges, folder)
        options = {"optimization": configuration[OPTIMIZATION]}
        if THREADS in configuration:
            options["threads"] = configuration[THREADS]
        return options

    def layer_of(self, label: str) -> str:
        """By the tensors after which nodes are named, and what onnxruntime adds to the names."""
        while label:
            if label in self._by_label:
                return self._by_label[label]
            cut = max(label.rfind("_"), label.rfind(":"))
            label = label[:cut] if cut > 0 else ""
        return ""

    def constant_bytes(self, configuration: Configuration) -> Mapping[str, int]:
        """Weights and biases, of int8 with their scales."""
        in_int8 = layers_in_int8(configuration)
        constants = self._layered.graph.constants
        stored = {}
        for layer in self.layers:
            arrays = [constants[name] for name in layer.node.inputs if name in constants]
            size = sum(array.nbytes for array in arrays)
            if layer.name in in_int8 and layer.is_product:
                channels = self._layered.graph.shapes[layer.node.output]
                # A scale and a zero point; with a bias, that of int32 and the same for it.
                each = 5 if len(arrays) == 1 else 5 + 12
                size = arrays[0].size + each * channels[1 if layer.node.op == "Conv" else -1]
            stored[layer.name] = size
        return stored

    def noisy_choice(self, configuration: Configuration, layer: str) -> Configuration | None:
        """The layer alone in int8, its output in its range."""
        if layer not in layers_in_int8(configuration):
            return None
        names = [name for name in configuration if name.rpartition("/")[0] == layer]
        return self.space.default.replace({name: configuration[name] for name in names})

    def in_int8(self, layers: Collection[str]) -> Configuration:
        """The default with some layers in int8, their ranges all that was seen."""
        return self.space.default.replace({f"{name}/{PRECISION}": INT8 for name in layers})

    def work(self, layer: str) -> float:
        """Multiply-accumulates; of a sum, its elements."""
        return self._work[layer]

    def script(self, configuration: Configuration) -> str:
        """A program of ten lines."""
        threads = configuration.get(THREADS, self.engine.threads)
        return script(str(configuration[OPTIMIZATION]), int(threads))

    def _range(self, tensor: str, method: Method) -> tuple[float, float]:
        if (tensor, method) not in self._ranges:
            self._ranges[tensor, method] = self._histograms[tensor].range(method)
        return self._ranges[tensor, method]

    @cached_property
    def _histograms(self) -> Mapping[str, Histogram]:
        """Of every tensor that some configuration stores in int8."""
        every = make_plan(self._layered, self._with_knobs)
        names = {**every.tensors, **dict.fromkeys(every.tensors.values())}
        return observe_histograms(self._layered.graph, names, self._feeds)

    @cached_property
    def _work(self) -> Mapping[str, float]:
        return {layer.name: self._layered.work(layer) for layer in self.layers}

    @cached_property
    def _with_knobs(self) -> frozenset[str]:
        return frozenset(self.space.layers)

    @cached_property
    def _by_label(self) -> Mapping[str, str]:
        """Layers by every tensor, which nodes are named after; "" for what is before all layers.

        What is no layer belongs to the one whose output it reads, and an input of the network to
        the first layer that reads it.
        """
        labels: dict[str, str] = {}
        by_node = {layer.node.output: layer for layer in self.layers}
        for node in self._layered.graph.nodes:
            layer = by_node.get(node.output)
            if layer is None:
                before = next((labels[x] for x in node.inputs if labels.get(x)), "")
                for output in node.outputs:
                    labels.setdefault(output, before)
                continue
            labels |= dict.fromkeys((node.output, layer.output), layer.name)
            for name in node.inputs:
                if name in self._layered.graph.inputs:
                    labels.setdefault(name, layer.name)
        return labels
