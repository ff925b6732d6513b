"""Runs ncnn's files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from npu_tune.errors import CompilerError, MissingExtraError
from npu_tune.targets.measured.engine import Array, Feed

PARAM, BIN, PORTS = "model.param", "model.bin", "model.json"

_ALWAYS = {"use_fp16_packed": False, "use_fp16_storage": False, "use_fp16_arithmetic": False}
"""Switched off unless an option says otherwise: the reference computes in float32."""

OPTIONS: Mapping[str, str] = {
    "packing": "use_packing_layout",
    "threads": "num_threads",
    "bf16": "use_bf16_storage",
    "light_mode": "lightmode",
    "fp16_packed": "use_fp16_packed",
    "fp16_storage": "use_fp16_storage",
    "fp16_arithmetic": "use_fp16_arithmetic",
    "winograd": "use_winograd_convolution",
    "sgemm": "use_sgemm_convolution",
}
"""ncnn's names of options, by ours."""


def import_ncnn() -> Any:
    """The ncnn package.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import ncnn  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise MissingExtraError(
            "Measuring with ncnn needs the package ncnn, which is not installed.",
            remedy="Install it with: pip install 'npu-tune[cpu]'",
        ) from error
    return ncnn


@dataclass(frozen=True)
class NcnnEngine:
    """ncnn on a CPU or on a GPU through Vulkan.

    Args:
        threads: of an inference.
        device: ``cpu`` or ``gpu``.
    """

    threads: int = 1
    device: str = "cpu"
    outlives_fork: ClassVar[bool] = False

    def prepare(self) -> None:
        """Imports the library, without opening a GPU."""
        import_ncnn()

    def load(self, folder: Path, options: Mapping[str, Any], *, profile: bool) -> NcnnNetwork:
        """Loads the files in a folder.

        Raises:
            CompilerError: if ncnn refuses them.
        """
        chosen = {"threads": self.threads, **options}
        if profile:
            chosen["light_mode"] = False
        return NcnnNetwork(folder, chosen, vulkan=self.device == "gpu")


class NcnnNetwork:
    """A network that ncnn has loaded.

    Args:
        folder: with the files.
        options: by our names.
        vulkan: True for a GPU.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], *, vulkan: bool) -> None:
        self._ncnn = import_ncnn()
        ports = json.loads((folder / PORTS).read_text(encoding="utf-8"))
        self._inputs: Mapping[str, tuple[str, list[int]]] = ports["inputs"]
        self._outputs: Sequence[tuple[str, list[int]]] = ports["outputs"]
        self._net = self._ncnn.Net()
        settings = self._net.opt
        for name, value in _ALWAYS.items():
            setattr(settings, name, value)
        for name, value in options.items():
            setattr(settings, OPTIONS[name], value)
        settings.use_vulkan_compute = vulkan
        if self._net.load_param(str(folder / PARAM)) or self._net.load_model(str(folder / BIN)):
            raise CompilerError("ncnn does not load the files.")

    def run(self, feed: Feed) -> list[Array]:
        """All outputs, in the network's shapes."""
        extractor = self._fed(feed)
        outputs = []
        for blob, shape in self._outputs:
            code, mat = extractor.extract(blob)
            if code:
                raise CompilerError(f"ncnn does not compute {blob!r} (it says {code}).")
            # A copy: what ncnn gives must not outlive the network.
            outputs.append(np.array(mat, np.float32).reshape(shape))
            del mat
        return outputs

    def layer_seconds(self, feed: Feed) -> dict[str, float]:
        """The least time of each layer over some runs, by the blob that it computes."""
        blobs = [self._net.blobs()[layer.tops[0]].name for layer in self._net.layers()]
        least: dict[str, float] = {}
        for _ in range(PROFILED_RUNS):
            extractor = self._fed(feed)
            for blob in blobs:
                start = time.perf_counter()
                extractor.extract(blob, 1)  # as it lies, without unpacking it
                taken = time.perf_counter() - start
                least[blob] = min(least.get(blob, taken), taken)
        return least

    def close(self) -> None:
        """Releases the network."""
        self._net.clear()

    def _fed(self, feed: Feed) -> Any:
        extractor = self._net.create_extractor()
        for name, (blob, shape) in self._inputs.items():
            value = np.ascontiguousarray(feed[name], np.float32).reshape(shape)
            # Owned by ncnn, as layers may write into what they read.
            extractor.input(blob, self._ncnn.Mat(value).clone())
        return extractor


PROFILED_RUNS = 3
"""The first one is warming up."""
