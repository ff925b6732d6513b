"""What the check of a conversion finds: decibels per output, and the layer that loses most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from npu_tune.errors import ConversionError
from npu_tune.network.quantize.noise import Noise

LEAST_DB = 20.0
"""There a tenth of an output's amplitude is error; every operator that is written here keeps 30 dB
by itself."""

NO_CHECK = "leave the check out (--no-check; check = false in Python and in a study file)"
"""The end of a remedy."""

Origin = Literal["given", "seeded"]

Cause = Literal["activations", "weights", "many layers"]

_REMEDIES: dict[Cause, str] = {
    "activations": "limit what that layer computes in the float network",
    "weights": "bring an int8 TFLite file made elsewhere",
    "many layers": "train the network for int8",
}


@dataclass(frozen=True)
class WorstLayer:
    """The layer of the source that loses most in int8.

    Args:
        layers: name and operator of each of the source's layers that are one in the result; none
            where an input of the network is at fault.
        tensor: what they compute.
        before: noise of the output with all layers before it in int8.
        after: with it in int8 too.
        whole: with all layers in int8.
        rounded: with nothing in int8 but the values of that tensor.
        typical_steps: of its codes, from zero to the median of its values that are not zero.
        reach: the lowest and the highest value that its codes can state.
    """

    layers: tuple[tuple[str, str], ...]
    tensor: str
    before: Noise
    after: Noise
    whole: Noise
    rounded: Noise
    typical_steps: float
    reach: tuple[float, float]

    @property
    def cause(self) -> Cause:
        """What explains half of what this layer loses; many layers where it loses little itself."""
        lost = self.after.share - self.before.share
        if lost < 0.5 * self.whole.share:
            return "many layers"
        return "activations" if self.rounded.share >= 0.5 * lost else "weights"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "layers": [{"layer": name, "op": op} for name, op in self.layers],
            "tensor": self.tensor,
            "cause": self.cause,
            "decibels_before": round(self.before.decibels, 2),
            "decibels_after": round(self.after.decibels, 2),
            "rounded_decibels": round(self.rounded.decibels, 2),
            "typical_steps": round(self.typical_steps, 3),
            "reach": [float(f"{value:.6g}") for value in self.reach],
        }

    def __str__(self) -> str:
        where = self._where()
        kept = f"{self.before.decibels:.1f} dB" if self.before.error else "nothing is lost"
        fall = (
            f"with everything up to there in int8 the output has {self.after.decibels:.1f} dB, "
            f"without that {kept}"
        )
        alone = f"rounding its values alone leaves {self.rounded.decibels:.1f} dB"
        if self.cause == "many layers":
            return f"The loss adds up over many layers, such as {where}: {fall}."
        if self.cause == "weights":
            return (
                f"Most is lost in {where}: {fall}. Its activations suit int8 ({alone}); its "
                "weights, or what is written for it, do not."
            )
        low, high = self.reach
        return (
            f"Most is lost in {where}: {fall}. Its activations do not suit int8: {alone}, as the "
            f"256 steps reach from {low:.3g} to {high:.3g} and half of the values other than zero "
            f"lie within {self.typical_steps:.2g} steps of it."
        )

    def _where(self) -> str:
        if not self.layers:
            return f"the input {self.tensor!r}"
        named = [f"{name!r} ({op})" for name, op in self.layers]
        if len(named) == 1:
            return f"the layer {named[0]}"
        # Of many, as a file with quantizers has, the ends say where.
        return "the layers " + (
            " and ".join(named) if len(named) <= 3 else f"{named[0]} to {named[-1]}"
        )


@dataclass(frozen=True)
class OutputCheck:
    """How far an output of the result is from the source's.

    Args:
        output: its name in the ONNX file.
        inputs: ``given`` for calibration data, ``seeded`` for random values.
        samples: number of runs.
        decibels: signal to noise, within -200 and 200.
    """

    output: str
    inputs: Origin
    samples: int
    decibels: float


@dataclass(frozen=True)
class ConversionCheck:
    """How a conversion compares with its source.

    Args:
        outputs: one per output and kind of inputs.
        worst_layer: the layer that loses most; None where enough is kept.
    """

    outputs: tuple[OutputCheck, ...]
    worst_layer: WorstLayer | None = None

    @property
    def deciding(self) -> tuple[OutputCheck, ...]:
        """Those on given inputs where there are any: the ranges were set for these."""
        given = tuple(each for each in self.outputs if each.inputs == "given")
        return given or self.outputs

    @property
    def worst(self) -> OutputCheck:
        return min(self.deciding, key=lambda each: each.decibels)

    @property
    def passed(self) -> bool:
        return self.worst.decibels >= LEAST_DB

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "least_decibels": LEAST_DB,
            "outputs": [
                {
                    "output": each.output,
                    "inputs": each.inputs,
                    "samples": each.samples,
                    "decibels": round(each.decibels, 2),
                }
                for each in self.outputs
            ],
        }

    def __str__(self) -> str:
        listed = ", ".join(f"{each.decibels:.1f} dB in {each.output!r}" for each in self.deciding)
        seeded = [each.decibels for each in self.outputs if each not in self.deciding]
        more = f"; {min(seeded):.1f} dB at least on random inputs in their range" if seeded else ""
        return f"{listed} on {self.worst.samples} {self.worst.inputs} inputs{more}"


def require_accurate(check: ConversionCheck, name: str) -> None:
    """Checks that enough of every output is kept.

    Raises:
        ConversionError: if not; names the output, the layer that loses most and why.
    """
    if check.passed:
        return
    worst, layer = check.worst, check.worst_layer
    raise ConversionError(
        f"The int8 form of {name!r} keeps its output {worst.output!r} to {worst.decibels:.1f} dB "
        f"on {worst.inputs} inputs, and {LEAST_DB:g} dB are needed."
        + (f" {layer}" if layer else ""),
        remedy=_remedy(check),
        check=check.to_dict(),
        layer=layer.to_dict() if layer else None,
    )


def _remedy(check: ConversionCheck) -> str:
    steps = [_REMEDIES[check.worst_layer.cause]] if check.worst_layer else []
    if check.worst.inputs == "seeded":
        steps.insert(0, "give typical inputs (--calibration)")
    text = ", ".join([*steps, f"or {NO_CHECK}."])
    return text[0].upper() + text[1:]
