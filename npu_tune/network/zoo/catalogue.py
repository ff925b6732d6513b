"""The catalogue of the zoo: names, variants, and networks by name."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from npu_tune.errors import ModelError
from npu_tune.network.model import Network
from npu_tune.network.quantize import to_int8
from npu_tune.network.read import network_from_bytes
from npu_tune.network.zoo import large_windows, topologies
from npu_tune.network.zoo.efficientnet import efficientnet_v2_b0
from npu_tune.network.zoo.ultraface import ultraface

if TYPE_CHECKING:
    import onnx

_CALIBRATION_SAMPLES = 4
"""Few are enough, because inputs are noise and every layer has many values per sample."""


@dataclass(frozen=True)
class ZooEntry:
    """A family of the zoo.

    Args:
        name: of the default variant.
        description: one line with its task and publication.
        macs: multiply-accumulates of one inference of the default variant.
        build: makes the float ONNX model; takes the options below as keyword arguments.
        alphas: available width multipliers, the default last; empty if the width is fixed.
        resolutions: available input sizes; empty if the size is fixed.
        gray: whether images of one channel are available.
        classes: whether the number of classes can be chosen.
    """

    name: str
    description: str
    macs: int
    build: Callable[..., onnx.ModelProto] = field(repr=False)
    alphas: tuple[str, ...] = ()
    resolutions: tuple[int, ...] = ()
    gray: bool = False
    classes: bool = True

    def suffixes(self) -> tuple[str, ...]:
        """The suffixes of the family's name, one per available width and resolution."""
        sizes = tuple(f"-{resolution}" for resolution in self.resolutions)
        if not self.alphas:
            return sizes
        return tuple(f"-{alpha}{size}" for alpha in sorted(self.alphas) for size in sizes)


_RESOLUTIONS = (96, 128, 160, 192, 224)

ZOO: Mapping[str, ZooEntry] = {
    entry.name: entry
    for entry in (
        ZooEntry(
            "resnet8", "image classifier of MLPerf Tiny, 32 x 32", 12_501_632, topologies.resnet8
        ),
        ZooEntry(
            "resnet32",
            "CIFAR-100 classifier, He et al. 2015, 32 x 32",
            69_130_496,
            topologies.resnet32,
        ),
        ZooEntry(
            "ds-cnn", "keyword spotter of MLPerf Tiny, 49 x 10", 2_656_768, topologies.ds_cnn
        ),
        ZooEntry(
            "autoencoder",
            "anomaly detector of MLPerf Tiny, 640 features",
            264_192,
            topologies.autoencoder,
            classes=False,
        ),
        ZooEntry(
            "st-mnist",
            "digit and letter reader of ST's model zoo, 28 x 28, grey",
            1_076_384,
            topologies.st_mnist,
        ),
        ZooEntry(
            "mobilenet-v1",
            "ImageNet classifier, Howard et al. 2017",
            568_740_352,
            topologies.mobilenet_v1,
            ("0.25", "0.5", "0.75", "1.0"),
            _RESOLUTIONS,
            gray=True,
        ),
        ZooEntry(
            "mobilenet-v2",
            "ImageNet classifier, Sandler et al. 2018",
            300_774_272,
            topologies.mobilenet_v2,
            ("0.35", "0.5", "0.75", "1.3", "1.4", "1.0"),
            _RESOLUTIONS,
            gray=True,
        ),
        ZooEntry(
            "fd-mobilenet",
            "ImageNet classifier, Qin et al. 2018",
            144_489_728,
            topologies.fd_mobilenet,
            ("0.25", "0.5", "0.75", "1.0"),
            _RESOLUTIONS,
            gray=True,
        ),
        ZooEntry(
            "st-fd-mobilenet",
            "FD-MobileNet v1 of ST's model zoo, 101 classes",
            24_452_160,
            topologies.st_fd_mobilenet,
            resolutions=_RESOLUTIONS,
            gray=True,
        ),
        ZooEntry(
            "efficientnet-v2-b0",
            "ImageNet classifier, Tan and Le 2021",
            718_086_176,
            efficientnet_v2_b0,
            resolutions=_RESOLUTIONS,
            gray=True,
        ),
        ZooEntry(
            "squeezenet",
            "ImageNet classifier v1.1, Iandola et al. 2016",
            349_151_936,
            topologies.squeezenet,
            resolutions=_RESOLUTIONS,
            gray=True,
        ),
        ZooEntry(
            "squeezenet-v1.0",
            "ImageNet classifier, Iandola et al. 2016, first window 7 x 7",
            818_924_576,
            large_windows.squeezenet_v1_0,
            gray=True,
        ),
        ZooEntry(
            "squeezenext",
            "ImageNet classifier 1.0-SqNxt-23, Gholami et al. 2018, first window 7 x 7",
            275_920_640,
            large_windows.squeezenext,
            gray=True,
        ),
        ZooEntry(
            "resnet50-v2",
            "ImageNet classifier, He et al. 2016, first window 7 x 7",
            3_482_255_360,
            large_windows.resnet50_v2,
            gray=True,
        ),
        ZooEntry(
            "mnasnet-a1",
            "ImageNet classifier with squeeze-and-excite, Tan et al. 2019",
            311_579_072,
            large_windows.mnasnet_a1,
            gray=True,
        ),
        ZooEntry(
            "yolo-tiny",
            "detector after YOLOv3-tiny, 192 x 192, 20 classes",
            150_709_248,
            topologies.yolo_tiny,
        ),
        ZooEntry(
            "ultraface",
            "face detector, slim, Linzaier 2019, 320 x 240",
            81_410_560,
            ultraface,
            classes=False,
        ),
    )
}

