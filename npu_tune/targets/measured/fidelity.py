"""How far outputs are from those of the float network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from npu_tune.errors import InaccurateOutputError, ModelError, NpuTuneWarning
from npu_tune.network import Network
from npu_tune.network.onnx.graph import OnnxGraph, OnnxNode
from npu_tune.network.quantize.calibrate import check_calibration, runs
from npu_tune.targets.measured.data import LabelledData
from npu_tune.targets.measured.engine import Array, Feed
from npu_tune.targets.measured.folding import reference_outputs
from npu_tune.targets.measured.metrics import ACCURACY, ACCURACY_DROP, SNR

MOST_DB = 20 * math.log10(2**24)
"""Signal to noise of float32 itself, whose numbers have 24 digits; nothing counts as better."""

LEAST_DB = 0.0
"""Below, there is more noise than signal: no setting that anybody wants, but a wrong number."""


def signal_to_noise_db(
    reference: Iterable[Sequence[Array]],
    outputs: Iterable[Sequence[Array]],
    *,
    softmax_axes: Sequence[int | None],
) -> float:
    """Signal to noise of the worst output, over all inputs.

    Of an output that a softmax has made, logarithms are compared, less their mean along its axis:
    that is what the softmax was given. Probabilities themselves would hide noise, or blow it up, by
    how sure the network happens to be.

    Args:
        reference: per input, outputs of the float network.
        outputs: the same of the configuration.
        softmax_axes: per output, the axis of the softmax that has made it; None for no softmax.

    Returns:
        decibels, ``10 log10(sum of squares / sum of squared differences)``, at most
        :data:`MOST_DB`; not a number where an output is none.
    """
    signal = np.zeros(len(softmax_axes))
    noise = np.zeros(len(softmax_axes))
    for theirs, ours in zip(reference, outputs, strict=True):
        for at, axis in enumerate(softmax_axes):
            true, seen = _plain(theirs[at], axis), _plain(ours[at], axis)
            signal[at] += float(np.sum(true**2))
            noise[at] += float(np.sum((true - seen) ** 2))
    every = [_decibels(s, n) for s, n in zip(signal, noise, strict=True)]
    # The least of some numbers and none is whichever of them comes first.
    return math.nan if any(map(math.isnan, every)) else min(every)


def _plain(value: Array, softmax_axis: int | None) -> Array:
    plain = value.astype(np.float64)
    if softmax_axis is None:
        return plain
    logarithm = np.log(np.maximum(plain, np.finfo(np.float32).tiny))
    return np.asarray(logarithm - logarithm.mean(axis=softmax_axis, keepdims=True))


def _decibels(signal: float, noise: float) -> float:
    if math.isnan(noise) or math.isinf(noise):
        return math.nan
    if noise == 0.0:
        return MOST_DB
    if signal == 0.0:
        return -MOST_DB
    return min(10 * math.log10(signal / noise), MOST_DB)


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Judges the outputs of configurations of one network.

    Args:
        feeds: that outputs are compared on: first those for the decibels, then labelled ones.
        reference: per feed, the outputs of the float network.
        softmax_axes: per output, the axis of the softmax that has made it; None for no softmax.
        compared: how many of the feeds are for the decibels.
        labelled: of the further feeds; None where there are none.
    """

    feeds: tuple[Feed, ...]
    reference: tuple[tuple[Array, ...], ...]
    softmax_axes: tuple[int | None, ...]
    compared: int
    labelled: LabelledData | None = None

    def judge(self, outputs: Sequence[Sequence[Array]]) -> dict[str, float]:
        """Metrics of what a configuration computes.

        Raises:
            InaccurateOutputError: if it is no number, of another shape, or mostly noise.
        """
        decibels = self.decibels(outputs)
        if math.isnan(decibels):
            raise InaccurateOutputError("An output is not a number.")
        if decibels < LEAST_DB:
            raise InaccurateOutputError(
                f"The outputs are noise: {decibels:.1f} dB against float32.",
                snr_db=decibels,
            )
        found = {SNR: decibels}
        if self.labelled is not None:
            found[ACCURACY] = self._accuracy(outputs)
            found[ACCURACY_DROP] = self.float_accuracy - found[ACCURACY]
        return found

    def decibels(self, outputs: Sequence[Sequence[Array]]) -> float:
        """Signal to noise of the worst output; not a number where an output is none."""
        for theirs, ours in zip(self.reference, outputs, strict=True):
            for true, seen in zip(theirs, ours, strict=True):
                if true.shape != seen.shape:
                    raise InaccurateOutputError(
                        f"An output has the shape {seen.shape} and should have {true.shape}."
                    )
        return signal_to_noise_db(
            self.reference[: self.compared],
            outputs[: self.compared],
            softmax_axes=self.softmax_axes,
        )

    @cached_property
    def float_accuracy(self) -> float:
        """Of the network as it was given."""
        return self._accuracy(self.reference)

    def _accuracy(self, outputs: Sequence[Sequence[Array]]) -> float:
        if self.labelled is None:
            raise RuntimeError("There are no labels.")
        first = np.concatenate([np.atleast_1d(each[0]) for each in outputs[self.compared :]])
        if not np.isfinite(first).all():
            raise InaccurateOutputError("An output is not a number.")
        return self.labelled.accuracy(first)


