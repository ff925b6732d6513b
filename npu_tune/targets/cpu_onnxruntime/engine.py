"""Runs ONNX files in onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from npu_tune.network.onnx.runtime import import_onnxruntime
from npu_tune.targets.measured.engine import Array, Feed, profiled_runs

MODEL = "model.onnx"

OPTIMIZATIONS: Mapping[str, str] = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}
"""onnxruntime's levels of optimising a graph, by the values of the knob."""


@dataclass(frozen=True)
class OnnxRuntimeEngine:
    """onnxruntime on a CPU.

    Args:
        threads: of a session.
    """

    threads: int = 1
    device: ClassVar[str] = "cpu"

    @property
    def outlives_fork(self) -> bool:
        """With one thread; others do not come along."""
        return self.threads == 1

    def prepare(self) -> None:
        """Imports the library."""
        import_onnxruntime("Measuring", extra="cpu")

    def load(
        self, folder: Path, options: Mapping[str, Any], *, profile: bool
    ) -> OnnxRuntimeNetwork:
        """Opens a session with the file in a folder."""
        return OnnxRuntimeNetwork(folder, options, threads=self.threads, profile=profile)


class OnnxRuntimeNetwork:
    """A session.

    Args:
        folder: with the file.
        options: ``optimization``, and ``threads`` where it is chosen.
        threads: where it is not.
        profile: True to write down what each node takes.
    """

    def __init__(
        self, folder: Path, options: Mapping[str, Any], *, threads: int, profile: bool
    ) -> None:
        runtime = import_onnxruntime("Measuring", extra="cpu")
        settings = runtime.SessionOptions()
        level = OPTIMIZATIONS[options.get("optimization", "all")]
        settings.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, level)
        settings.intra_op_num_threads = options.get("threads", threads)
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 4
        if profile:
            settings.enable_profiling = True
            settings.profile_file_prefix = str(folder / "profile")
        self._session = runtime.InferenceSession(
            str(folder / MODEL), settings, providers=["CPUExecutionProvider"]
        )

    def run(self, feed: Feed) -> list[Array]:
        """All outputs."""
        outputs: list[Array] = self._session.run(None, dict(feed))
        return outputs

    def layer_seconds(self, feed: Feed) -> dict[str, float]:
        """Least seconds of some runs by the node's name."""
        for _ in profiled_runs():
            self.run(feed)
        path = Path(self._session.end_profiling())
        try:
            events = json.loads(path.read_text(encoding="utf-8"))
        finally:
            path.unlink()
        return _least_by_node(events)

    def close(self) -> None:
        """Releases the session."""
        del self._session


_ENDING = "_kernel_time"


def _least_by_node(events: list[dict[str, Any]]) -> dict[str, float]:
    """The least time of each node over the runs."""
    least: dict[str, float] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith(_ENDING):
            name = name.removesuffix(_ENDING)
            seconds = float(event["dur"]) * 1e-6
            least[name] = min(least.get(name, seconds), seconds)
    return least
