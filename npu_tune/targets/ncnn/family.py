"""The targets by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from npu_tune.errors import TargetError
from npu_tune.network import Network
from npu_tune.targets.base import TargetOptions
from npu_tune.targets.measured.data import MeasuringData
from npu_tune.targets.measured.engine import Feed
from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.metrics import measured_metrics
from npu_tune.targets.measured.options import MeasuredOptions, read_labelled
from npu_tune.targets.measured.problem import MeasuredProblem
from npu_tune.targets.measured.target import MeasuredTarget
from npu_tune.targets.metrics import Metric
from npu_tune.targets.ncnn.back_end import NcnnBackEnd
from npu_tune.targets.ncnn.checking import check_translation
from npu_tune.targets.ncnn.choices import Choices
from npu_tune.targets.ncnn.device import require_gpu
from npu_tune.targets.ncnn.engine import NcnnEngine, import_ncnn
from npu_tune.targets.ncnn.gpu_knobs import GpuChoices
from npu_tune.targets.ncnn.knobs import CpuChoices
from npu_tune.targets.ncnn.operators import translate
from npu_tune.targets.ncnn.program import NcnnProgram
from npu_tune.targets.options import read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import known_remedy

CPU, GPU = "cpu-ncnn", "gpu-ncnn"


@dataclass(frozen=True)
class NcnnTarget(MeasuredTarget):
    """ncnn on this machine's CPU."""

    name: ClassVar[str] = CPU
    package: ClassVar[str] = "ncnn"

    def _back_end(self, network: Network, layered: LayeredGraph, feeds: list[Feed]) -> NcnnBackEnd:
        """Translates the network and checks at once what that computes.

        The check takes a process and a run: half a second, and a few where a network is large.
        """
        import_ncnn()
        program = translate(layered)
        check_translation(network, layered, program, feeds[0])
        return NcnnBackEnd(
            layered, program, choices=self._choices(program), engine=self._engine, feeds=feeds
        )

    def _choices(self, program: NcnnProgram) -> Choices:
        return CpuChoices(program, self.threads)

    @property
    def _engine(self) -> NcnnEngine:
        return NcnnEngine(max(self.threads))


@dataclass(frozen=True)
class NcnnGpuTarget(NcnnTarget):
    """ncnn on this machine's GPU; the memory that it reports is the host's.

    Args:
        gpu: that is measured on; measuring on another one is refused.
    """

    gpu: str = ""

    name: ClassVar[str] = GPU

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Measured; the time is the objective."""
        labelled = self.data.labelled is not None
        return measured_metrics(f"{self.gpu} in {self.machine}", labelled=labelled)

    def bind(self, network: Network) -> MeasuredProblem:
        """Binds as on a CPU.

        Raises:
            TargetError: on another GPU than the target was made for.
        """
        here = require_gpu()
        if here != self.gpu:
            raise TargetError(
                f"ncnn uses {here!r} here, and the study is about {self.gpu!r}.",
                remedy="Measure on one GPU, or begin another study.",
            )
        return super().bind(network)

    def fingerprint(self) -> Mapping[str, str]:
        """That of a CPU, and the GPU."""
        return {**super().fingerprint(), "gpu": self.gpu}

    def _choices(self, program: NcnnProgram) -> Choices:
        return GpuChoices(program, self.threads)

    @property
    def _engine(self) -> NcnnEngine:
        return NcnnEngine(max(self.threads), "gpu")


class NcnnFamily:
    """This machine through ncnn."""

    @property
    def options(self) -> type[MeasuredOptions]:
        """Threads and labelled samples."""
        return MeasuredOptions

    def names(self) -> tuple[str, ...]:
        """CPU and GPU."""
        return (CPU, GPU)

    def describe(self, name: str) -> str:
        """One line on a target."""
        if name == GPU:
            return "measured: ncnn on this machine's GPU through Vulkan; device and precision per layer"
        return f"measured: ncnn on {machine_name()}; float32, bf16 or int8 per layer"

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target.

        Raises:
            TargetError: for an unknown name, option or option value, or where there is no GPU.
            ModelError: for labelled samples that cannot be read.
            MissingExtraError: for a GPU, if ncnn is not installed.
        """
        if name not in self.names():
            raise TargetError(
                f"There is no target {name!r}.", remedy=known_remedy(name, self.names())
            )
        read = read_options(MeasuredOptions, options, target=name)
        data = MeasuringData(labelled=read_labelled(read))
        if name == GPU:
            return NcnnGpuTarget(machine_name(), read.threads, data, gpu=require_gpu())
        return NcnnTarget(machine_name(), read.threads, data)
