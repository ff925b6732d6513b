"""Compares an int8 network with its float source: decibels per output, and the layer at fault.

Both are run on the same values, the source in onnxruntime and the result in LiteRT. Per output,
the decibels are ``10 log10(sum of squares of the source's values / sum of squares of the
differences)`` over all samples: the signal-to-noise ratio as it is defined for quantizers, in which
a bit is worth 6 dB (Bennett, "Spectra of quantized signals", 1948). Of integers and truth values
the share that differs counts as the noise, so that 20 dB are one value of a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Network
from npu_tune.network.onnx.model import open_onnx
from npu_tune.network.onnx.proto import graph_from_onnx, graph_to_onnx
from npu_tune.network.quantize.accuracy import ConversionCheck, Origin, OutputCheck
from npu_tune.network.quantize.blame import Source, find_worst_layer
from npu_tune.network.quantize.calibrate import Calibration, runs
from npu_tune.network.quantize.conversion import Conversion
from npu_tune.network.quantize.noise import Noise
from npu_tune.network.quantize.runtimes import (
    ConvertedNetwork,
    Feed,
    onnx_session,
    run_session,
)
from npu_tune.network.quantize.simplify import simplify

_FEWEST, _MOST = 4, 16
"""Runs per kind of inputs; calibration takes twice the most by default."""
_OUTPUT_BYTES = 32
"""Of each value of an output: both forms, and the real numbers that they are compared as."""
_ENOUGH_VALUES = 256
"""Of the smallest output, which a ratio is taken over."""


def check_conversion(
    network: Network,
    conversion: Conversion,
    *,
    calibration: Calibration | None = None,
    seed: int = 0,
) -> ConversionCheck:
    """Runs a network and its int8 form on seeded inputs, and on given ones where there are any.

    Args:
        network: the source, in ONNX format.
        conversion: the result.
        calibration: per input, the values given for the conversion with the samples along the
            first dimension; some of them, spread evenly, are taken. None for seeded values alone,
            from -1 to 1 as for calibration, but others.
        seed: of the random values; with given ones they are drawn from the range of these.

    Raises:
        ConversionError: if LiteRT cannot run the result.
        MissingExtraError: if a runtime is not installed.
    """
    outputs = sum(network.tensors[name].elements for name in network.outputs)
    ReadingBudget(network.name).take(_OUTPUT_BYTES * outputs, "comparing the outputs")
    source = _open_source(network)
    result = ConvertedNetwork(conversion)
    shapes = {name: network.tensors[name].shape for name in network.inputs}
    count = _number_of_runs(network)
    feeds: dict[Origin, list[Feed]] = {}
    if calibration is not None:
        feeds["given"] = _spread(shapes, calibration, count)
    feeds["seeded"] = _seeded(shapes, calibration, count=count, seed=seed)
    noise = {
        origin: [_noise(source, result, network.outputs, feed) for feed in values]
        for origin, values in feeds.items()
    }
    check = ConversionCheck(
        tuple(
            OutputCheck(output, origin, len(each), _total(each, output).decibels)
            for origin, each in noise.items()
            for output in network.outputs
        )
    )
    if check.passed:
        return check
    worst = check.worst
    _require_finite(source, worst, feeds[worst.inputs], network.name)
    errors = [run[worst.output].error for run in noise[worst.inputs]]
    loudest = sorted(range(len(errors)), key=lambda place: -errors[place])[:_FEWEST]
    layer = find_worst_layer(
        network,
        source,
        result,
        output=worst.output,
        feeds=[feeds[worst.inputs][place] for place in loudest],
    )
    return replace(check, worst_layer=layer)


def _noise(
    source: Source, result: ConvertedNetwork, outputs: Sequence[str], feed: Feed
) -> dict[str, Noise]:
    """Signal and noise of every output in one run."""
    wanted, have = run_session(source.session, outputs, feed), result.run(feed, outputs)
    return dict(zip(outputs, map(Noise.of, wanted, have), strict=True))


def _total(noise: Iterable[Mapping[str, Noise]], output: str) -> Noise:
    return sum((each[output] for each in noise), Noise())


def _open_source(network: Network) -> Source:
    """The source as it is, or in single precision where onnxruntime lacks its types."""
    model = open_onnx(network.model_bytes, name=network.name)
    try:
        return Source(model, onnx_session(model))
    except ModelError:
        graph = graph_from_onnx(model, budget=ReadingBudget(network.name))
        simplify(graph)
        names = [name for name in dict.fromkeys(graph.tensors()) if name not in graph.inputs]
        single = graph_to_onnx(graph, outputs=names)
        return Source(single, onnx_session(single))


def _require_finite(source: Source, output: OutputCheck, feeds: Iterable[Feed], name: str) -> None:
    for feed in feeds:
        if not np.isfinite(run_session(source.session, [output.output], feed)[0]).all():
            raise ModelError(
                f"The output {output.output!r} of {name!r} is not finite on {output.inputs} "
                "inputs, so that no int8 network can be compared with it.",
                remedy="Give inputs of the range the network was trained for (--calibration).",
            )


def _number_of_runs(network: Network) -> int:
    smallest = min(network.tensors[name].elements for name in network.outputs)
    return min(max(math.ceil(_ENOUGH_VALUES / max(smallest, 1)), _FEWEST), _MOST)


def _spread(
    shapes: Mapping[str, tuple[int, ...]], calibration: Calibration, count: int
) -> list[Feed]:
    """So many runs over the calibration data, spread evenly from the first to the last."""
    number = sum(1 for _ in runs(calibration, shapes))
    places = set(np.linspace(0, number - 1, min(count, number)).round().astype(int))
    return [feed for place, feed in enumerate(runs(calibration, shapes)) if place in places]


def _seeded(
    shapes: Mapping[str, tuple[int, ...]],
    calibration: Calibration | None,
    *,
    count: int,
    seed: int,
) -> list[Feed]:
    # A second word keeps the stream apart from that of the random calibration.
    generator = np.random.default_rng([seed, 1])
    limits = {
        name: (-1.0, 1.0)
        if calibration is None
        else (float(np.min(calibration[name])), float(np.max(calibration[name])))
        for name in shapes
    }
    return [
        {
            name: np.asarray(generator.uniform(*limits[name], shape), np.float32)
            for name, shape in shapes.items()
        }
        for _ in range(count)
    ]
