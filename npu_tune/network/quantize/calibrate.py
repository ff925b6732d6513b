"""Calibration: the ranges and means of all tensors on typical inputs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import ModelError, NpuTuneWarning
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.proto import graph_to_onnx
from npu_tune.network.quantize.runtimes import onnx_session, run_session

_ARRAYS_REMEDY = (
    "Give one array per input: samples along the first dimension, then the input's shape."
)

Calibration = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Statistics:
    """Statistics of each channel of a tensor; channels are the second dimension.

    Args:
        lows: smallest value per channel.
        highs: largest value per channel.
        means: mean per channel.
    """

    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    means: NDArray[np.float64]

    @property
    def low(self) -> float:
        return float(self.lows.min())

    @property
    def high(self) -> float:
        return float(self.highs.max())

    def scale(self, factors: NDArray[np.float64]) -> Statistics:
        """The statistics after multiplying every channel by a positive factor."""
        return Statistics(self.lows * factors, self.highs * factors, self.means * factors)


def check_names(given: Iterable[str], inputs: Iterable[str]) -> None:
    """Checks that there is calibration data for every input, and for nothing else.

    Raises:
        ModelError: names the input, or what is none.
    """
    known, wanted = list(given), list(inputs)
    missing, extra = sorted(set(wanted) - set(known)), sorted(set(known) - set(wanted))
    if missing:
        raise ModelError(
            f"The calibration data has nothing for the input {missing[0]!r}; it has "
            f"{', '.join(map(repr, known)) or 'no arrays'}.",
            remedy=_ARRAYS_REMEDY,
        )
    if extra:
        raise ModelError(
            f"The calibration data has {extra[0]!r}, which is no input of the network; its inputs "
            f"are {', '.join(map(repr, wanted))}.",
            remedy=_ARRAYS_REMEDY,
        )


def check_calibration(data: Calibration, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Checks that calibration data matches the inputs of a network.

    Returns:
        How often the network runs on them: the samples of an input by the input's first size,
        which may differ between inputs. An input without dimensions takes one number at a time.

    Raises:
        ModelError: if an input has no data, there is data for something else, or a shape, type
            or number does not fit.
    """
    check_names(data, shapes)
    for name, shape in shapes.items():
        array = data[name]
        if array.shape[1:] != shape[1:] or array.ndim != max(len(shape), 1) or not len(array):
            sizes = ", ".join(map(str, ("samples", *shape[1:])))
            raise ModelError(
                f"The calibration data for {name!r} has the shape {array.shape}; ({sizes}"
                f"{')' if shape[1:] else ',)'} is needed.",
                remedy=_ARRAYS_REMEDY,
            )
        if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
            raise ModelError(
                f"The calibration data for {name!r} holds something else than finite numbers.",
                remedy=_ARRAYS_REMEDY,
            )
        if len(array) % _batch(shape):
            raise ModelError(
                f"The calibration data for {name!r} has {len(array)} samples, which is no multiple "
                f"of the network's batch of {shape[0]}.",
                remedy=_ARRAYS_REMEDY,
            )
    counts = {len(data[name]) // _batch(shape) for name, shape in shapes.items()}
    if len(counts) != 1:
        raise ModelError(
            "The calibration data has more samples for one input than for another.",
            remedy=_ARRAYS_REMEDY,
        )
    return counts.pop()


def _batch(shape: tuple[int, ...]) -> int:
    """The samples that an input takes in one run."""
    return shape[0] if shape else 1


def random_calibration(
    shapes: Mapping[str, tuple[int, ...]], *, samples: int, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Draws uniform values from -1 to 1, the usual range of inputs, and warns about it."""
    warnings.warn(
        "There is no calibration data, so that random values from -1 to 1 set the ranges; pass "
        "typical inputs (an .npz file with one array per input) for a network that stays accurate.",
        NpuTuneWarning,
        stacklevel=3,
    )
    budget = ReadingBudget(
        "the network", remedy="Give calibration data, an .npz file with fewer samples."
    )
    generator = np.random.default_rng(seed)
    data = {}
    for name, shape in shapes.items():
        sizes = (samples * _batch(shape), *shape[1:])
        budget.take(math.prod(sizes) * 4, f"what is drawn for the input {name!r}")
        data[name] = np.empty(sizes, np.float32)
        for index in range(sizes[0]):
            data[name][index] = generator.uniform(-1.0, 1.0, sizes[1:])
    return data


def observe(graph: OnnxGraph, data: Calibration) -> dict[str, Statistics]:
    """Runs a graph in onnxruntime; returns the statistics of every tensor read, by name.

    Raises:
        ModelError: if onnxruntime cannot run the graph, computes another shape than ONNX's own
            shape inference, or takes more memory than the graph's budget has.
        MissingExtraError: if onnxruntime is not installed.
    """
    names = _observed(graph)
    sizes = (math.prod(graph.shapes[name]) for name in [*graph.inputs, *names])
    graph.budget.scratch().take(4 * sum(sizes), "one run of all layers")
    session = onnx_session(graph_to_onnx(graph, outputs=names))
    seen: dict[str, list[Statistics]] = {name: [] for name in [*graph.inputs, *names]}
    for feed in runs(data, {name: graph.shapes[name] for name in graph.inputs}):
        results = dict(zip(names, run_session(session, names, feed), strict=True))
        for name, value in (feed | results).items():
            if value.shape != graph.shapes[name]:
                raise ModelError(
                    f"The tensor {name!r} has the shape {value.shape} in onnxruntime, and "
                    f"{graph.shapes[name]} by ONNX's own rules.",
                    remedy="Change the attributes that decide the sizes of the node it is from.",
                    tensor=name,
                )
            seen[name].append(_statistics(value))
    return {
        name: Statistics(
            lows=np.min([part.lows for part in parts], axis=0),
            highs=np.max([part.highs for part in parts], axis=0),
            means=np.mean([part.means for part in parts], axis=0),
        )
        for name, parts in seen.items()
    }


def runs(
    data: Calibration, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """What is fed to a network in each run.

    Args:
        data: that fits, see :func:`check_calibration`.
        shapes: of the inputs.
    """
    for index in range(min(len(data[name]) // _batch(shape) for name, shape in shapes.items())):
        yield {
            name: np.ascontiguousarray(
                data[name][index * _batch(shape) : (index + 1) * _batch(shape)], np.float32
            ).reshape(shape)
            for name, shape in shapes.items()
        }


def _observed(graph: OnnxGraph) -> list[str]:
    """Computed tensors that a node reads or that are outputs; others may have no shape."""
    read = {name for node in graph.nodes for name in node.inputs}.union(graph.outputs)
    read.difference_update(graph.inputs)
    return [name for name in dict.fromkeys(graph.tensors()) if name in read]


def _statistics(value: NDArray[Any]) -> Statistics:
    others = tuple(axis for axis in range(value.ndim) if axis != 1)
    return Statistics(
        lows=np.atleast_1d(value.min(axis=others)).astype(np.float64),
        highs=np.atleast_1d(value.max(axis=others)).astype(np.float64),
        # Rounded, as the ranges are, because sums differ between processors.
        means=np.atleast_1d(value.mean(axis=others, dtype=np.float64).round(5)),
    )