def make_fidelity(
    network: Network,
    graph: OnnxGraph,
    compared: tuple[Feed, ...],
    labelled: LabelledData | None,
) -> Fidelity:
    """Runs a network as it was given, and keeps what it says.

    Args:
        network: the network.
        graph: what is converted, to be compared with it.
        compared: inputs for the decibels.
        labelled: further inputs, with labels.

    Raises:
        ModelError: if the two compute different things, outputs are no numbers, or the labelled
            samples do not fit.
        TargetError: if the user's own accuracy fails.
    """
    feeds = list(compared)
    if labelled is not None:
        shapes = {name: graph.shapes[name] for name in graph.inputs}
        check_calibration(labelled.inputs, shapes)
        feeds += runs(labelled.inputs, shapes)
    reference = reference_outputs(network, feeds)
    if not all(np.isfinite(value).all() for outputs in reference for value in outputs):
        raise ModelError(
            f"{network.name!r} computes something else than finite numbers on typical inputs.",
            remedy="Give calibration data that are typical of it (--calibration).",
        )
    if len(compared) > 1 and _are_alike(reference[: len(compared)]):
        warnings.warn(
            f"The outputs of {network.name!r} are the same whatever the input, so that signal to "
            "noise says little; give calibration data that are typical of it.",
            NpuTuneWarning,
            stacklevel=2,
        )
    producers = {node.output: node for node in graph.nodes}
    softmax_axes = tuple(_softmax_axis(producers.get(name)) for name in graph.outputs)
    fidelity = Fidelity(tuple(feeds), tuple(reference), softmax_axes, len(compared), labelled)
    if labelled is not None:
        _check_labels(labelled, fidelity)
    return fidelity


def _are_alike(reference: Sequence[Sequence[Array]]) -> bool:
    return all(
        np.array_equal(value, first)
        for outputs in reference[1:]
        for value, first in zip(outputs, reference[0], strict=True)
    )


def _softmax_axis(node: OnnxNode | None) -> int | None:
    return int(node.attributes.get("axis", -1)) if node and node.op == "Softmax" else None


def _check_labels(labelled: LabelledData, fidelity: Fidelity) -> None:
    """Checks that the float network has an accuracy.

    Raises:
        ModelError: if a label is beyond the network's classes.
        TargetError: if the user's own function gives no number.
    """
    runs_of_labelled = len(fidelity.feeds) - fidelity.compared
    classes = fidelity.reference[-1][0].size * runs_of_labelled // len(labelled.labels)
    if labelled.score is None and labelled.labels.max() >= classes:
        raise ModelError(
            f"There is a label {labelled.labels.max():g}, and the first output of the network has "
            f"{classes} classes, from 0 on.",
            remedy="Give labels of the network's classes, or your own function with the option "
            "accuracy.",
        )
    _ = fidelity.float_accuracy  # a function that fails shall do so before the first trial
