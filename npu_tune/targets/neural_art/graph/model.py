"""The graph that is compiled: feature maps and the operations between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class OperationKind(StrEnum):
    """Which kind of unit computes an operation."""

    CONVOLUTION = "convolution"
    """Dense, grouped and fully connected ones too; depthwise where groups = input channels."""
    POOL = "pool"
    """Maxima or means of windows, global ones included."""
    ARITHMETIC = "arithmetic"
    """Element-wise on two feature maps, or on one and a constant that could not be folded; the
    smaller input may be broadcast."""
    ACTIVATION = "activation"
    """An element-wise function that could not be fused into the operation before it."""
    COPY = "copy"
    """Moves data: concatenation, slice, padding, nearest resize, transposition, shuffle."""
    SOFTWARE = "software"
    """Runs on the CPU."""


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A value that flows between operations.

    Args:
        name: of the tensor in the model file.
        channels: a vector has all its elements here, with one row and one column.
        height: rows, of all samples of a batch together.
        width: columns.
        bits: per element: 8 for int8 and for real numbers, which become int8; 16 or 32 for
            wider integers in the file.
    """

    name: str
    channels: int
    height: int
    width: int
    bits: int = 8

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width

    @property
    def size_bytes(self) -> int:
        return -(-self.elements * self.bits // 8)


@dataclass(frozen=True, slots=True)
class Weights:
    """The constants of an operation.

    Args:
        elements: number of weights, without biases.
        bias_channels: number of biases; 0 for none.
        entropy_bits: Shannon entropy of one int8 weight (quantized symmetrically per output
            channel, as converters do), or of one integer as the file has it, in bits; the bound
            for lossless compression.
        bits: that the file spends on a weight: 8 for int8 and for real numbers, which become
            int8.
    """

    elements: int
    bias_channels: int
    entropy_bits: float = 8.0
    bits: int = 8


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation after folding and fusing; an epoch runs one or more of these.

    Args:
        name: of the layer in the model file (of several fused layers, of the main one: the
            convolution, not its activation).
        op: the file format's operator name, for reports.
        kind: which unit computes it.
        inputs: names of the feature maps it reads, without constants.
        output: name of the feature map it writes.
        macs: multiply-accumulates, of convolutions and of what the CPU multiplies.
        groups: of a convolution.
        kernel: rows and columns of a convolution or a pool.
        stride: along rows and columns.
        dilation: along rows and columns.
        weights: its constants; None for none.
        activation: that is fused: "" for none, "relu" for one that clips, which is free, "lut"
            for one that needs the activation unit (sigmoid, swish, ...).
        global_pool: True for a pool over the whole map.
        software_reason: why it runs on the CPU; "" if it does not.
        in_float: True if the CPU computes it with 32-bit floats, of which it holds one for each
            element of the result, and expands every operand to the size of the result.
        further_outputs: names of the other feature maps that it writes; software alone has any.
        constant_bytes: of flash for the constants that software reads.
    """

    name: str
    op: str
    kind: OperationKind
    inputs: tuple[str, ...]
    output: str
    macs: int = 0
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    weights: Weights | None = None
    activation: str = ""
    global_pool: bool = False
    software_reason: str = ""
    in_float: bool = False
    further_outputs: tuple[str, ...] = ()
    constant_bytes: int = 0

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all feature maps that it writes."""
        return (self.output, *self.further_outputs)


@dataclass(frozen=True)
class OperationGraph:
    """Operations in execution order and the feature maps between them.

    Views (reshape, flatten, squeeze, identity) are resolved: their readers read their source.
    State that stays from one inference to the next is both an input and an output: it is in
    memory from the start to the end, and operations that change it read and write it in place.

    Args:
        name: of the network.
        operations: in execution order.
        maps: every map that is an input, an output or named by an operation, by name.
        inputs: names of the network inputs that some operation reads.
        outputs: names of the network outputs.
        notes: one sentence per kind of thing that was folded away or approximated.
        batch: samples of one inference, which are counted as rows of the maps.
    """

    name: str
    operations: tuple[Operation, ...]
    maps: Mapping[str, FeatureMap] = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    batch: int = 1

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """Positions of the operations that read each map, by the map's name."""
        found: dict[str, list[int]] = {name: [] for name in self.maps}
        for position, operation in enumerate(self.operations):
            for name in dict.fromkeys(operation.inputs):
                found[name].append(position)
        return {name: tuple(positions) for name, positions in found.items()}

    @cached_property
    def last_use(self) -> Mapping[str, int]:
        """Position of the last operation that reads each map, by the map's name.

        That of an output of the network is behind the last operation, that of what nothing reads
        before the first.
        """
        end = len(self.operations)
        return {
            name: end if name in self.outputs else (positions[-1] if positions else -1)
            for name, positions in self.readers.items()
        }

    @cached_property
    def is_chain(self) -> bool:
        """True if every operation reads just the output of the one before it."""
        operations = self.operations
        return all(
            operation.inputs == ((operations[i - 1].output,) if i else self.inputs[:1])
            for i, operation in enumerate(operations)
        )
