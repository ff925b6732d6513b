"""One Neural-ART in one memory system, as a target."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npu_tune.errors import EvaluationError, ModelError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.about import write_about
from npu_tune.targets.base import Artifact, Evaluation, Kind, Metric, Start
from npu_tune.targets.garbage import no_collection
from npu_tune.targets.neural_art.compiler.rule import CALIBRATED
from npu_tune.targets.neural_art.core import Core
from npu_tune.targets.neural_art.evaluation import METRICS, evaluation_of
from npu_tune.targets.neural_art.hardware import HardwareVariants
from npu_tune.targets.neural_art.program import program_document
from npu_tune.targets.oracle import Bound, Front, Progress

FIGURES = "1"
"""Raised whenever the same configuration gets other figures or a knob another meaning."""

CORES_KEPT = 8


@dataclass(frozen=True)
class NeuralArtTarget:
    """A model of the accelerator's compiler and hardware; all figures are simulated.

    Args:
        name: as a person types it.
        variants: the hardware, and what of it is explored.
        rule: how cycles are counted: ``calibrated`` or ``vendor``.
        four_bit_weights: offer weights of 4 bits; what they do to accuracy is not modelled.
        external_ram: RAM outside the chip may be used.
    """

    name: str
    variants: HardwareVariants
    rule: str = CALIBRATED
    four_bit_weights: bool = False
    external_ram: bool = True

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Simulated figures; latency and RAM first."""
        return METRICS

    def check(self, network: Network) -> None:
        """Refuses what the model cannot run at all.

        Raises:
            ModelError: for a format it does not read, an operator without static shapes, or a
                layer that no memory pool can hold, or more weights than flash can.
        """
        try:
            core = self._core(network)
            run = core.run(core.space.default)
        except EvaluationError as error:
            raise ModelError(error.message, remedy=error.remedy, **error.data) from error
        flash = core.hardware(core.space.default).flash
        stored = sum(step.epoch.total.stored for step in run.steps)
        if stored > flash.size_bytes:
            raise ModelError(
                f"The weights of {network.name!r} take {stored} bytes, and {flash.name} has "
                f"{flash.size_bytes}.",
                remedy="Take a smaller network, or a hardware file with more flash.",
                stored_bytes=stored,
            )

    def space(self, network: Network) -> SearchSpace:
        """Network-wide knobs, those of the hardware that are explored, and those of each layer."""
        return self._core(network).space

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        """Compiles and simulates one configuration."""
        core = self._core(network)
        with no_collection():
            return evaluation_of(core.run(configuration), core.hardware(configuration))

    def build(self, network: Network, configuration: Configuration, folder: Path) -> Artifact:
        """Writes the compiled program as JSON, the configuration and its figures."""
        folder.mkdir(parents=True, exist_ok=True)
        core = self._core(network)
        hardware = core.hardware(configuration)
        run = core.run(configuration)
        evaluation = evaluation_of(run, hardware)
        document = {"network": network.name, "target": self.name, "rule": self.rule}
        model = folder / f"{network.name}_{self.name}.json"
        model.write_text(
            json.dumps(document | program_document(run, hardware), indent=2) + "\n",
            encoding="utf-8",
        )
        about = write_about(
            folder, self, network, configuration, evaluation=evaluation, kind=Kind.SIMULATED
        )
        return Artifact({"model": model, "configuration": about}, evaluation)

    def starts(self, network: Network) -> tuple[Start, ...]:
        """The default alone."""
        return (Start("default", self._core(network).space.default),)

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:  # noqa: ARG002
        """None: ST's compiler is not here to be asked."""
        return {}

    def front(
        self,
        network: Network,
        *,
        objectives: Sequence[str] = (),
        base: Configuration | None = None,
        tolerance: float = 0.0,
        most_labels: int | None = None,
        progress: Progress | None = None,
    ) -> Front:
        """The optima over all choices of layers; see :mod:`.front`."""
        from npu_tune.targets.neural_art.front import exact_front  # noqa: PLC0415 -- seldom asked

        return exact_front(
            self._core(network),
            rule=self.rule,
            objectives=tuple(objectives) or tuple(metric.name for metric in METRICS[:2]),
            base=base,
            tolerance=tolerance,
            most_labels=most_labels,
            progress=progress,
        )

    def bases(self, network: Network) -> tuple[Configuration, ...]:
        """All choices of the whole network but thresholds of splitting; see :mod:`.front`."""
        from npu_tune.targets.neural_art.front import bases  # noqa: PLC0415 -- seldom asked

        return bases(self._core(network).space)

    def bound(self, network: Network, *, base: Configuration | None = None) -> Bound:
        """What no configuration falls below, whatever layers choose; see :mod:`.front`."""
        from npu_tune.targets.neural_art.front import lower_bound  # noqa: PLC0415 -- seldom asked

        return lower_bound(self._core(network), rule=self.rule, base=base)

    def fingerprint(self) -> Mapping[str, str]:
        """Hardware, rule and options."""
        return {
            "compiler": "npu-tune's model of Neural-ART",
            "hardware": self.variants.base.digest,
            "rule": self.rule,
            "figures": FIGURES,
            "four_bit_weights": str(self.four_bit_weights).lower(),
            "external_ram": str(self.external_ram).lower(),
        }

    def _core(self, network: Network) -> Core:
        key = (self, network.digest)
        core = _cores.get(key)
        if core is None:
            if len(_cores) == CORES_KEPT:
                _cores.popitem(last=False)
            core = _cores[key] = Core(
                network,
                self.variants,
                rule=self.rule,
                four_bit_weights=self.four_bit_weights,
                external_ram=self.external_ram,
            )
        return core


_cores: OrderedDict[tuple[NeuralArtTarget, str], Core] = OrderedDict()
