"""A mutable graph of ONNX operators, for passes that rewrite it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.budget import ReadingBudget

Array = NDArray[Any]


@dataclass
class OnnxNode:
    """One ONNX operator; the names of optional inputs and outputs that are absent are "".

    Behind the inputs of an If, Loop or Scan come the tensors that its bodies read from outside.
    """

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.outputs[0]

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The value of an attribute that is a list of integers."""
        return tuple(int(value) for value in self.attributes.get(name, default))

    def __str__(self) -> str:
        label = self.name or next(filter(None, self.outputs), "")
        return f"node {label!r} ({self.op})"


@dataclass
class OnnxGraph:
    """Operators in execution order, with constants and the static shape of every tensor.

    Args:
        nodes: in execution order.
        constants: values of the constant tensors, by name; real numbers as float32.
        shapes: of every tensor, by name.
        inputs: names of the run-time inputs.
        outputs: names of the outputs.
        opset: version of the ONNX operator set.
        ranges: (lowest, highest) value of tensors that the file's own quantizers limit.
        types: ONNX's element types of the tensors that the file says hold no real numbers.
        budget: that the graph is made and rewritten under.
    """

    nodes: list[OnnxNode]
    constants: dict[str, Array]
    shapes: dict[str, tuple[int, ...]]
    inputs: list[str]
    outputs: list[str]
    opset: int
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    budget: ReadingBudget = field(default_factory=lambda: ReadingBudget("the network"))

    def consumers(self, name: str) -> list[OnnxNode]:
        self.budget.check_time()
        return [node for node in self.nodes if name in node.inputs]

    def producer(self, name: str) -> OnnxNode | None:
        self.budget.check_time()
        return next((node for node in self.nodes if name in node.outputs), None)

    def only_consumer(self, name: str) -> OnnxNode | None:
        """The only reader of a tensor; None if there are more, or the tensor is an output."""
        readers = self.consumers(name)
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def constant(self, node: OnnxNode, position: int) -> Array | None:
        """The value of a node's input; None if it is absent or computed at run time."""
        if position >= len(node.inputs):
            return None
        return self.constants.get(node.inputs[position])

    def add_constant(self, base: str, value: Array) -> str:
        """Adds a constant under a new name made from ``base``, and returns the name."""
        name = self.new_name(base)
        self.constants[name] = value
        self.shapes[name] = value.shape
        return name

    def new_name(self, base: str) -> str:
        """An unused tensor name: ``base``, or with ``#2``, ``#3``, ... behind it."""
        count, name = 1, base
        while name in self.shapes:
            count += 1
            name = f"{base}#{count}"
        return name

    def replace_input(self, old: str, new: str) -> None:
        """Makes all readers of the tensor ``old`` read ``new``."""
        self.budget.check_time()
        for node in self.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]

    def run_time_inputs(self, node: OnnxNode) -> list[str]:
        return [name for name in node.inputs if name and name not in self.constants]

    def remove_unused(self) -> None:
        """Removes nodes and constants that no output depends on."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(name for name in node.inputs if name)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}

    def tensors(self) -> Iterator[str]:
        """Names of all run-time tensors, inputs first, in execution order."""
        yield from self.inputs
        for node in self.nodes:
            yield from (name for name in node.outputs if name)

    def size(self, name: str) -> int:
        return math.prod(self.shapes[name])


def as_float32(values: Any) -> NDArray[np.float32]:
    """Converts values to a float32 array."""
    return np.asarray(values, dtype=np.float32)


def float32_if_floating(value: Array) -> Array:
    """Converts an array of floating-point numbers to float32; returns others unchanged."""
    # The short types that NumPy lacks, bfloat16 and those of 8 and 4 bits, are no np.floating.
    return as_float32(value) if "float" in value.dtype.name else value
