"""One Neural-ART in one memory system, as a target."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from npu_tune.errors import EvaluationError, ModelError, NpuTuneWarning
from npu_tune.network import Network
from npu_tune.targets.metrics import Metric
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED
from npu_tune.targets.neural_art.core import NetworkCompiler
from npu_tune.targets.neural_art.deploy import DeployableSpace
from npu_tune.targets.neural_art.evaluation import METRICS
from npu_tune.targets.neural_art.free import ChoiceSpace, FreeSpace
from npu_tune.targets.neural_art.graph import CORE_4_0
from npu_tune.targets.neural_art.hardware import HardwareVariants
from npu_tune.targets.neural_art.problem import NeuralArtProblem
from npu_tune.validation import option_name, sentence

METRICS_VERSION = "4"
"""Raised whenever the same configuration gets other metrics or a knob another meaning."""


@dataclass(frozen=True)
class NeuralArtTarget:
    """A model of the accelerator's compiler and hardware; all metrics are simulated.

    Args:
        name: as a person types it.
        variants: the hardware, and what of it is explored.
        rule: how cycles are counted: ``calibrated`` or ``vendor``.
        four_bit_weights: offer weights of 4 bits; what they do to accuracy is not modelled.
        external_ram: RAM outside the chip may be used.
        reported_chains: offer only such chains as the vendor's reports show.
        deployable: offer only what a person can carry over to the vendor's tools.
        core: version of the vendor's compiler that is modelled.
    """

    name: str
    variants: HardwareVariants
    rule: str = CALIBRATED
    four_bit_weights: bool = False
    external_ram: bool = True
    reported_chains: bool = False
    deployable: bool = False
    core: str = CORE_4_0

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Simulated; latency and RAM are the objectives."""
        return METRICS

    def bind(self, network: Network) -> NeuralArtProblem:
        """Imports a network and compiles its default; warns where the file has more graphs.

        Raises:
            ModelError: for a format it does not read, an operator without static shapes, a layer
                that no memory pool can hold, or more weights than flash can.
        """
        if network.other_graphs:
            warnings.warn(
                f"The file of {network.name!r} has {1 + len(network.other_graphs)} graphs "
                f"(signatures); the first one is taken, and not {_listed(network.other_graphs)}.",
                NpuTuneWarning,
                stacklevel=2,
            )
        if self.deployable and network.format != "onnx":
            raise ModelError(
                f"{sentence(option_name('deployable'))} rewrites ONNX files, and {network.name!r} is "
                f"{network.format}.",
                remedy="Export the network as ONNX, or leave the option out.",
            )
        try:
            compiler = NetworkCompiler(
                network,
                self.variants,
                rule=self.rule,
                choices=self._choices(),
                core=self.core,
            )
            _require_flash(network, compiler)
        except EvaluationError as error:
            raise ModelError(error.message, remedy=error.remedy, **error.data) from error
        free = partial(replace(self, deployable=False).bind, network) if self.deployable else None
        return NeuralArtProblem(self, network, compiler, free=free)

    def _choices(self) -> ChoiceSpace:
        if self.deployable:
            return DeployableSpace(external_ram=self.external_ram)
        return FreeSpace(
            four_bit_weights=self.four_bit_weights,
            external_ram=self.external_ram,
            reported_chains=self.reported_chains,
        )

    def fingerprint(self) -> Mapping[str, str]:
        """Hardware with all its variants, rule and options."""
        parts = {
            "compiler": "npu-tune's model of Neural-ART",
            "hardware": self.variants.base.digest,
            "rule": self.rule,
            "figures": METRICS_VERSION,
            "four_bit_weights": str(self.four_bit_weights).lower(),
            "external_ram": str(self.external_ram).lower(),
        }
        if self.core != CORE_4_0:
            parts["core"] = self.core
        if self.reported_chains:
            parts["chains"] = "reported"
        if self.deployable:
            parts["deployable"] = "true"
        if self.variants.variants:
            parts["hardware_variants"] = self.variants.text
        return parts


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more


def _require_flash(network: Network, compiler: NetworkCompiler) -> None:
    default = compiler.space.default
    stored = sum(step.epoch.total.stored for step in compiler.run(default).steps)
    flash = compiler.hardware(default).flash
    if stored > flash.size_bytes:
        raise ModelError(
            f"The weights of {network.name!r} take {stored} bytes, and {flash.name} has "
            f"{flash.size_bytes}.",
            remedy="Take a smaller network, or a hardware file with more flash.",
            stored_bytes=stored,
        )
