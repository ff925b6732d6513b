"""Post-training quantization: a float ONNX network becomes an int8 TFLite file."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Network
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.model import open_onnx
from npu_tune.network.onnx.proto import graph_from_onnx
from npu_tune.network.quantize.accuracy import require_accurate
from npu_tune.network.quantize.assign import quantize_graph
from npu_tune.network.quantize.calibrate import (
    Calibration,
    check_calibration,
    observe,
    random_calibration,
)
from npu_tune.network.quantize.check import check_conversion
from npu_tune.network.quantize.conversion import Conversion, StoredTensor
from npu_tune.network.quantize.equalize import equalize
from npu_tune.network.quantize.layout import Permutation
from npu_tune.network.quantize.lower import check_operators, lower
from npu_tune.network.quantize.ranges import choose_ranges, cover
from npu_tune.network.quantize.runtimes import require_litert
from npu_tune.network.quantize.simplify import simplify
from npu_tune.network.quantize.write import write_tflite
from npu_tune.network.read import network_from_bytes, read_network

_LOG = logging.getLogger(__name__)


def to_int8(
    network: Network,
    *,
    calibration: Calibration | None = None,
    samples: int = 32,
    seed: int = 0,
    check: bool = True,
) -> Network:
    """Quantizes an ONNX network to int8 TFLite, see :func:`convert`; returns others unchanged.

    What the check found is logged.

    Args:
        network: in any format.
        calibration: per input, typical values with the samples along the first dimension; None
            for seeded random values, with a warning.
        samples: number of random samples where there is no calibration.
        seed: of the random samples.
        check: whether source and result are compared.

    Raises:
        ModelError: if the calibration does not match the network.
        UnsupportedOperatorError: if an operator has no int8 TFLite form; names the node.
        ConversionError: if the result is too far from the source; names the layer at fault.
        MissingExtraError: if onnxruntime, or LiteRT for the check, is not installed.
    """
    if network.format != "onnx":
        return network
    conversion = convert(network, calibration=calibration, samples=samples, seed=seed, check=check)
    if conversion.check is not None:
        _LOG.info("The int8 form of %r keeps %s.", network.name, conversion.check)
    return network_from_bytes(conversion.model_bytes, "tflite", network.name)


def quantize_to_tflite(
    network_or_path: Network | str | os.PathLike[str],
    *,
    calibration: Calibration | None = None,
    samples: int = 32,
    seed: int = 0,
    check: bool = True,
) -> bytes:
    """Quantizes a float ONNX network to the content of an int8 TFLite file; see :func:`convert`."""
    return convert(
        network_or_path, calibration=calibration, samples=samples, seed=seed, check=check
    ).model_bytes


def convert(
    network_or_path: Network | str | os.PathLike[str],
    *,
    calibration: Calibration | None = None,
    samples: int = 32,
    seed: int = 0,
    check: bool = True,
) -> Conversion:
    """Quantizes a float ONNX network after training and writes it as full-int8 TFLite.

    Weights are symmetric with a scale per output channel, biases int32, and activations
    asymmetric with the range of the calibration data. Feature maps are stored channels last,
    inputs and outputs included. The same arguments give the same bytes.

    Of a network with QuantizeLinear-DequantizeLinear pairs, the ranges of per-tensor quantizers
    are kept and the weights are quantized anew.

    Source and result are run and compared (see :mod:`.check`), which takes a fraction of the
    calibration's time.

    Args:
        network_or_path: a network in ONNX format, or its file.
        calibration: per input, typical values with the samples along the first dimension; None
            for seeded random values, with a warning.
        samples: number of random samples where there is no calibration.
        seed: of the random samples, and of those of the check.
        check: whether source and result are compared.

    Raises:
        ModelError: if the network is not ONNX, or the calibration does not fit it.
        UnsupportedOperatorError: if an operator has no int8 TFLite form; names the node.
        ConversionError: if the result is too far from the source; names the layer at fault.
        MissingExtraError: if onnxruntime, or LiteRT for the check, is not installed.
    """
    if check:
        require_litert()
    network = (
        network_or_path if isinstance(network_or_path, Network) else read_network(network_or_path)
    )
    if network.format != "onnx":
        raise ModelError(
            f"The network {network.name!r} is {network.format}, not ONNX, and stays as it is.",
            remedy="Give the float ONNX file of the network to quantize it.",
        )
    if samples < 1:
        raise ModelError(f"{samples} random samples are too few.", remedy="Ask for at least one.")
    budget = ReadingBudget(network.name)
    model = open_onnx(network.model_bytes, name=network.name, budget=budget)
    graph = graph_from_onnx(model, budget=budget)
    simplify(graph)
    check_operators(graph)
    _check_ends(network, graph)
    shapes = {name: graph.shapes[name] for name in graph.inputs}
    inputs: Calibration
    if calibration is None:
        inputs = random_calibration(shapes, samples=samples, seed=seed)
    else:
        check_calibration(calibration, shapes)
        inputs = calibration
    conversion = _quantize(graph, inputs, network.name)
    if not check:
        return conversion
    found = check_conversion(network, conversion, calibration=calibration, seed=seed)
    require_accurate(found, network.name)
    return replace(conversion, check=found)


def _quantize(graph: OnnxGraph, inputs: Calibration, name: str) -> Conversion:
    """Quantizes a simplified graph by what it computes from typical inputs."""
    seen = observe(graph, inputs)
    # Observing takes as long as there are samples, and what is done from here on is not reading.
    graph.budget = ReadingBudget(name)
    for tensor, statistics in seen.items():
        if not (np.isfinite(statistics.low) and np.isfinite(statistics.high)):
            raise ModelError(
                f"The tensor {tensor!r} of {name!r} is not finite on the calibration data.",
                remedy="Give calibration data of the range the network was trained for.",
            )
    equalized = equalize(graph, seen)
    seen = equalized.statistics
    lowered = lower(
        graph,
        {
            name: cover((each.low, each.high), graph.ranges.get(name))
            for name, each in seen.items()
        },
    )
    tensors = quantize_graph(
        lowered.graph,
        choose_ranges(seen, graph.ranges),
        {name: each.means for name, each in seen.items()},
    )
    model_bytes = write_tflite(
        tensors, lowered.graph.ops, lowered.graph.inputs, lowered.graph.outputs
    )
    return Conversion(
        model_bytes,
        inputs=_ends(graph.inputs, lowered.graph.inputs, lowered.input_permutations),
        outputs=_ends(graph.outputs, lowered.graph.outputs, lowered.output_permutations),
        tensors=tuple(
            StoredTensor(name, stored, order, equalized.factors.get(name))
            for name, (stored, order) in lowered.stored.items()
        ),
    )


def _ends(
    names: list[str], stored: list[str], permutations: tuple[Permutation, ...]
) -> tuple[StoredTensor, ...]:
    return tuple(map(StoredTensor, names, stored, permutations))


def _check_ends(network: Network, graph: OnnxGraph) -> None:
    """Refuses networks with integer or empty inputs, or constant outputs."""
    for name in graph.inputs:
        if 0 in graph.shapes[name]:
            raise ModelError(
                f"The input {name!r} of {network.name!r} has no elements: its shape is "
                f"{graph.shapes[name]}.",
                remedy="Export the network without that input.",
                tensor=name,
            )
        dtype = network.tensors[name].dtype
        if not dtype.startswith(("float", "bfloat")):
            raise ModelError(
                f"The input {name!r} of {network.name!r} is {dtype}, not floating point.",
                remedy="Export the network with floating-point inputs.",
                tensor=name,
            )
    for name in graph.outputs:
        if name in graph.constants:
            raise ModelError(
                f"The output {name!r} of {network.name!r} does not depend on any input.",
                remedy="Export the network without that output.",
                tensor=name,
            )
