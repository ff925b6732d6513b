"""The targets by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from npu_tune.errors import TargetError
from npu_tune.network import Network
from npu_tune.targets.base import TargetOptions
from npu_tune.targets.measured.data import MeasuringData
from npu_tune.targets.measured.engine import Feed
from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.options import MeasuredOptions, read_labelled
from npu_tune.targets.measured.target import MeasuredTarget
from npu_tune.targets.ncnn.back_end import NcnnBackEnd
from npu_tune.targets.ncnn.checking import check_translation
from npu_tune.targets.ncnn.engine import import_ncnn
from npu_tune.targets.options import read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import known_remedy

CPU = "cpu-ncnn"


@dataclass(frozen=True)
class NcnnTarget(MeasuredTarget):
    """ncnn on this machine's CPU."""

    name: ClassVar[str] = CPU

    @property
    def library(self) -> str:
        """With its version."""
        try:
            return f"ncnn {version('ncnn')}"
        except PackageNotFoundError:
            return "ncnn"

    def _back_end(
        self, network: Network, layered: LayeredGraph, feeds: list[Feed]
    ) -> NcnnBackEnd:
        """Translates the network and checks at once what that computes.

        The check takes a process and a run: half a second, and a few where a network is large.
        """
        import_ncnn()
        back_end = NcnnBackEnd(layered, feeds, self.threads)
        check_translation(network, layered, back_end.program, feeds[0])
        return back_end


class NcnnFamily:
    """This machine through ncnn."""

    @property
    def options(self) -> type[MeasuredOptions]:
        """Threads and labelled samples."""
        return MeasuredOptions

    def names(self) -> tuple[str, ...]:
        """CPU and GPU."""
        return (CPU,)

    def describe(self, name: str) -> str:
        """One line on a target."""
        del name
        return f"measured: ncnn on {machine_name()}; float32, bf16 or int8 per layer"

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes a target.

        Raises:
            TargetError: for an unknown name, option or option value, or where there is no GPU.
            ModelError: for labelled samples that cannot be read.
        """
        if name not in self.names():
            raise TargetError(
                f"There is no target {name!r}.", remedy=known_remedy(name, self.names())
            )
        read = read_options(MeasuredOptions, options, target=name)
        data = MeasuringData(labelled=read_labelled(read))
        return NcnnTarget(machine_name(), read.threads, data)
