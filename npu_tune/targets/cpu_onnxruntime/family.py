"""The target by name, with the options of a study's ``[target]`` table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from npu_tune.errors import TargetError
from npu_tune.network import Network
from npu_tune.targets.base import TargetOptions
from npu_tune.targets.cpu_onnxruntime.back_end import OnnxRuntimeBackEnd
from npu_tune.targets.measured.data import MeasuringData
from npu_tune.targets.measured.engine import Feed
from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.measured.machine import machine_name
from npu_tune.targets.measured.options import MeasuredOptions, read_labelled
from npu_tune.targets.measured.target import MeasuredTarget
from npu_tune.targets.options import read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import known_remedy

NAME = "cpu-onnxruntime"


@dataclass(frozen=True)
class OnnxRuntimeTarget(MeasuredTarget):
    """onnxruntime on this machine's CPU."""

    name: ClassVar[str] = NAME
    package: ClassVar[str] = "onnxruntime"

    def _back_end(
        self, network: Network, layered: LayeredGraph, feeds: list[Feed]
    ) -> OnnxRuntimeBackEnd:
        del network
        return OnnxRuntimeBackEnd(layered, feeds, self.threads)


class OnnxRuntimeFamily:
    """This machine's CPU through onnxruntime."""

    @property
    def options(self) -> type[MeasuredOptions]:
        """Threads and labelled samples."""
        return MeasuredOptions

    def names(self) -> tuple[str, ...]:
        """The one target."""
        return (NAME,)

    def describe(self, name: str) -> str:
        """One line on it."""
        del name
        return f"measured: onnxruntime on {machine_name()}; float32 or int8 per layer"

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes the target.

        Raises:
            TargetError: for an unknown name, option or option value.
            ModelError: for labelled samples that cannot be read.
        """
        if name != NAME:
            raise TargetError(f"There is no target {name!r}.", remedy=known_remedy(name, (NAME,)))
        read = read_options(MeasuredOptions, options, target=name)
        data = MeasuringData(labelled=read_labelled(read))
        return OnnxRuntimeTarget(machine_name(), read.threads, data)
