"""What the deployed files compute, as far as this machine can run them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tflite
from float_onnx import OUTPUT, onnx_logits
from numpy.typing import NDArray
from recordings import INPUT, Recordings

from npu_tune.network.quantize import Conversion
from npu_tune.network.quantize.runtimes import ConvertedNetwork

Decisions = NDArray[np.int64]


def int8_decisions(conversion: Conversion, given: Recordings) -> Decisions:
    """What the int8 TFLite file says of recordings, by LiteRT's own kernels."""
    network = ConvertedNetwork(conversion)
    outputs = [network.run({INPUT: image[None]}, [OUTPUT])[0] for image in given.images]
    return np.concatenate(outputs).argmax(axis=1)


def onnx_decisions(model: Path, given: Recordings, optimization: str = "all") -> Decisions:
    """What an exported ONNX file says of recordings, at a level of optimisation of onnxruntime."""
    return onnx_logits(onnx.load(model), given.images, optimization).argmax(axis=1)


def accuracy(decisions: Decisions, given: Recordings) -> float:
    """Share of recordings that are recognised."""
    return float(np.mean(decisions == given.labels))


def interfaces(content: bytes) -> list[tuple[tuple[int, ...], int, float, int]]:
    """Shape, type, scale and zero point of every input and output of a TFLite file."""
    model = tflite.Model.GetRootAsModel(content, 0)
    graph = model.Subgraphs(0)
    ends = [*graph.InputsAsNumpy(), *graph.OutputsAsNumpy()]
    found = []
    for tensor in map(graph.Tensors, ends):
        codes = tensor.Quantization()
        shape = tuple(int(each) for each in tensor.ShapeAsNumpy())
        found.append((shape, tensor.Type(), float(codes.Scale(0)), int(codes.ZeroPoint(0))))
    return found
