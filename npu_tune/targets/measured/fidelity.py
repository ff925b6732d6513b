"""How far outputs are from those of the float network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from npu_tune.errors import InaccurateOutputError, ModelError
from npu_tune.network import Network
from npu_tune.network.onnx.graph import OnnxGraph
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
    probabilities: Sequence[bool],
) -> float:
    """Signal to noise of the worst output, over all inputs.

    Of an output that a softmax has made, logarithms are compared, less their mean: that is what
    the softmax was given. Probabilities themselves would hide noise, or blow it up, by how sure
    the network happens to be.

    Args:
        reference: per input, outputs of the float network.
        outputs: the same of the configuration.
        probabilities: per output, whether a softmax has made it.

    Returns:
        decibels, ``10 log10(sum of squares / sum of squared differences)``, at most
        :data:`MOST_DB`; not a number where an output is none.
    """
    signal = np.zeros(len(probabilities))
    noise = np.zeros(len(probabilities))
    for theirs, ours in zip(reference, outputs, strict=True):
        for at, is_probability in enumerate(probabilities):
            true, seen = _plain(theirs[at], is_probability), _plain(ours[at], is_probability)
            signal[at] += float(np.sum(true**2))
            noise[at] += float(np.sum((true - seen) ** 2))
    return min(_decibels(s, n) for s, n in zip(signal, noise, strict=True))


def _plain(value: Array, is_probability: bool) -> Array:
    plain = value.astype(np.float64)
    if not is_probability:
        return plain
    logarithm = np.log(np.maximum(plain, np.finfo(np.float32).tiny))
    return np.asarray(logarithm - logarithm.mean())


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
        probabilities: per output, whether a softmax has made it.
        compared: how many of the feeds are for the decibels.
        labelled: of the further feeds; None where there are none.
    """

    feeds: tuple[Feed, ...]
    reference: tuple[tuple[Array, ...], ...]
    probabilities: tuple[bool, ...]
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
            found[ACCURACY_DROP] = self._float_accuracy - found[ACCURACY]
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
            probabilities=self.probabilities,
        )

    @cached_property
    def _float_accuracy(self) -> float:
        return self._accuracy(self.reference)

    def _accuracy(self, outputs: Sequence[Sequence[Array]]) -> float:
        if self.labelled is None:
            raise RuntimeError("There are no labels.")
        first = np.concatenate([each[0] for each in outputs[self.compared :]])
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
    producers = {node.output: node for node in graph.nodes}
    probabilities = tuple(
        name in producers and producers[name].op == "Softmax" for name in graph.outputs
    )
    return Fidelity(tuple(feeds), tuple(reference), probabilities, len(compared), labelled)
