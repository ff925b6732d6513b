"""Reads TFLite files (FlatBuffers, schema 3) into networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Layer, Network, Tensor, printable_names
from npu_tune.network.tflite.compiled import require_not_compiled
from npu_tune.network.tflite.damage import DAMAGE, DamagedError, Entries
from npu_tune.network.tflite.graphs import operators_of, other_graphs
from npu_tune.network.tflite.operands import check_operands
from npu_tune.network.tflite.options import operator_attributes, operator_name
from npu_tune.network.tflite.tensors import TensorReader

IDENTIFIER = b"TFL3"
"""The four bytes at offset 4 of every TFLite file."""


def read_tflite(model_bytes: bytes, *, name: str, budget: ReadingBudget | None = None) -> Network:
    """Reads the first graph of a TFLite file.

    What is read is checked here, so that whoever gets the network may rely on it: every index
    names something, constants have as many bytes as their shapes ask for, every tensor that a
    layer reads is there before the layer runs, and operators have the operands they need.

    Args:
        model_bytes: content of the file.
        name: of the network.
        budget: of the file; one of its own if None.

    Raises:
        ModelError: if the file is damaged, compiled already or too large, has no operators, or
            has shapes that are unknown before run time.
    """
    import tflite  # noqa: PLC0415 - heavy, and needed here only

    if len(model_bytes) < 8 or model_bytes[4:8] != IDENTIFIER:
        raise ModelError(
            f"{name!r} is not a TFLite file.", remedy="Give a .tflite file that LiteRT can open."
        )
    entries = Entries(len(model_bytes), budget or ReadingBudget(name))
    try:
        return _read(tflite.Model.GetRootAs(model_bytes, 0), model_bytes, name, entries)
    except ModelError:
        raise
    except (DamagedError, *DAMAGE) as error:
        raise ModelError(
            f"The TFLite file of {name!r} is damaged ({error}).",
            remedy="Copy or convert it again.",
        ) from error


def _read(model: Any, model_bytes: bytes, name: str, entries: Entries) -> Network:
    graphs = entries.tables(model.SubgraphsLength(), model.Subgraphs, "the list of graphs")
    if not graphs:
        raise DamagedError("it has no graph")
    codes = [
        operator_name(code, entries)
        for code in entries.tables(
            model.OperatorCodesLength(), model.OperatorCodes, "the list of operator codes"
        )
    ]
    require_not_compiled(codes, name)
    graph = _GraphReader(graphs[0], codes, entries)
    layers = graph.layers()
    if not layers:
        raise ModelError(f"The network {name!r} has no operators.", remedy="Give a whole network.")
    inputs, outputs = graph.ends("Inputs"), graph.ends("Outputs")
    used = dict.fromkeys((*inputs, *outputs))
    used |= dict.fromkeys(x for layer in layers for x in (*layer.inputs, *layer.outputs) if x)
    reader = TensorReader(model, model_bytes, entries)
    tensors = {tensor: reader.read(graph.tables[tensor], tensor) for tensor in used}
    for tensor, table in graph.tables.items():
        if tensor not in used:
            reader.pass_over(table, tensor)
    made = {tensor for layer in layers for tensor in layer.outputs if tensor}
    tensors |= _empty_constants(tensors, made.union(inputs))
    state = _state(graph, layers, tensors, inputs, outputs)
    for layer in layers:
        check_operands(layer, tensors)
    return Network(
        name=name,
        format="tflite",
        layers=layers,
        tensors=MappingProxyType(tensors),
        inputs=inputs,
        outputs=outputs,
        model_bytes=model_bytes,
        state=state,
        other_graphs=other_graphs(graphs, entries),
    )


class _GraphReader:
    """Reads the operators of one graph.

    Args:
        graph: the table of the file.
        codes: names of the operators that the file uses.
        entries: counts what is read.
    """

    def __init__(self, graph: Any, codes: list[str], entries: Entries) -> None:
        self._graph, self._codes, self._entries = graph, codes, entries
        tables = entries.tables(graph.TensorsLength(), graph.Tensors, "the list of tensors")
        self._names = _unique_names(
            [entries.text(tensor.Name(), "the name of a tensor") for tensor in tables]
        )
        self.tables = dict(zip(self._names, tables, strict=True))

    def ends(self, which: str) -> tuple[str, ...]:
        """Names of the graph's ``Inputs`` or ``Outputs``."""
        names = self._tensors(self._graph, which)
        if not all(names):
            raise DamagedError("the graph names an input or output that is not there")
        return names

    def layers(self) -> tuple[Layer, ...]:
        """The operators, in the file's order."""
        self._entries.budget.check_layers(self._graph.OperatorsLength())
        operators = operators_of(self._graph, self._entries)
        ops = [self._codes[operator.OpcodeIndex()] for operator in operators]
        outputs = [self._tensors(operator, "Outputs") for operator in operators]
        names = printable_names(
            produced[0] if produced and produced[0] else op
            for produced, op in zip(outputs, ops, strict=True)
        )
        return tuple(
            Layer(
                name=name,
                op=op,
                inputs=self._tensors(operator, "Inputs"),
                outputs=produced,
                attributes=operator_attributes(operator, self._entries),
            )
            for operator, op, produced, name in zip(operators, ops, outputs, names, strict=True)
        )

    def _tensors(self, table: Any, field: str) -> tuple[str, ...]:
        """Names of the tensors that a field of a table lists; "" for none."""
        length, get = getattr(table, f"{field}Length")(), getattr(table, f"{field}AsNumpy")
        indices = self._entries.numbers(length, get, "a list of tensors")
        if any(index >= len(self._names) or index < -1 for index in indices):
            raise DamagedError("an operator names a tensor that is not there")
        return tuple(self._names[index] if index >= 0 else "" for index in indices)


