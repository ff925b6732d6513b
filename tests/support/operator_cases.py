"""Small networks of one or some operators, in ONNX's text form."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from two_runtimes import onnx_model


@dataclass(frozen=True)
class OperatorCase:
    """A network with random weights of the given shapes, and constants."""

    body: str
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[str, object] = field(default_factory=dict)
    opset: int = 13

    def model(self) -> onnx.ModelProto:
        generator = np.random.default_rng(7)
        values = {
            label: (generator.normal(0.0, 1.0, shape) / max(np.prod(shape[1:]), 1) ** 0.5).astype(
                np.float32
            )
            for label, shape in self.weights.items()
        }
        values |= {label: np.asarray(value) for label, value in self.constants.items()}
        return onnx_model(self.body, values, opset=self.opset)


def on_map(nodes: str, shape: str = "1,8,12,10") -> str:
    """The text of a network from the input ``x`` to the output ``y``."""
    return f"(float[{shape}] x) => (float y) {{ {nodes} }}"
