"""Merges activations and limits into the operators before them."""

from __future__ import annotations

from npu_tune.network.quantize.ranges import Range, hull
from npu_tune.network.quantize.tflite_graph import TfliteGraph, TfliteOp

_CARRIES_ACTIVATION = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D",
     "MUL", "SUB"}
)  # fmt: skip
_OWN_SCALE = frozenset(
    {"ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "ELU", "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU",
     "MEAN", "MUL", "PRELU", "QUANTIZE", "RELU", "RELU6", "SUB", "SUM", "TRANSPOSE_CONV"}
)  # fmt: skip
"""Operators whose output has a scale of its own, so that saturation can do the clipping."""
_ACTIVATIONS: dict[str, tuple[int, float]] = {"RELU": (1, float("inf")), "RELU6": (3, 6.0)}
"""Per activation, the schema's code and the highest result."""


def merge_saturation(graph: TfliteGraph) -> None:
    """Fuses ReLU and clipping into the operator before, and clipping of inputs into these."""
    _Merger(graph).run()


class _Merger:
    """A graph with the producer and the readers of each tensor, which change with it."""

    def __init__(self, graph: TfliteGraph) -> None:
        self._graph = graph
        self._producers = {name: op for op in graph.ops for name in op.outputs}
        self._readers: dict[str, list[TfliteOp]] = {}
        for op in graph.ops:
            for name in dict.fromkeys(op.inputs):
                self._readers.setdefault(name, []).append(op)
        self._inputs, self._outputs = set(graph.inputs), set(graph.outputs)
        self._removed: set[int] = set()

    def run(self) -> None:
        for op in self._graph.ops:
            if op.op in _ACTIVATIONS:
                self._fuse_activation(op)
            elif op.op == "QUANTIZE" and self._pin(op.outputs[0]) is not None:
                self._fuse_limits(op)
        self._graph.ops = [op for op in self._graph.ops if id(op) not in self._removed]

    def _pin(self, name: str) -> Range | None:
        return self._graph.tensors[name].pinned

    def _fuse_activation(self, op: TfliteOp) -> None:
        source, target = op.inputs[0], op.outputs[0]
        producer = self._producers.get(source)
        code, highest = _ACTIVATIONS[op.op]
        pins = [pin for pin in (self._pin(source), self._pin(target)) if pin is not None]
        carriers = _CARRIES_ACTIVATION & _OWN_SCALE if pins else _CARRIES_ACTIVATION
        if (
            producer is None
            or producer.op not in carriers
            or producer.options.get("FusedActivationFunction")
            or source in self._outputs
            or self._readers[source] != [op]
        ):
            return
        if pins:
            limits = _intersect([(0.0, highest), *pins])
            if limits is None:
                return
            self._graph.tensors[target].pinned = limits
        producer.options["FusedActivationFunction"] = code
        self._write_instead(producer, op)

    def _fuse_limits(self, op: TfliteOp) -> None:
        """Makes limits the range of the tensor that they limit, if nothing else reads that."""
        source, target = op.inputs[0], op.outputs[0]
        producer = self._producers.get(source)
        free = source in self._inputs if producer is None else producer.op in _OWN_SCALE
        pins = [
            pin
            for reader in self._readers[source]
            if reader.op == "QUANTIZE" and (pin := self._pin(reader.outputs[0])) is not None
        ]
        if not free or source in self._outputs or len(pins) < len(self._readers[source]):
            return
        wanted, before = hull(pins), self._pin(source)
        limits = wanted if before is None else _intersect([before, wanted])
        if limits is None:
            return
        self._graph.tensors[source].pinned = limits
        if _intersect([limits, self._graph.tensors[target].pinned or limits]) != limits:
            return
        if producer is None:
            self._read_instead(op)
        else:
            self._graph.tensors[target].pinned = limits
            self._write_instead(producer, op)

    def _write_instead(self, producer: TfliteOp, op: TfliteOp) -> None:
        """Makes an operator write what another one makes of its result, and removes that."""
        source, target = op.inputs[0], op.outputs[0]
        producer.outputs = [target]
        self._producers[target] = producer
        others = [reader for reader in self._readers.pop(source) if reader is not op]
        self._replace_input(others, source, target)
        self._removed.add(id(op))

    def _read_instead(self, op: TfliteOp) -> None:
        """Makes the readers of an operator's result read its input, and removes it."""
        source, target = op.inputs[0], op.outputs[0]
        if target in self._outputs:
            return
        self._readers[source].remove(op)
        self._replace_input(self._readers.pop(target, []), target, source)
        self._removed.add(id(op))

    def _replace_input(self, readers: list[TfliteOp], old: str, new: str) -> None:
        for reader in readers:
            reader.inputs = [new if name == old else name for name in reader.inputs]
            known = self._readers.setdefault(new, [])
            if reader not in known:
                known.append(reader)


def _intersect(limits: list[Range]) -> Range | None:
    """The range within all of some, or None if there is none with numbers other than zero."""
    low, high = max(low for low, _ in limits), min(high for _, high in limits)
    return (low, high) if low < high else None
