"""Runs a network and what was made of it on the same inputs, and demands the same outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npu_tune.errors import RewriteError
from npu_tune.network.onnx.graph import Array
from npu_tune.network.quantize.noise import Noise
from npu_tune.network.quantize.runtimes import onnx_session, run_session
from npu_tune.network.rewrite.source import QUANTIZE, SourceModel, is_operator, open_source

if TYPE_CHECKING:
    import onnx

LEAST_DB = 60.0
"""A thousandth of an output's amplitude; float32 sums in another order keep more than 100 dB."""
DEFAULT_SAMPLES = 4
_PURPOSE = "The check of a rewritten network"


@dataclass(frozen=True)
class OutputAgreement:
    """How an output of a rewritten network compares with the source's.

    Args:
        output: its name.
        identical: whether every value is the same, bit for bit.
        decibels: signal to noise; 200 where nothing differs.
    """

    output: str
    identical: bool
    decibels: float


@dataclass(frozen=True)
class Agreement:
    """How a rewritten network compares with its source.

    Args:
        samples: number of runs.
        outputs: one per output of the network.
    """

    samples: int
    outputs: tuple[OutputAgreement, ...]

    @property
    def identical(self) -> bool:
        """Whether all outputs are the same, bit for bit."""
        return all(each.identical for each in self.outputs)

    @property
    def worst(self) -> OutputAgreement:
        return min(self.outputs, key=lambda each: (each.identical, each.decibels))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "least_decibels": LEAST_DB,
            "samples": self.samples,
            "outputs": [
                {
                    "output": each.output,
                    "identical": each.identical,
                    "decibels": round(each.decibels, 2),
                }
                for each in self.outputs
            ],
        }

    def __str__(self) -> str:
        runs = f"on {self.samples} random inputs"
        if self.identical:
            return f"every output is the same bit for bit {runs}"
        listed = ", ".join(
            f"{each.output!r} {'bit for bit' if each.identical else f'to {each.decibels:.1f} dB'}"
            for each in self.outputs
        )
        return f"its outputs are the same {runs}: {listed}"


def compare_models(
    original: onnx.ModelProto,
    rewritten: onnx.ModelProto,
    *,
    samples: int = DEFAULT_SAMPLES,
    seed: int = 0,
    name: str = "the network",
) -> Agreement:
    """Runs two models in onnxruntime on the same random inputs, on one thread.

    Networks with quantizers run with joined operators, which compute in integers; where a bit
    differs all the same, and in float networks, every operator runs as the file has it.

    Args:
        original: the source.
        rewritten: has the same inputs and outputs.
        samples: number of runs.
        seed: of the inputs.
        name: of the network, for errors.

    Returns:
        How the outputs compare.

    Raises:
        RewriteError: if an output differs in a bit and by more than -60 dB.
        MissingExtraError: if onnxruntime is not installed.
        ModelError: if onnxruntime refuses a model.
    """
    source = open_source(original, name=name)
    feeds = list(_random_feeds(source, samples, seed))
    quantized = any(is_operator(node, QUANTIZE) for node in source.nodes)
    found = _compared(original, rewritten, feeds, optimized=quantized)
    if quantized and not found.identical:
        found = max(
            found,
            _compared(original, rewritten, feeds, optimized=False),
            key=lambda each: (each.identical, each.worst.decibels),
        )
    worst = found.worst
    if not worst.identical and worst.decibels < LEAST_DB:
        raise RewriteError(
            f"Rewritten, {name!r} keeps its output {worst.output!r} to {worst.decibels:.1f} dB, "
            f"and {LEAST_DB:g} dB are needed.",
            remedy="Leave out entries of the configuration to find the one that does it, and "
            "report it: this is a bug.",
            agreement=found.to_dict(),
        )
    return found


def _compared(
    original: onnx.ModelProto,
    rewritten: onnx.ModelProto,
    feeds: list[dict[str, Array]],
    *,
    optimized: bool,
) -> Agreement:
    names = [value.name for value in original.graph.output]
    noise = dict.fromkeys(names, Noise())
    identical = dict.fromkeys(names, True)
    sessions = [
        onnx_session(model, purpose=_PURPOSE, extra="cpu", optimized=optimized)
        for model in (original, rewritten)
    ]
    for feed in feeds:
        wanted, have = (run_session(session, names, feed) for session in sessions)
        for name, one, other in zip(names, wanted, have, strict=True):
            if one.dtype == other.dtype and _same_bits(one, other):
                noise[name] += Noise.of(one, one) if np.isfinite(one).all() else Noise(1.0)
                continue
            identical[name] = False
            noise[name] += Noise.of(one, other)
    outputs = (OutputAgreement(each, identical[each], noise[each].decibels) for each in names)
    return Agreement(len(feeds), tuple(outputs))


def _same_bits(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def _random_feeds(source: SourceModel, samples: int, seed: int) -> Iterator[dict[str, Array]]:
    """Inputs that fill what the network takes: the range of its first quantizer, else -1 to 1."""
    from onnx import helper  # noqa: PLC0415 - heavy

    generator = np.random.default_rng(seed)
    inputs = [v.name for v in source.model.graph.input if v.name not in source.initializers]
    ranges = {name: _quantized_range(source, name) for name in inputs}
    for _ in range(samples):
        feed: dict[str, Array] = {}
        for name in inputs:
            dtype = np.dtype(helper.tensor_dtype_to_np_dtype(source.types[name]))
            feed[name] = _random_values(generator, source.shapes[name], dtype, ranges[name])
        yield feed


def _random_values(
    generator: np.random.Generator,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    limits: tuple[float, float],
) -> Array:
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize == 1:
        codes = np.iinfo(dtype)
        return generator.integers(codes.min, codes.max, shape, endpoint=True).astype(dtype)
    if dtype.kind in "iu":  # counts, or indices of which small ones are safest
        return generator.integers(0, 2, shape).astype(dtype)
    return generator.uniform(*limits, shape).astype(dtype)


def _quantized_range(source: SourceModel, name: str) -> tuple[float, float]:
    """The real numbers that the codes of an input's first quantizer state; else -1 and 1."""
    for reader in source.readers.get(name, ()):
        node = source.nodes[reader]
        if not is_operator(node, QUANTIZE):
            continue
        scale = source.value(node.input[1])
        dtype, zero_point = _codes(source, node.input)
        if scale is not None and scale.size == 1 and dtype.kind in "iu":
            step, limits = float(scale.reshape(-1)[0]), np.iinfo(dtype)
            return (limits.min - zero_point) * step, (limits.max - zero_point) * step
    return -1.0, 1.0


def _codes(source: SourceModel, inputs: Sequence[str]) -> tuple[np.dtype[Any], int]:
    """The type of a quantizer's codes, and the one that stands for zero."""
    stated = source.value(inputs[2]) if len(inputs) > 2 and inputs[2] else None
    if stated is None:
        return np.dtype(np.uint8), 0
    return stated.dtype, int(stated.reshape(-1)[0])