NAME_PATTERN = "family[-width][-resolution][-gray][-c<classes>]"
"""Pattern of variants' names; ``width`` only for families with widths, and with a resolution."""

_EXTRAS = re.compile(r"(?P<gray>-gray)?(?:-c(?P<classes>[1-9]\d{0,4}))?")


def zoo_names() -> tuple[str, ...]:
    """Names of the families and of their widths and resolutions: ``mobilenet-v2-0.35-96``.

    Where the family has that choice, ``-gray`` (images of one channel) and ``-c`` with a number of
    classes may follow, as in ``mobilenet-v1-0.25-96-gray-c5``.
    """
    return tuple(
        entry.name + suffix for entry in ZOO.values() for suffix in ("", *entry.suffixes())
    )


def zoo_hint() -> str:
    """One sentence on the names, for messages."""
    return (
        f"Built-in networks: {', '.join(ZOO)}, and variants spelled {NAME_PATTERN} such as "
        "mobilenet-v2-0.35-96 or mobilenet-v1-0.25-224-c101."
    )


def is_zoo_name(name: str) -> bool:
    """Tells whether :func:`zoo_network` knows the name."""
    return _parse(name) is not None


def _parse(name: str) -> tuple[ZooEntry, dict[str, Any]] | None:
    """Splits a name into its family and options; None if there is no such variant."""
    for entry in ZOO.values():
        for suffix in ("", *entry.suffixes()):
            stem = entry.name + suffix
            extras = _EXTRAS.fullmatch(name, len(stem)) if name.startswith(stem) else None
            if extras is None or (extras["gray"] and not entry.gray):
                continue
            if extras["classes"] and not entry.classes:
                continue
            return entry, _options(suffix, extras)
    return None


def _options(suffix: str, extras: re.Match[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    *alpha, resolution = suffix.removeprefix("-").split("-")
    if alpha:
        options["alpha"] = float(alpha[0])
    if resolution:
        options["resolution"] = int(resolution)
    if extras["gray"]:
        options["channels"] = 1
    if extras["classes"]:
        options["classes"] = int(extras["classes"])
    return options


@functools.lru_cache(maxsize=8)
def zoo_network(
    name: str,
    *,
    format: Literal["onnx", "tflite"] = "onnx",  # noqa: A002 - what users call it
    seed: int = 0,
) -> Network:
    """Builds a network of the zoo.

    Args:
        name: one of :func:`zoo_names`, or such a name with more choices behind it.
        format: ``onnx`` for float, ``tflite`` for int8.
        seed: of the weights.

    Raises:
        ModelError: if there is no such network.
        MissingExtraError: if ``tflite`` is asked for and onnxruntime is not installed.
    """
    network = _float_network(name, seed)
    if format == "onnx":
        return network
    # A test compares them with their sources; here that would take longer than it tells.
    return to_int8(network, calibration=typical_inputs(network, seed=seed), check=False)


def typical_inputs(network: Network, *, seed: int) -> dict[str, NDArray[np.float32]]:
    """The noise by which a network of the zoo is made int8."""
    generator = np.random.default_rng(seed)
    return {
        label: generator.uniform(
            -1.0, 1.0, (_CALIBRATION_SAMPLES, *network.tensors[label].shape[1:])
        ).astype(np.float32)
        for label in network.inputs
    }


@functools.lru_cache(maxsize=1)
def _float_network(name: str, seed: int) -> Network:
    """As ONNX; kept, since who finds that a target reads no ONNX asks for TFLite next."""
    parsed = _parse(name)
    if parsed is None:
        raise ModelError(f"There is no built-in network {name!r}.", remedy=zoo_hint())
    entry, options = parsed
    model = entry.build(**options, seed=seed)
    return network_from_bytes(model.SerializeToString(deterministic=True), "onnx", name)
