"""A target for a made-up chip that computes each layer with few or many bits."""

from dataclasses import dataclass

from npu_tune.errors import ModelError
from npu_tune.network import Network
from npu_tune.space import Configuration, Knob, SearchSpace
from npu_tune.targets import BaseTarget, Evaluation, Goal, Kind, Metric


@dataclass(frozen=True)
class TinyTarget(BaseTarget):
    clock_mhz: int = 100
    name = "tiny-1"
    metrics = (
        Metric("latency_ms", "ms", Kind.ESTIMATED, "of one inference", Goal.MINIMIZE),
        Metric("accuracy", "", Kind.ESTIMATED, "of the whole network", Goal.MAXIMIZE),
    )

    def check(self, network: Network) -> None:
        if not network.layers:
            raise ModelError("The network has no layers.", remedy="Take another one.")

    def space(self, network: Network) -> SearchSpace:
        knobs = []
        for layer in network.layers:
            knobs.append(Knob(layer.name, "bits", (4, 8, 16), default=8, ordered=True))
            knobs.append(Knob(layer.name, "unit", ("vector", "matrix"), default="vector"))
        return SearchSpace(tuple(knobs))

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        profile, error = {}, 0.0
        for layer in network.layers:
            bits = configuration[f"{layer.name}/bits"]
            speed = 2 if configuration[f"{layer.name}/unit"] == "matrix" else 1
            profile[layer.name] = {"cycles": 1000.0 * bits / speed + 500.0 * speed}
            error += 2.0**-bits / len(network.layers)
        cycles = sum(row["cycles"] for row in profile.values())
        latency_ms = cycles / (1000.0 * self.clock_mhz)
        return Evaluation({"latency_ms": latency_ms, "accuracy": 0.9 - error}, profile)