def _unique_names(raw: list[str]) -> list[str]:
    """Appends the index to tensor names that are empty or repeated."""
    taken: set[str] = set()
    result = []
    for index, raw_name in enumerate(raw):
        name = raw_name if raw_name and raw_name not in taken else f"{raw_name}#{index}"
        taken.add(name)
        result.append(name)
    return result


def _empty_constants(tensors: Mapping[str, Tensor], made: Iterable[str]) -> dict[str, Tensor]:
    """Values of the constants without elements, such as the sizes of a scalar.

    Raises:
        ModelError: if any other tensor has no elements.
    """
    found = {}
    for name, tensor in tensors.items():
        if 0 not in tensor.shape:
            continue
        if tensor.shape != (0,) or name in made:
            raise ModelError(
                f"The tensor {name!r} has no elements: its shape is {tensor.shape}.",
                remedy="Convert the network with a fixed, positive shape for every input.",
                tensor=name,
            )
        empty = np.zeros(0, np.int32)
        found[name] = Tensor(name, tensor.shape, tensor.dtype, data=empty)
    return found


def _state(
    graph: _GraphReader,
    layers: tuple[Layer, ...],
    tensors: Mapping[str, Tensor],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> tuple[str, ...]:
    """The tensors that keep their values between inferences, such as a recurrent layer's.

    Raises:
        ModelError: if a layer reads a tensor that is nothing and that nothing makes.
        DamagedError: if a tensor is made twice, or after it is read.
    """
    there = {name for name, tensor in tensors.items() if tensor.is_constant}.union(inputs)
    made = {name for layer in layers for name in layer.outputs if name}
    state: dict[str, None] = {}
    ends = Layer("the network itself", "", outputs, ())
    for layer in (*layers, ends):
        for name in layer.inputs:
            if not name or name in there:
                continue
            if name in made:
                raise DamagedError(f"the operator {layer.name!r} reads {name!r} before it is made")
            if not graph.tables[name].IsVariable():
                reader = f"is read by {layer.name!r}" if layer.op else "is an output"
                raise ModelError(
                    f"The tensor {name!r} {reader}, and nothing in the file makes it: it is no "
                    "input, no constant, no state and no output of an operator.",
                    remedy="Convert the network again.",
                    tensor=name,
                )
            there.add(name)
            state[name] = None
        for name in filter(None, layer.outputs):
            if name in there:
                raise DamagedError(f"the operator {layer.name!r} writes {name!r}, which is there")
            there.add(name)
    return tuple(state)
