"""A TFLite graph before its tensors are quantized."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from npu_tune.network.onnx.graph import Array

Role = Literal["activation", "constant", "weights", "bias", "index"]


@dataclass
class TfliteTensor:
    """A tensor that will be int8, or int32 for biases and indices.

    Args:
        name: unique in the graph.
        shape: in TFLite's order.
        role: determines how it is quantized.
        source: of activations, the ONNX tensor whose range of values it has.
        data: the real (or integer) values; None for activations.
        channel_axis: of weights, the dimension with a scale per slice.
        pinned: (lowest, highest) value to which saturation limits it; None for no limits.
    """

    name: str
    shape: tuple[int, ...]
    role: Role = "activation"
    source: str = ""
    data: Array | None = None
    channel_axis: int = 0
    pinned: tuple[float, float] | None = None


@dataclass
class TfliteOp:
    """A TFLite operator.

    Args:
        op: the operator's name in the schema.
        inputs: names of tensors.
        outputs: names of tensors.
        options: by the names of the schema (``StrideW``).
        channel_order: per input channel of the weights, the channel of the input's ONNX tensor;
            None if they are the same.
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    channel_order: list[int] | None = None


@dataclass
class TfliteGraph:
    """Operators in execution order, and every tensor they name."""

    ops: list[TfliteOp] = field(default_factory=list)
    tensors: dict[str, TfliteTensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def readers(self, name: str) -> list[TfliteOp]:
        return [op for op in self.ops if name in op.inputs]
