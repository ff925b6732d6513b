"""Networks that are rewritten, and whether the result is what it should be."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization
from two_runtimes import onnx_model, onnx_network, uniform_inputs

from npu_tune.network.rewrite import (
    Agreement,
    LayerSplit,
    RewritePlan,
    StripedSegment,
    compare_models,
    rewrite_model,
)


class Weights(dict):
    """Seeded constants of a network in text form, by name."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        generator = np.random.default_rng(3)
        super().__init__(
            {
                name: generator.normal(0.0, 0.4, shape).astype(np.float32)
                for name, shape in shapes.items()
            }
        )


def model_of(body: str, weights=None, *, opset: int = 13, **shapes: tuple[int, ...]):
    """A network in text form with seeded weights of some shapes, and others by value."""
    return onnx_model(body, Weights(**shapes) | (weights or {}), opset=opset)


def stripes(*layers: str, count: int = 3) -> RewritePlan:
    return RewritePlan(segments=(StripedSegment(layers, count),))


def split(layer: str, over: str, parts: int = 2) -> RewritePlan:
    return RewritePlan(splits=(LayerSplit(layer, over, parts),))


def rewritten(
    model: onnx.ModelProto, plan: RewritePlan, *, exactly: bool = False
) -> onnx.ModelProto:
    """Rewrites a model and checks that the result is well formed and computes the same."""
    before = model.SerializeToString(deterministic=True)
    result = rewrite_model(model, plan)
    assert model.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(result, full_check=True)
    names = [node.name for node in result.graph.node if node.name]
    assert len(set(names)) == len(names)
    onnx_network(result)  # it can be read
    agreement: Agreement = compare_models(model, result, samples=2)
    assert agreement.identical or not exactly, str(agreement)
    return result


def operators(model: onnx.ModelProto, *ops: str) -> list[str]:
    """The names of the nodes that are one of some operators."""
    return [node.name for node in model.graph.node if node.op_type in ops]


class _Samples:
    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def quantized(
    model: onnx.ModelProto, folder: Path, *, codes: str = "QInt8", per_channel: bool = True
) -> onnx.ModelProto:
    """A float model with quantizers, as onnxruntime writes them; nodes get names."""
    for node in model.graph.node:
        node.name = node.name or node.output[0]
    network = onnx_network(model)
    feeds = [uniform_inputs(network, samples=1, seed=seed) for seed in range(4)]
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(model, source)
    logger = logging.getLogger()
    logger.disabled, before = True, logger.disabled
    try:
        quantization.quantize_static(
            source,
            target,
            _Samples(feeds),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=per_channel,
            activation_type=quantization.QuantType[codes],
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        logger.disabled = before
    return onnx.load(target)
