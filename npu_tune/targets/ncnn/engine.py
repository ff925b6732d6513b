"""Runs ncnn's files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npu_tune.errors import CompilerError, MissingExtraError
from npu_tune.targets.measured.engine import Array, Feed, profiled_runs

PARAM, BIN, PORTS = "model.param", "model.bin", "model.json"

_NAMES: Mapping[str, str] = {
    "bf16": "use_bf16_storage",
    "light_mode": "lightmode",
    "packing": "use_packing_layout",
    "sgemm": "use_sgemm_convolution",
    "threads": "num_threads",
}
"""ncnn's names of options, by ours."""

FP16_LEVELS: Mapping[str, tuple[bool, bool, bool]] = {
    "off": (False, False, False),
    "packed": (True, False, False),
    "storage": (True, True, False),
    "arithmetic": (True, True, True),
}
"""Whether pairs of numbers are packed into words, single ones are stored, and computed in fp16."""

WINOGRAD_LEVELS: Mapping[str, tuple[bool, bool, bool]] = {
    "any": (True, True, True),
    "4x4": (True, True, False),
    "2x2": (True, False, True),
    "none": (False, False, False),
}
"""Whether Winograd's algorithm is used, with tiles of 4 by 4 results, with those of 2 by 2."""

_WINOGRAD_NAMES = (
    "use_winograd_convolution",
    "use_winograd43_convolution",
    "use_winograd23_convolution",
)
_FP16_NAMES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")


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

    @property
    def outlives_fork(self) -> bool:
        """Threads end at a fork, and so does what a GPU's driver holds."""
        return self.threads == 1 and self.device == "cpu"

    def prepare(self) -> None:
        """Imports the library, without opening a GPU."""
        import_ncnn()

    def load(self, folder: Path, options: Mapping[str, Any], *, profile: bool) -> NcnnNetwork:
        """Loads the files in a folder.

        Raises:
            CompilerError: if ncnn refuses them.
        """
        return NcnnNetwork(folder, self.settings(options), profile=profile)

    def settings(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes of ncnn's options; float32 where nothing else is said."""
        fp16 = FP16_LEVELS[options.get("fp16", "off")]
        winograd = WINOGRAD_LEVELS[options.get("winograd", "any")]
        found = {
            "use_vulkan_compute": self.device == "gpu",
            "num_threads": self.threads,
            **dict(zip(_FP16_NAMES, fp16, strict=True)),
            **dict(zip(_WINOGRAD_NAMES, winograd, strict=True)),
        }
        return found | {_NAMES[name]: value for name, value in options.items() if name in _NAMES}


class NcnnNetwork:
    """A network that ncnn has loaded.

    Args:
        folder: with the files.
        settings: attributes of ncnn's options.
        profile: True to keep what each layer computes.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, profile: bool) -> None:
        self._ncnn = import_ncnn()
        ports = json.loads((folder / PORTS).read_text(encoding="utf-8"))
        self._inputs: Mapping[str, tuple[str, list[int]]] = ports["inputs"]
        self._outputs: Sequence[tuple[str, list[int]]] = ports["outputs"]
        self._net = self._ncnn.Net()
        for name, value in settings.items():
            setattr(self._net.opt, name, value)
        if profile:
            self._net.opt.lightmode = False
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
        """The least time of each layer over some runs, by its name."""
        blobs = self._net.blobs()
        firsts = {layer.name: blobs[layer.tops[0]].name for layer in self._net.layers()}
        least: dict[str, float] = {}
        for _ in profiled_runs():
            extractor = self._fed(feed)
            for name, blob in firsts.items():
                start = time.perf_counter()
                extractor.extract(blob, 1)  # as it lies, without unpacking it
                taken = time.perf_counter() - start
                least[name] = min(least.get(name, taken), taken)
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
