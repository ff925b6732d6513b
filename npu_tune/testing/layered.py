"""A synthetic target with knobs in every layer, which evaluates in microseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from npu_tune.errors import IllegalConfigurationError
from npu_tune.network import Layer, Network, Tensor
from npu_tune.space import Configuration, Knob, SearchSpace
from npu_tune.targets import Artifact, BaseTarget, Evaluation, Goal, Kind, Metric, Start

METRICS = (
    Metric("cycles", "cycles", Kind.SIMULATED, "added up over the layers"),
    Metric("sram_bytes", "B", Kind.SIMULATED, "of the layer that needs most"),
    Metric("share", "", Kind.SIMULATED, "of the layers on the accelerator, always the same"),
    Metric("accuracy", "", Kind.SIMULATED, "of the network", goal=Goal.MAXIMIZE),
)


def fake_network(layers: int = 4, *, content: bytes = b"model") -> Network:
    """Makes a chain of convolutions, whose file no reader would take.

    Args:
        layers: how many; they are called ``layer0``, ``layer1`` and so on.
        content: of the model file.
    """
    tensors = {f"t{i}": Tensor(f"t{i}", (1, 8, 8, 4), "int8") for i in range(layers + 1)}
    chain = tuple(
        Layer(f"layer{i}", "CONV_2D", (f"t{i}",), (f"t{i + 1}",), MappingProxyType({"stride": 1}))
        for i in range(layers)
    )
    return Network("fake", "tflite", chain, tensors, ("t0",), (f"t{layers}",), content)


@dataclass(frozen=True)
class LayeredTarget(BaseTarget):
    """Cycles add up over the layers; memory is that of the layer that needs most.

    Per layer there are an ordered block size, an unordered traversal, and a cascade flag whose
    stripe height matters only where the flag is set. The best choice differs from layer to layer.

    Args:
        blocks: number of block sizes.
        compiler: version of the made-up compiler, which makes no difference to the metrics.
        layer_cycles: of a layer at its best.
        start_labels: of the target's own proposals.
        forbidden_block: a block size that the rules forbid.
    """

    blocks: int = 4
    compiler: str = "1"
    layer_cycles: float = 1000.0
    start_labels: tuple[str, ...] = ()
    forbidden_block: int | None = None

    name = "fake-npu"
    metrics = METRICS

    def space(self, network: Network) -> SearchSpace:
        knobs = [Knob("network", "strategy", ("size", "speed"), "size")]
        blocks = tuple(8 * (i + 1) for i in range(self.blocks))
        for layer in network.layers:
            knobs += [
                Knob(layer.name, "block", blocks, blocks[0], ordered=True),
                Knob(layer.name, "traversal", ("depth", "part"), "depth"),
                Knob(layer.name, "cascade", (False, True), False),
                Knob(layer.name, "stripe", (1, 2, 4), 1, ordered=True),
            ]
        return SearchSpace(tuple(knobs), effective=_effective, check=self._check_blocks)

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        self._check_blocks(configuration)
        effective = _effective(configuration)
        names = [layer.name for layer in network.layers]
        profile = {name: self._row(i, name, effective) for i, name in enumerate(names)}
        is_fast = effective["network/strategy"] == "speed"
        factor = 0.95 if is_fast else 1.0
        parts = sum(effective[f"{name}/traversal"] == "part" for name in names)
        metrics = {
            "cycles": factor * sum(row["cycles"] for row in profile.values()),
            "sram_bytes": max(row["sram_bytes"] for row in profile.values()) / factor,
            "share": 0.5,
            "accuracy": 0.9 + 0.05 * parts / len(names) - 0.01 * is_fast,
        }
        return Evaluation(MappingProxyType(metrics), profile, ("synthetic",))

    def build(self, network: Network, configuration: Configuration, folder: Path) -> Artifact:
        path = folder / "model.bin"
        path.write_bytes(network.model_bytes)
        return Artifact({"model": path}, self.evaluate(network, configuration))

    def starts(self, network: Network) -> tuple[Start, ...]:
        default = self.space(network).default
        return tuple(
            Start(label, default.replace({"layer0/block": 8 * (i + 2)}))
            for i, label in enumerate(self.start_labels)
        )

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:
        return {"other compiler": {"cycles": 3000.0 * len(network.layers), "sram_bytes": 5000.0}}

    def _row(self, index: int, layer: str, effective: Configuration) -> dict[str, float]:
        """What one layer costs."""
        block = float(effective[f"{layer}/block"])
        best = 8.0 * (1 + index % self.blocks)
        cycles = self.layer_cycles + 10.0 * (block - best) ** 2
        if (effective[f"{layer}/traversal"] == "part") == (index % 2 == 0):
            cycles *= 0.9
        sram = 4096.0 + 64.0 * block
        if effective[f"{layer}/cascade"]:
            stripe = float(effective[f"{layer}/stripe"])
            cycles, sram = cycles * (1.0 + 0.1 / stripe), sram * (0.4 + 0.1 * stripe)
        return {"cycles": cycles, "sram_bytes": sram}

    def _check_blocks(self, configuration: Configuration) -> None:
        if self.forbidden_block in [v for k, v in configuration.items() if k.endswith("/block")]:
            raise IllegalConfigurationError(f"The block {self.forbidden_block} is forbidden.")


def _effective(configuration: Configuration) -> Configuration:
    """Sets the stripe height to its default wherever there is no cascade."""
    return configuration.replace(
        {
            name: 1
            for name in configuration
            if name.endswith("/stripe") and not configuration[name.replace("/stripe", "/cascade")]
        }
    )
