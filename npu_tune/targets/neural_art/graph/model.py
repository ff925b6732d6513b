"""A network as the accelerator's units see it: feature maps and the operations between them."""

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
    """Element by element on two feature maps, or on one and a constant that could not be folded;
    the smaller input may be broadcast."""
    ACTIVATION = "activation"
    """A function of one element that could not be fused into the operation before it."""
    COPY = "copy"
    """Moves elements: concatenation, slices, padding, nearest resize, transposition, shuffle."""
    SOFTWARE = "software"
    """Runs on the CPU."""


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A value that flows between operations; the batch is one.

    Args:
        name: of the tensor in the model file.
        channels: a plain vector is all channels, with one row and one column.
        height: rows.
        width: columns.
        bits: per element: 8 for everything that is or will be int8, 16 or 32 where the file
            states a wider integer.
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
        elements: how many weights, biases left out.
        bias_channels: how many biases; 0 where there are none.
        entropy_bits: Shannon entropy of one weight once it is int8 (per output channel
            symmetric, as converters do it), in bits; the bound for lossless compression.
    """

    elements: int
    bias_channels: int
    entropy_bits: float = 8.0


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation after folding and fusing; what an epoch is made of.

    Args:
        name: of the layer in the network file that it came from (of several fused ones, the one
            that computes: the convolution, not its activation).
        op: the file's own operator name, for people.
        kind: which unit computes it.
        inputs: feature maps it reads; constants are not listed.
        output: the feature map it writes.
        macs: multiply-accumulates; 0 for all but convolutions.
        groups: of a convolution.
        kernel: rows and columns of a convolution or a pool.
        stride: of the same.
        dilation: of the same.
        weights: constants, None where there are none.
        activation: "" where none is fused, "relu" for clipping ones, which are free, "lut" for
            those that need the activation unit (sigmoid, swish, ...).
        global_pool: True for a pool over the whole map.
        software_reason: why it runs on the CPU; "" where it does not.
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


@dataclass(frozen=True)
class OperationGraph:
    """Operations in execution order and the feature maps between them.

    Views (reshape, flatten, squeeze, identity) are gone: whoever read one reads its source.

    Args:
        name: of the network.
        operations: each reads maps that are inputs or written by an earlier one.
        maps: by name; every map that an operation, an input or an output names.
        inputs: of the network, those that some operation reads.
        outputs: of the network, views resolved.
        notes: what was folded away or approximated, for people.
    """

    name: str
    operations: tuple[Operation, ...]
    maps: Mapping[str, FeatureMap] = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def readers(self) -> Mapping[str, tuple[int, ...]]:
        """Positions of the operations that read a map, by its name."""
        found: dict[str, list[int]] = {name: [] for name in self.maps}
        for position, operation in enumerate(self.operations):
            for name in dict.fromkeys(operation.inputs):
                found[name].append(position)
        return {name: tuple(positions) for name, positions in found.items()}

    @cached_property
    def is_chain(self) -> bool:
        """True where every operation reads just what the one before it wrote."""
        operations = self.operations
        return all(
            operation.inputs == ((operations[i - 1].output,) if i else self.inputs[:1])
            for i, operation in enumerate(operations)
        )
