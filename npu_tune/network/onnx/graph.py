"""A small graph of ONNX operators that passes may change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass
class OnnxNode:
    """One ONNX operator."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.outputs[0]

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        return tuple(int(value) for value in self.attributes.get(name, default))

    def __str__(self) -> str:
        return f"node {self.name or self.output!r} ({self.op})"


@dataclass
class OnnxGraph:
    """Operators in execution order, with constants and the static shape of every tensor.

    Args:
        nodes: in an order in which they can be executed.
        constants: values known before run time; real ones are float32.
        shapes: of every tensor.
        inputs: names of the run-time inputs.
        outputs: names of the outputs.
        opset: the version of the ONNX operators.
        ranges: smallest and largest value of tensors that the file itself states.
    """

    nodes: list[OnnxNode]
    constants: dict[str, Array]
    shapes: dict[str, tuple[int, ...]]
    inputs: list[str]
    outputs: list[str]
    opset: int
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def consumers(self, name: str) -> list[OnnxNode]:
        return [node for node in self.nodes if name in node.inputs]

    def producer(self, name: str) -> OnnxNode | None:
        return next((node for node in self.nodes if name in node.outputs), None)

    def only_consumer(self, name: str) -> OnnxNode | None:
        """The one node that reads a tensor; None if several do, or the world outside does."""
        readers = self.consumers(name)
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def constant(self, node: OnnxNode, position: int) -> Array | None:
        """The value of an input of a node where it is known; None where absent or run time."""
        if position >= len(node.inputs):
            return None
        return self.constants.get(node.inputs[position])

    def add_constant(self, base: str, value: Array) -> str:
        """Stores a value under a new name made from ``base``."""
        name = self.new_name(base)
        self.constants[name] = value
        self.shapes[name] = value.shape
        return name

    def new_name(self, base: str) -> str:
        """A tensor name that nothing has yet."""
        count, name = 1, base
        while name in self.shapes:
            count += 1
            name = f"{base}#{count}"
        return name

    def replace_input(self, old: str, new: str) -> None:
        """Lets everything that reads ``old`` read ``new``."""
        for node in self.nodes:
            node.inputs = [new if name == old else name for name in node.inputs]

    def run_time_inputs(self, node: OnnxNode) -> list[str]:
        return [name for name in node.inputs if name and name not in self.constants]

    def remove_unused(self) -> None:
        """Drops nodes and constants that nothing reads."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                kept.append(node)
                needed.update(name for name in node.inputs if name)
        self.nodes = kept[::-1]
        self.constants = {name: value for name, value in self.constants.items() if name in needed}

    def tensors(self) -> Iterator[str]:
        """Every run-time tensor, inputs first, in execution order."""
        yield from self.inputs
        for node in self.nodes:
            yield from (name for name in node.outputs if name)

    def size(self, name: str) -> int:
        return math.prod(self.shapes[name])


def as_float32(values: Any) -> NDArray[np.float32]:
    """Values as a float32 array."""
    return np.asarray(values, dtype=np.float32)
