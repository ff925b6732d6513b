"""Calibration: the ranges and means of all tensors on typical inputs."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import ModelError, NpuTuneWarning
from npu_tune.network.model import Network
from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.proto import graph_to_onnx
from npu_tune.network.quantize.runtimes import onnx_session, run_session

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


def load_calibration(path: str | os.PathLike[str], network: Network) -> dict[str, NDArray[Any]]:
    """Reads calibration data for a network.

    Args:
        path: an .npz file with one array per input of the network, under the input's name; the
            first dimension counts the samples, the others are the input's without its batch.
        network: the network.

    Raises:
        ModelError: if the file is missing or damaged, or an array is missing or has another
            shape.
    """
    file = Path(path)
    remedy = "Write it with numpy.savez(path, **{input_name: samples})."
    try:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ModelError(f"The file {str(file)!r} is not an .npz file.", remedy=remedy)
        with archive:
            data = {name: archive[name] for name in archive.files}
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {str(file)!r}.", remedy=remedy) from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"The calibration file {str(file)!r} cannot be read: {error}.", remedy=remedy
        ) from error
    shapes = {name: network.tensors[name].shape for name in network.inputs}
    check_calibration(data, shapes)
    return data


def check_calibration(data: Calibration, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Checks that calibration data matches the inputs of a network.

    Returns:
        The number of samples.

    Raises:
        ModelError: if an input has no data, there is data for something else, or a shape, type
            or number does not fit.
    """
    remedy = "Give one array per input: samples along the first dimension, then the input's shape."
    missing, extra = sorted(set(shapes) - set(data)), sorted(set(data) - set(shapes))
    if missing:
        raise ModelError(
            f"The calibration data has nothing for the input {missing[0]!r}; it has "
            f"{', '.join(map(repr, data)) or 'no arrays'}.",
            remedy=remedy,
        )
    if extra:
        raise ModelError(
            f"The calibration data has {extra[0]!r}, which is no input of the network; its inputs "
            f"are {', '.join(map(repr, shapes))}.",
            remedy=remedy,
        )
    for name, shape in shapes.items():
        array = data[name]
        if array.shape[1:] != shape[1:] or array.ndim != len(shape) or not len(array):
            raise ModelError(
                f"The calibration data for {name!r} has the shape {array.shape}; "
                f"{('samples', *shape[1:])} is needed.".replace("'samples'", "samples"),
                remedy=remedy,
            )
        if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
            raise ModelError(
                f"The calibration data for {name!r} holds something else than finite numbers.",
                remedy=remedy,
            )
        if len(array) % shape[0]:
            raise ModelError(
                f"The calibration data for {name!r} has {len(array)} samples, which is no multiple "
                f"of the network's batch of {shape[0]}.",
                remedy=remedy,
            )
    counts = {len(data[name]) for name in shapes}
    if len(counts) != 1:
        raise ModelError(
            "The calibration data has more samples for one input than for another.", remedy=remedy
        )
    return counts.pop()


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
    generator = np.random.default_rng(seed)
    return {
        name: generator.uniform(-1.0, 1.0, (samples * shape[0], *shape[1:])).astype(np.float32)
        for name, shape in shapes.items()
    }


def observe(graph: OnnxGraph, data: Calibration) -> dict[str, Statistics]:
    """Runs a graph in onnxruntime; returns the statistics of every run-time tensor, by name.

    Raises:
        ModelError: if onnxruntime cannot run the graph, or computes another shape than ONNX's own
            shape inference.
        MissingExtraError: if onnxruntime is not installed.
    """
    names = [name for name in dict.fromkeys(graph.tensors()) if name not in graph.inputs]
    session = onnx_session(graph_to_onnx(graph, outputs=names))
    seen: dict[str, list[Statistics]] = {name: [] for name in [*graph.inputs, *names]}
    for feed in runs(data, {name: graph.shapes[name] for name in graph.inputs}):
        results = dict(zip(names, run_session(session, names, feed), strict=True))
        for name, value in (feed | results).items():
            if name not in feed and value.shape != graph.shapes[name]:
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
                data[name][index * _batch(shape) : (index + 1) * _batch(shape)].reshape(shape),
                dtype=np.float32,
            )
            for name, shape in shapes.items()
        }


def _batch(shape: tuple[int, ...]) -> int:
    """The samples that an input takes in one run."""
    return shape[0] if shape else 1


def _statistics(value: NDArray[Any]) -> Statistics:
    others = tuple(axis for axis in range(value.ndim) if axis != 1)
    return Statistics(
        lows=np.atleast_1d(value.min(axis=others)).astype(np.float64),
        highs=np.atleast_1d(value.max(axis=others)).astype(np.float64),
        # Rounded, as the ranges are, because sums differ between processors.
        means=np.atleast_1d(value.mean(axis=others, dtype=np.float64).round(5)),
    )
