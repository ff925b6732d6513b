"""What measured targets are: values that bind a network to a library on this machine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar, Self

from npu_tune.errors import TargetError
from npu_tune.network import Network
from npu_tune.targets.measured.backend import BackEnd
from npu_tune.targets.measured.data import Arrays, MeasuringData
from npu_tune.targets.measured.engine import Feed
from npu_tune.targets.measured.fidelity import make_fidelity
from npu_tune.targets.measured.folding import float_graph
from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.measured.machine import machine_name, usable_cores, warn_if_busy
from npu_tune.targets.measured.metrics import METRICS_VERSION, measured_metrics
from npu_tune.targets.measured.problem import MeasuredProblem
from npu_tune.targets.measured.rounds import RoundSettings
from npu_tune.targets.metrics import Metric
from npu_tune.validation import option_name, sentence


@dataclass(frozen=True)
class MeasuredTarget:
    """A library on this machine.

    Args:
        machine: that is measured on; measuring on another one is refused.
        threads: of an inference, that may be chosen.
        data: for ranges and accuracy.
        rounds: how long is measured.
    """

    machine: str
    threads: tuple[int, ...] = (1,)
    data: MeasuringData = field(default_factory=MeasuringData)
    rounds: RoundSettings = field(default_factory=RoundSettings)

    name: ClassVar[str]
    package: ClassVar[str]
    """That is measured, as it is installed."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Measured; the time is the objective."""
        return measured_metrics(self.machine, labelled=self.data.labelled is not None)

    def calibrated(self, arrays: Arrays) -> Self:
        """This target with typical inputs, by which ranges are made."""
        return replace(self, data=replace(self.data, calibration=arrays))

    def bind(self, network: Network) -> MeasuredProblem:
        """Folds the network and finds the outputs that all others are compared with.

        Raises:
            ModelFormatError: if it is no ONNX.
            ModelError: if the library does not take it, or data do not fit it.
            TargetError: on another machine than the target was made for, or where there are too
                few cores for the threads.
        """
        warn_if_busy()
        here = machine_name()
        if here != self.machine:
            raise TargetError(
                f"This is {here!r}, and the study is about {self.machine!r}.",
                remedy="Measure on one kind of machine, or begin another study.",
            )
        most, cores = max(self.threads), len(usable_cores())
        if most > cores:
            raise TargetError(
                f"{sentence(option_name('threads'))} asks for {most}, and this process may use {cores} cores.",
                remedy="Ask for as many threads as there are cores, or fewer.",
                option="threads",
            )
        graph = LayeredGraph(float_graph(network))
        feeds, compared = self.data.feeds(
            {name: graph.graph.shapes[name] for name in graph.graph.inputs}
        )
        fidelity = make_fidelity(network, graph.graph, compared, self.data.labelled)
        back_end = self._back_end(network, graph, feeds)
        return MeasuredProblem(self, network, back_end, fidelity, rounds=self.rounds)

    def fingerprint(self) -> Mapping[str, str]:
        """Library, machine, data and options."""
        return {
            "library": self.library,
            "machine": self.machine,
            "threads": ", ".join(map(str, self.threads)),
            "figures": METRICS_VERSION,
            **self.data.fingerprint(),
        }

    @property
    def library(self) -> str:
        """The library and its version."""
        try:
            return f"{self.package} {version(self.package)}"
        except PackageNotFoundError:
            return self.package

    @abstractmethod
    def _back_end(self, network: Network, layered: LayeredGraph, feeds: list[Feed]) -> BackEnd:
        """The network in the library."""
